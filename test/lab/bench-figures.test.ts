import { describe, expect, it } from 'vitest';
import { concurrencyPlots, overloadPlot } from '../../src/lab/bench/curves.js';
import { lockStepOf, ratioOf, rowsTable, throughputShare, verdictOf } from '../../src/lab/bench/marks.js';
import { cpuOfStat } from '../../src/lab/bench/peers.js';
import { drawPlots, ticksOf } from '../../src/lab/bench/plot.js';
import { rowsOf } from '../../src/lab/bench/quick.js';
import { grows, pointsOf, thirdsOf } from '../../src/lab/bench/soak.js';
import type { LoadResult } from '../../src/load/result.js';

const times = { count: 1_000, mean: 500, p50: 480, p95: 900, p99: 950, max: 1_000 };

function load(over: Partial<LoadResult> = {}): LoadResult {
  return {
    interrupted: false,
    seconds: 1,
    bootstraps: 1_000,
    perSecond: 1_000,
    durations: times,
    lastAttempts: times,
    retries: 0,
    resumed: 0,
    withoutHomeAddress: 0,
    failed: 0,
    failures: [],
    skipped: 0,
    movements: undefined,
    reauthentications: undefined,
    lost: [],
    sessions: { most: 1_000, unanswered: 0 },
    late: undefined,
    own: { cpuPerBootstrap: 1, cpuShare: 1, memory: 1 },
    daemons: [
      { name: 'paa', cpuPerBootstrap: 0.9, longestTurn: 18 },
      { name: 'aaa', cpuPerBootstrap: 2.2, longestTurn: 40 },
    ],
    ...over,
  };
}

describe('Marks', () => {
  it.each([
    [{ direction: 'atMost', mark: 2, aim: 1.5, value: 2 }, 'met'],
    [{ direction: 'atMost', mark: 2, aim: 1.5, value: 1.5 }, 'aim met'],
    [{ direction: 'atMost', mark: 2, aim: undefined, value: 0 }, 'met'],
    [{ direction: 'atMost', mark: 2, aim: 1.5, value: 2.01 }, 'not met'],
    [{ direction: 'atLeast', mark: 0.55, aim: 0.7, value: 0.6 }, 'met'],
    [{ direction: 'atLeast', mark: 0.55, aim: 0.7, value: 0.5 }, 'not met'],
    [{ direction: 'atLeast', mark: 0.55, aim: 0.7, value: undefined }, 'not measured'],
    [{ direction: 'atMost', mark: 0.55, aim: 0.7, value: Number.NaN }, 'not measured'],
  ] satisfies [Parameters<typeof verdictOf>[0], string][])('of %j: %s', (row, verdict) => {
    expect(verdictOf(row)).toBe(verdict);
  });

  it('say which peer is missing, and why', () => {
    expect(ratioOf({ ours: 2.2, peer: { milliseconds: 2 } })).toEqual({ value: 1.1, detail: '2.20 ms / 2.00 ms' });
    expect(ratioOf({ ours: 2.2, peer: { absent: 'freeradius is not installed' } })).toEqual({
      value: undefined,
      detail: '2.20 ms; freeradius is not installed',
    });
    expect(ratioOf({ ours: undefined, peer: { milliseconds: 2 } }).value).toBeUndefined();
  });

  it('of a whole run are those of its parts', () => {
    const rows = rowsOf({
      together: load(),
      thousand: load(),
      radiusTogether: { milliseconds: 2 },
      openssl: { milliseconds: 1.1 },
      handshake: 2,
      pci: 1.5,
      starts: [
        { name: 'node -e 0', cpu: 20, wall: 20, cpuRatio: 1, wallRatio: 1, mark: undefined },
        { name: 'pana-pac run', cpu: 120, wall: 150, cpuRatio: 6, wallRatio: 7.5, mark: 7 },
        { name: 'pana-aaa status', cpu: 90, wall: 90, cpuRatio: 4.5, wallRatio: 4.5, mark: 4 },
      ],
    });
    const verdicts = Object.fromEntries(rows.map((row) => [row.name, `${row.value?.toFixed(2)} ${verdictOf(row)}`]));
    expect(verdicts).toMatchObject({
      'AAA CPU / FreeRADIUS, 16 at once': '1.10 met',
      'AAA CPU / FreeRADIUS, one after another': 'undefined not measured',
      'AAA CPU / openssl s_server, 16 at once': '2.00 aim met',
      'bootstraps/s / bare TLS in Node, two cores': '1.00 aim met',
      '1,000 at once: p50 / time of all': '0.48 met',
      'longest turn at that load': '40.00 met',
      'pana-pac run / node -e 0': '6.00 met',
      'pana-aaa status / node -e 0': '4.50 not met',
      'PCI refused, from the message event': '1.50 aim met',
    });
    const text = rowsTable(rows);
    expect(text).toContain('≤ 1.1');
    expect(text).toContain('≥ 0.55');
    expect(text.split('\n')).toHaveLength(rows.length + 1);
  });
});

