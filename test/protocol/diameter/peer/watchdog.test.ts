import { describe, expect, it } from 'vitest';
import { Watchdog, type WatchdogInput } from '../../../../src/protocol/diameter/peer/watchdog.js';

const TWINIT = 30_000;

/** A watchdog without jitter: Tw is Twinit exactly. */
function watchdog(): Watchdog {
  return new Watchdog(TWINIT, () => 0.5);
}

/** Feeds the inputs at these times. Returns time, actions, status and deadline after each. */
function ladder(steps: readonly (readonly [at: number, input: WatchdogInput])[]) {
  const dog = watchdog();
  return steps.map(([at, input]) => [at, dog.handle(input, at), dog.status, dog.deadline] as const);
}

describe('Watchdog (RFC 3539 3.4.1)', () => {
  it('sends DWR after Tw of silence, and stays OKAY when DWA arrives', () => {
    expect(
      ladder([
        [0, 'up'],
        [29_999, 'timeout'],
        [30_000, 'timeout'],
        [30_010, 'dwa'],
        [60_010, 'timeout'],
      ]),
    ).toEqual([
      [0, [], 'OKAY', 30_000],
      [29_999, [], 'OKAY', 30_000],
      [30_000, ['sendDwr'], 'OKAY', 60_000],
      [30_010, [], 'OKAY', 60_010],
      [60_010, ['sendDwr'], 'OKAY', 90_010],
    ]);
  });

  it('sends no DWR while other messages arrive', () => {
    const steps = ladder([
      [0, 'up'],
      [20_000, 'message'],
      [30_000, 'timeout'],
      [40_000, 'message'],
      [50_000, 'timeout'],
    ]);
    expect(steps.flatMap(([, actions]) => actions)).toEqual([]);
    expect(steps.at(-1)?.[3]).toBe(70_000);
  });

  it('fails over after two periods of silence and closes after three', () => {
    expect(
      ladder([
        [0, 'up'],
        [30_000, 'timeout'],
        [60_000, 'timeout'],
        [90_000, 'timeout'],
      ]),
    ).toEqual([
      [0, [], 'OKAY', 30_000],
      [30_000, ['sendDwr'], 'OKAY', 60_000],
      [60_000, ['failover'], 'SUSPECT', 90_000],
      [90_000, ['close'], 'DOWN', undefined],
    ]);
  });

  it.each(['dwa', 'message'] as const)('fails back from SUSPECT at a %s', (input) => {
    expect(
      ladder([
        [0, 'up'],
        [30_000, 'timeout'],
        [60_000, 'timeout'],
        [60_500, input],
      ]).at(-1),
    ).toEqual([60_500, ['failback'], 'OKAY', 90_500]);
  });

  it('returns from REOPEN to OKAY after three DWAs and not before', () => {
    expect(
      ladder([
        [0, 'up'],
        [10, 'down'],
        [1_000, 'up'],
        [1_010, 'dwa'],
        [1_020, 'message'],
        [31_000, 'timeout'],
        [31_010, 'dwa'],
        [61_000, 'timeout'],
        [61_010, 'dwa'],
      ]).map(([at, actions, status]) => [at, actions, status]),
    ).toEqual([
      [0, [], 'OKAY'],
      [10, ['failover'], 'DOWN'],
      [1_000, ['sendDwr'], 'REOPEN'],
      [1_010, [], 'REOPEN'],
      [1_020, [], 'REOPEN'],
      [31_000, ['sendDwr'], 'REOPEN'],
      [31_010, [], 'REOPEN'],
      [61_000, ['sendDwr'], 'REOPEN'],
      [61_010, ['failback'], 'OKAY'],
    ]);
  });

  it('closes a reopened connection after two periods of silence', () => {
    expect(
      ladder([
        [0, 'up'],
        [10, 'down'],
        [1_000, 'up'],
        [31_000, 'timeout'],
        [61_000, 'timeout'],
      ]).map(([, actions, status]) => [actions, status]),
    ).toEqual([
      [[], 'OKAY'],
      [['failover'], 'DOWN'],
      [['sendDwr'], 'REOPEN'],
      [[], 'REOPEN'],
      [['close'], 'DOWN'],
    ]);
  });

  it('treats a connection after an orderly end as new', () => {
    expect(
      ladder([
        [0, 'up'],
        [10, 'reset'],
        [1_000, 'up'],
      ]).at(-1),
    ).toEqual([1_000, [], 'OKAY', 31_000]);
  });

  it('varies Tw by up to 2 s both ways', () => {
    for (const [unit, deadline] of [
      [0, 28_000],
      [1, 32_000],
    ] as const) {
      const dog = new Watchdog(TWINIT, () => unit);
      dog.handle('up', 0);
      expect(dog.deadline).toBe(deadline);
    }
  });
});
