import { describe, expect, it } from 'vitest';
import { daemonSockets, metricOf, sumOf } from '../../src/load/daemons.js';
import type { LoadPlan } from '../../src/load/plan.js';
import { progressLine, resultText } from '../../src/load/report.js';
import type { LoadResult } from '../../src/load/result.js';

const times = { count: 10, mean: 20.25, p50: 20, p95: 30, p99: 123.4, max: 200 };

const RESULT: LoadResult = {
  interrupted: false,
  seconds: 2,
  bootstraps: 10,
  perSecond: 5,
  durations: times,
  lastAttempts: times,
  retries: 0,
  resumed: 3,
  withoutHomeAddress: 0,
  failed: 0,
  failures: [],
  skipped: 0,
  movements: undefined,
  reauthentications: undefined,
  lost: [],
  sessions: { most: 4, unanswered: 0 },
  late: undefined,
  own: { cpuPerBootstrap: 2, cpuShare: 0.5, memory: 2 ** 26 },
  daemons: [{ name: 'paa', cpuPerBootstrap: 1.25, longestTurn: 12 }],
};

const PLAN: LoadPlan = {
  arrivals: { type: 'rate', number: 5 },
  count: undefined,
  duration: 2_000,
  warmUp: 0,
  resume: 0,
  stay: 0,
  moveEvery: 0,
  reauthenticateEvery: 0,
  vanish: 0,
  retry: false,
  timeout: 30_000,
  nodes: 4,
};

describe('The text of a result', () => {
  it('has rate, quantiles, failures, and CPU of this process and of the daemons', () => {
    const text = resultText(RESULT, PLAN, 4);
    expect(text).toContain('10 bootstraps in 2.0 s: 5.0/s');
    expect(text).toMatch(/PCI to PAN\[C\] +10 +20\.25 ms +20\.00 ms +30\.00 ms +123 ms +200 ms/);
    expect(text).toContain('Failed: 0.');
    expect(text).toContain('Own CPU: 50 % of a core, 2.00 ms per bootstrap; memory 64 MB.');
    expect(text).toContain('CPU of paa: 1.25 ms per bootstrap; longest turn of its event loop 12.00 ms.');
  });

  it('has the attempts that were repeated, and the times of the last ones alone', () => {
    const plain = resultText(RESULT, PLAN, 4);
    expect(plain).not.toContain('last attempt');
    expect(plain).not.toContain('repeated');
    const text = resultText({ ...RESULT, retries: 3, lastAttempts: { ...times, p50: 7 } }, PLAN, 4);
    expect(text).toMatch(/its last attempt alone +10 +20\.25 ms +7\.00 ms/);
    expect(text).toContain('Attempts repeated, because no AAA server answered them: 3.');
  });

  it('says why figures must not be believed', () => {
    const failures = [{ reason: 'no answer to PCI', count: 2, example: 'no answer to PCI within 30 s' }];
    const lost = [{ reason: 'terminated-by-paa', count: 1, example: 'terminated-by-paa' }];
    const own = { ...RESULT.own, cpuShare: 0.97 };
    const late = { ...times, p99: 500 };
    const text = resultText({ ...RESULT, failures, lost, own, late, skipped: 7 }, PLAN, 2);
    expect(text).toContain('2 × no answer to PCI (no answer to PCI within 30 s)');
    expect(text).toContain('see --local');
    expect(text).toContain('4 nodes share 2 certificates');
    expect(text).toContain('This process used its core fully');
    expect(text).toContain('Bootstraps began late (p99 500 ms)');
    expect(text).toContain('Not begun, because all 4 nodes (--nodes) had a session: 7.');
  });

  it('exists if nothing was measured', () => {
    const own = { ...RESULT.own, cpuPerBootstrap: Number.NaN };
    const text = resultText({ ...RESULT, durations: undefined, bootstraps: 0, own }, PLAN, 4);
    expect(text).toContain('Nothing was measured.');
    expect(text).toContain('- per bootstrap');
  });
});

it('The progress is one line', () => {
  const line = progressLine({
    seconds: 3.2,
    perSecond: 99.6,
    durations: times,
    done: 300,
    failed: 1,
    inProgress: 16,
    sessions: 2,
    ownCpu: 0.256,
  });
  expect(line).toBe(
    '3 s  300 bootstraps  100/s  p50 20.00 ms, p99 123 ms  16 in progress  2 sessions  1 failed  own CPU 26 %',
  );
});

it('Metrics are read from Prometheus text', () => {
  const text = 'a_total{x="1"} 2\na_total{x="2"} 3\nb 4.5\nbc 7\n';
  expect(sumOf(text, 'a_total')).toBe(5);
  expect(metricOf(text, 'b')).toBe(4.5);
  expect(metricOf(text, 'c')).toBeNaN();
  expect(() => daemonSockets(['paa'])).toThrow('--daemon: "paa" is not NAME=SOCKET');
  expect(daemonSockets(['paa=/a', 'aaa=/b=c'])).toEqual(
    new Map([
      ['paa', '/a'],
      ['aaa', '/b=c'],
    ]),
  );
});