describe('The row of resumed sessions', () => {
  const row = (resumed: number) =>
    rowsOf({ resumed: load({ resumed }), openssl: { milliseconds: 1.1 } }).find(({ name }) =>
      name.startsWith('resumed'),
    );

  it('has a value only if all bootstraps resumed a session', () => {
    expect(row(1_000)?.value).toBeCloseTo(2);
    expect(row(999)?.value).toBeUndefined();
  });
});

describe('The arithmetic of the bench', () => {
  it('compares the median of all at once with the time of all, if none failed', () => {
    expect(lockStepOf(load())).toBeCloseTo(0.48);
    expect(lockStepOf(load({ failed: 1 }))).toBeUndefined();
  });

  it('takes bootstraps per second as a share of bare handshakes on all cores', () => {
    // Two cores and 4 ms: 500 handshakes a second.
    expect(throughputShare(275, 4)).toBeCloseTo(0.55);
  });

  it('reads the CPU of a process whose name has blanks and parentheses', () => {
    expect(cpuOfStat('42 (a) b) S 1 2 3 4 5 6 7 8 9 10 25 17 0 0 20')).toBe(420);
  });
});

describe('The soak', () => {
  const sample = (at: number, heap: number) => ({
    at,
    heap,
    memory: 0,
    files: 0,
    timers: 0,
    sessions: heap,
    leases: 0,
  });
  const points = (values: readonly number[]) => values.map((value, at): [number, number] => [at, value]);

  it('draws the least of each minute, without an unfinished one', () => {
    const samples = Array.from({ length: 30 }, (_, at) => sample(at, 100 - at));
    expect(pointsOf(samples, 'heap')).toEqual([
      [0, 89],
      [12, 77],
    ]);
  });

  it('compares the last third with the second one', () => {
    expect(thirdsOf(points([90, 90, 90, 30, 31, 32, 33, 34, 35]))).toEqual([31, 34]);
  });

  it('finds growth beyond a twentieth and a slack, and takes no warm-up for it', () => {
    expect(grows('heap', points([1, 10, 20, 30, 30, 30, 31, 32, 33]))).toBe(false);
    expect(grows('heap', points([30, 30, 30, 30, 30, 30, 33, 34, 35]))).toBe(true);
    expect(grows('files', points([20, 20, 20, 20, 20, 20, 24, 24, 24]))).toBe(false);
    expect(grows('files', points([20, 20, 20, 20, 20, 20, 25, 25, 25]))).toBe(true);
  });

  it('takes sessions for growing only above their earlier maximum', () => {
    const waves = [0, 0, 0, 100, 200, 100, 200, 205, 100];
    expect(grows('sessions', points(waves))).toBe(false);
    expect(grows('sessions', points([...waves.slice(0, 6), 260, 270, 280]))).toBe(true);
  });
});

describe('Plots', () => {
  it('are one SVG with a curve for each series, an axis and the mark', () => {
    const svg = drawPlots([
      ...concurrencyPlots([
        { at: 1, result: load({ perSecond: 100 }) },
        { at: 16, result: load({ perSecond: 400 }) },
        { at: 64, result: load({ durations: undefined, perSecond: 0 }) },
      ]),
      overloadPlot([{ at: 100, result: load({ perSecond: 90 }) }], 400),
    ]);
    expect(svg.match(/<svg /g)).toHaveLength(1);
    expect(svg.match(/fill="none"/g)).toHaveLength(5);
    expect(svg).toContain('>p99<');
    expect(svg).toContain('>capacity<');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('without points say so, and escape names', () => {
    const svg = drawPlots([{ title: 'a < b & c', x: '', y: '', series: [{ name: 'n', points: [] }] }]);
    expect(svg).toContain('a &lt; b &amp; c');
    expect(svg).toContain('nothing was measured');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('have about six round ticks', () => {
    expect(ticksOf(0, 60)).toEqual([0, 10, 20, 30, 40, 50, 60]);
    expect(ticksOf(3, 3)).toEqual([3]);
  });
});
