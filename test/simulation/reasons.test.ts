import { describe, expect, it } from 'vitest';
import type { LogFields } from '../../src/runtime/log/events.js';
import type { LogLine } from './machine.js';
import { paaAddress } from './machines.js';
import type { Happening } from './plan.js';
import { Reasons } from './reasons.js';

const LIFETIME = 60;
const BEGUN = 1_000;

function line(machine: string, at: number, message: LogLine['message'], fields: LogFields): LogLine {
  return { machine, at, level: 'info', message, fields };
}

/** Whether an event at `at` explains the end of a session between node 1 and PAA 1. */
function explains(event: Happening | undefined, at: number, machine: 'mn1' | 'paa1', reason: string, end: number) {
  const reasons = new Reasons(6);
  const session = '00000001';
  const nai = 'mn1@home.example';
  const peer = 'paa1.access.example';
  const begun = [
    line('aaa1', BEGUN, 'authentication succeeded', { session: 'x;1', peer, nai }),
    line('mn1', BEGUN, 'session authorized', { session, address: paaAddress(1), lifetime: LIFETIME }),
    line('paa1', BEGUN, 'session authorized', { session, nai, lifetime: LIFETIME }),
  ];
  for (const one of begun) expect(reasons.logged(one)).toBeUndefined();
  if (event) reasons.happened({ at, ...event }, at);
  return reasons.logged(line(machine, end, 'session ended', { session, reason, address: paaAddress(1) })) === undefined;
}

const LINK: Happening = { type: 'link', paa: 1, quality: { loss: 0.4, repeats: 0, delay: 5 }, lasts: 5_000 };
const STOP: Happening = { type: 'stop', machine: 'mn1', lasts: 1_000 };
const DISABLE: Happening = { type: 'disable', node: 1, lasts: 1_000 };

describe('The end of a session', () => {
  it.each<[string, Happening, 'mn1' | 'paa1', string]>([
    ['a lossy link', LINK, 'mn1', 'no-answer'],
    ['a node that sleeps', { type: 'sleep', node: 1, lasts: 1_000 }, 'paa1', 'no-answer'],
    ['a store that is down', { type: 'store', condition: 'down', lasts: 1_000 }, 'mn1', 'authentication-rejected'],
    ['a node that stops', STOP, 'mn1', 'terminated'],
    ['a node that sends PTR', STOP, 'paa1', 'logout'],
    ['a PAA that stops', { type: 'stop', machine: 'paa1', lasts: 1_000 }, 'mn1', 'terminated-by-paa'],
    ['a disabled subscriber', DISABLE, 'paa1', 'administrative'],
    [
      'the certificate of a stranger',
      { type: 'certificate', node: 1, choice: 'stranger', lasts: 1_000 },
      'paa1',
      'rejected',
    ],
  ])('is explained by %s', (_, event, machine, reason) => {
    expect(explains(event, 5_000, machine, reason, 12_000)).toBe(true);
    expect(explains(undefined, 5_000, machine, reason, 12_000)).toBe(false);
  });

  it.each<[string, Happening, 'mn1' | 'paa1', string]>([
    ['a lossy link of another PAA', { ...LINK, paa: 2 }, 'mn1', 'no-answer'],
    ['another node that sleeps', { type: 'sleep', node: 2, lasts: 1_000 }, 'paa1', 'no-answer'],
    ['another node that stops', { ...STOP, machine: 'mn2' }, 'mn1', 'terminated'],
    ['another PAA that stops', { type: 'stop', machine: 'paa2', lasts: 1_000 }, 'mn1', 'terminated-by-paa'],
    ['another subscriber that is disabled', { ...DISABLE, node: 2 }, 'paa1', 'administrative'],
    [
      'a store that is down, if PANA requests stay unanswered',
      { type: 'store', condition: 'down', lasts: 1_000 },
      'mn1',
      'no-answer',
    ],
    [
      'hooks that fail',
      { type: 'programs', trouble: { fail: 1, hang: 0, slow: 20 }, lasts: 1_000 },
      'mn1',
      'no-answer',
    ],
    ['strangers', { type: 'strangers', paa: 1, count: 200 }, 'paa1', 'no-answer'],
    ['a lossy link, if no rule has the cause', LINK, 'paa1', 'fault'],
  ])('is not explained by %s', (_, event, machine, reason) => {
    expect(explains(event, 5_000, machine, reason, 12_000)).toBe(false);
  });

  it('is not explained by an event that ended too long before', () => {
    expect(explains(LINK, 5_000, 'mn1', 'no-answer', 219_000)).toBe(true);
    expect(explains(LINK, 5_000, 'mn1', 'no-answer', 220_000)).toBe(false);
    expect(explains(DISABLE, 300_000, 'paa1', 'administrative', 299_000)).toBe(false);
  });

  it('with lifetime-expired is not explained before the lifetime has passed', () => {
    expect(explains(LINK, 5_000, 'paa1', 'lifetime-expired', BEGUN + 40_000)).toBe(false);
    expect(explains(LINK, 5_000, 'paa1', 'lifetime-expired', BEGUN + 62_000)).toBe(true);
    expect(explains(undefined, 0, 'paa1', 'lifetime-expired', BEGUN + 62_000)).toBe(false);
  });
});

describe('The end of a session by an AAA server, long after its cause', () => {
  const nai = 'mn1@home.example';
  const peer = 'paa1.access.example';
  const NEWER = line('aaa1', 2_000, 'authentication succeeded', { session: 'x;2', peer, nai });
  const asr = (at: number, message: string, session: string) =>
    line('aaa1', at, 'request answered', { message, session, nai, peer });

  it.each<[string, LogLine[], Happening | undefined, boolean]>([
    ['an ASR after a newer session began', [NEWER, asr(900_000, 'ASR', 'x;1')], undefined, true],
    ['an ASR after the subscriber was disabled', [asr(900_000, 'ASR', 'x;1')], DISABLE, true],
    ['an ASR after another subscriber was disabled', [asr(900_000, 'ASR', 'x;1')], { ...DISABLE, node: 2 }, false],
    ['an ASR without a cause', [asr(900_000, 'ASR', 'x;1')], undefined, false],
    ['no ASR', [NEWER], DISABLE, false],
    ['an RAR', [NEWER, asr(900_000, 'RAR', 'x;1')], DISABLE, false],
    ['an ASR for the newer session', [NEWER, asr(900_000, 'ASR', 'x;2')], undefined, false],
    ['an ASR long before the end', [NEWER, asr(100_000, 'ASR', 'x;1')], DISABLE, false],
  ])('is judged by %s', (_, lines, event, explained) => {
    const reasons = new Reasons(6);
    const begun = [
      line('aaa1', 1_000, 'authentication succeeded', { session: 'x;1', peer, nai }),
      line('paa1', 1_000, 'session authorized', { session: '00000001', nai, lifetime: 3_600 }),
    ];
    for (const one of [...begun, ...lines]) expect(reasons.logged(one)).toBeUndefined();
    if (event) reasons.happened({ at: 3_000, ...event }, 3_000);
    const ended = line('paa1', 1_000_000, 'session ended', { session: '00000001', reason: 'administrative' });
    expect(reasons.logged(ended) === undefined).toBe(explained);
  });
});
