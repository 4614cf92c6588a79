import { Dice } from './clock.js';
import type { CertificateChoice } from './credentials.js';
import type { LinkQuality } from './links.js';
import { PAA_CHANGES, type PaaChange, type WorldOptions } from './machines.js';
import { POLICY_NAMES, type PolicyName } from './operators.js';
import type { ProgramTrouble } from './programs.js';
import { recoveryTime } from './recovery.js';
import type { Repetition } from './repeats.js';
import type { StoreCondition } from './shared-store.js';

/** An event in a world. `lasts`: milliseconds after which it is undone. */
export type Happening =
  | { readonly type: 'link'; readonly paa: number; readonly quality: LinkQuality; readonly lasts: number }
  | { readonly type: 'cut'; readonly server: number }
  | { readonly type: 'stall'; readonly server: number; readonly lasts: number }
  | { readonly type: 'unreachable'; readonly lasts: number }
  | { readonly type: 'repeats'; readonly repetition: Repetition; readonly lasts: number }
  /**
   * Kills the process after this number of further effects, before the next one, for example between a commit and its
   * answer. `silent`: the whole machine is lost.
   */
  | {
      readonly type: 'kill';
      readonly machine: string;
      readonly effects: number;
      readonly silent: boolean;
      readonly lasts: number;
    }
  | { readonly type: 'stop'; readonly machine: string; readonly lasts: number }
  | { readonly type: 'store'; readonly condition: Exclude<StoreCondition, 'well'>; readonly lasts: number }
  | { readonly type: 'clock'; readonly machine: string; readonly step: number }
  | { readonly type: 'move'; readonly node: number; readonly paa: number }
  | { readonly type: 'renumber'; readonly node: number }
  | { readonly type: 'detach'; readonly node: number; readonly lasts: number }
  | { readonly type: 'sleep'; readonly node: number; readonly lasts: number }
  | {
      readonly type: 'certificate';
      readonly node: number;
      readonly choice: CertificateChoice;
      readonly lasts: number;
    }
  | { readonly type: 'disable'; readonly node: number; readonly lasts: number }
  | { readonly type: 'revoke'; readonly node: number; readonly lasts: number }
  | { readonly type: 'agent'; readonly agent: number; readonly state: 'draining' | 'down'; readonly lasts: number }
  | { readonly type: 'dead-agent'; readonly agent: number; readonly lasts: number }
  | { readonly type: 'disconnect' | 'reauthenticate' | 'release'; readonly node: number }
  | { readonly type: 'import'; readonly count: number }
  /** An import or a removal that changes a subscriber that has sessions. */
  | { readonly type: 'policy'; readonly node: number; readonly policy: PolicyName; readonly lasts: number }
  | { readonly type: 'reload'; readonly machine: string }
  /** A reload of a PAA with other options. */
  | { readonly type: 'configure'; readonly paa: number; readonly change: PaaChange; readonly lasts: number }
  | { readonly type: 'programs'; readonly trouble: ProgramTrouble; readonly lasts: number }
  | { readonly type: 'strangers'; readonly paa: number; readonly count: number }
  | { readonly type: 'intruders'; readonly server: number; readonly count: number };

export type Planned = Happening & { readonly at: number };

/** All events of a world, derived from the seed alone. */
export interface Plan {
  readonly seed: number;
  readonly options: WorldOptions;
  readonly events: readonly Planned[];
  /** Duration of the events and of the rest after them, in milliseconds. */
  readonly trouble: number;
  readonly rest: number;
}

/** Separates the random numbers of a plan from those of its world. */
const PLAN_SEED = 0x51ed270b;

/** The last part of the rest, in which no session may begin or end, in milliseconds. */
export const STILL = 60_000;

/**
 * Session lifetimes in seconds. Most are short: a node re-authenticates at three quarters of the lifetime, and the fixed cost of
 * a world is shared by more authentications.
 */
const LIFETIMES: readonly number[] = [10, 10, 10, 15, 15, 20, 20, 30, 60, 300];

/** The least and the greatest number of nodes in a world. Worlds with many nodes cost less per authentication. */
const CROWDS: readonly (readonly [number, number])[] = [
  [1, 3],
  [4, 12],
  [10, 20],
  [10, 20],
  [15, 20],
];

type Make = (dice: Dice, options: WorldOptions) => Happening;

const lasting = (dice: Dice, most: number) => dice.whole(200, most);
const nodeOf = (dice: Dice, { nodes }: WorldOptions) => dice.whole(1, nodes);
const paaOf = (dice: Dice, { paas }: WorldOptions) => dice.whole(1, paas);
const serverOf = (dice: Dice, { servers }: WorldOptions) => dice.whole(1, servers);

function machineOf(dice: Dice, options: WorldOptions): string {
  const kind = dice.whole(1, 3);
  if (kind === 1) return `mn${nodeOf(dice, options)}`;
  return kind === 2 ? `paa${paaOf(dice, options)}` : `aaa${serverOf(dice, options)}`;
}

/** Generators of events with their weights. */
const MAKERS: readonly (readonly [weight: number, make: Make])[] = [
  [
    5,
    (dice, options) => ({
      type: 'link',
      paa: paaOf(dice, options),
      quality: {
        loss: dice.fraction() * 0.4,
        repeats: dice.fraction() * 0.2,
        delay: dice.chance(0.2) ? dice.whole(1_000, 10_000) : dice.whole(5, 400),
      },
      lasts: lasting(dice, 90_000),
    }),
  ],
  [2, (dice, options) => ({ type: 'cut', server: serverOf(dice, options) })],
  [2, (dice, options) => ({ type: 'stall', server: serverOf(dice, options), lasts: lasting(dice, 40_000) })],
  [1, (dice) => ({ type: 'unreachable', lasts: lasting(dice, 30_000) })],
  [
    2,
    (dice) => ({
      type: 'repeats',
      repetition: { chance: dice.fraction(), delay: dice.pick([2, 100, 20_000]) },
      lasts: lasting(dice, 60_000),
    }),
  ],
  [
    8,
    (dice, options) => ({
      type: 'kill',
      machine: machineOf(dice, options),
      effects: dice.whole(0, 12),
      silent: dice.chance(0.2),
      lasts: lasting(dice, 20_000),
    }),
  ],
  [2, (dice, options) => ({ type: 'stop', machine: machineOf(dice, options), lasts: lasting(dice, 20_000) })],
  [
    3,
    (dice) => ({
      type: 'store',
      condition: dice.pick(['slow', 'full', 'down', 'deaf'] as const),
      lasts: lasting(dice, 30_000),
    }),
  ],
  [
    1,
    (dice, options) => ({
      type: 'clock',
      machine: dice.chance(0.5) ? 'store' : machineOf(dice, options),
      step: dice.pick([-3_600_000, -5_000, 5_000, 60_000, 86_400_000]),
    }),
  ],
  [4, (dice, options) => ({ type: 'move', node: nodeOf(dice, options), paa: paaOf(dice, options) })],
  [2, (dice, options) => ({ type: 'renumber', node: nodeOf(dice, options) })],
  [1, (dice, options) => ({ type: 'detach', node: nodeOf(dice, options), lasts: lasting(dice, 60_000) })],
  [2, (dice, options) => ({ type: 'sleep', node: nodeOf(dice, options), lasts: lasting(dice, 200_000) })],
  [
    1,
    (dice, options) => ({
      type: 'certificate',
      node: nodeOf(dice, options),
      choice: dice.pick(['second', 'stranger'] as const),
      lasts: lasting(dice, 120_000),
    }),
  ],
  [2, (dice, options) => ({ type: 'disable', node: nodeOf(dice, options), lasts: lasting(dice, 60_000) })],
  [1, (dice, options) => ({ type: 'revoke', node: nodeOf(dice, options), lasts: lasting(dice, 60_000) })],
  [
    1,
    (dice, { homeAgents }) => ({
      type: 'agent',
      agent: dice.whole(1, homeAgents),
      state: dice.pick(['draining', 'down'] as const),
      lasts: lasting(dice, 60_000),
    }),
  ],
  [
    1,
    (dice, { homeAgents }) => ({ type: 'dead-agent', agent: dice.whole(1, homeAgents), lasts: lasting(dice, 90_000) }),
  ],
  [
    2,
    (dice, options) => ({
      type: dice.pick(['disconnect', 'reauthenticate', 'release'] as const),
      node: nodeOf(dice, options),
    }),
  ],
  [1, (dice) => ({ type: 'import', count: dice.whole(1, 20) })],
  [
    1,
    (dice, options) => ({
      type: 'policy',
      node: nodeOf(dice, options),
      policy: dice.pick(POLICY_NAMES),
      lasts: lasting(dice, 60_000),
    }),
  ],
  [1, (dice, options) => ({ type: 'reload', machine: machineOf(dice, options) })],
  [
    1,
    (dice, options) => ({
      type: 'configure',
      paa: paaOf(dice, options),
      change: dice.pick(PAA_CHANGES),
      lasts: lasting(dice, 60_000),
    }),
  ],
  [
    2,
    (dice) => ({
      type: 'programs',
      trouble: { fail: dice.fraction() * 0.7, hang: dice.fraction() * 0.2, slow: dice.whole(20, 4_000) },
      lasts: lasting(dice, 60_000),
    }),
  ],
  [1, (dice, options) => ({ type: 'strangers', paa: paaOf(dice, options), count: dice.whole(1, 200) })],
  [1, (dice, options) => ({ type: 'intruders', server: serverOf(dice, options), count: dice.whole(1, 20) })],
];

function happening(dice: Dice, options: WorldOptions): Happening {
  const all = MAKERS.reduce((sum, [weight]) => sum + weight, 0);
  let left = dice.fraction() * all;
  for (const [weight, make] of MAKERS) {
    left -= weight;
    if (left < 0) return make(dice, options);
  }
  throw new Error('no event');
}

/** The plan of a seed. `minutes`: the time with events. */
export function planOf(seed: number, minutes = 10): Plan {
  const dice = new Dice(seed ^ PLAN_SEED);
  const options: WorldOptions = {
    nodes: dice.whole(...dice.pick(CROWDS)),
    paas: dice.whole(1, 3),
    servers: dice.whole(1, 3),
    homeAgents: dice.whole(1, 4),
    lifetime: dice.pick(LIFETIMES),
    batch: dice.chance(0.5),
    optimisedStart: dice.chance(0.5),
    identityRequest: seed % 3 === 0 ? 'server' : 'paa',
    piggyback: dice.chance(0.7),
    hookWait: dice.pick([0, 500]),
    probes: dice.chance(0.3),
    watchdog: dice.pick([6, 6, 12, 30]),
  };
  const trouble = minutes * 60_000;
  const events: Planned[] = [];
  // Some worlds have many events, others few.
  const pause = dice.pick([3_000, 10_000, 40_000]);
  for (let at = dice.whole(0, 10_000); at < trouble; at += dice.whole(100, 2 * pause)) {
    events.push({ ...happening(dice, options), at });
  }
  const rest = recoveryTime(options) + STILL;
  return { seed, options, events, trouble, rest };
}

/** An event as text. `begun`: the time at which the plan began, in milliseconds of the world's clock. */
export function describe({ at, ...event }: Planned, begun: number): string {
  return `${((begun + at) / 1000).toFixed(3).padStart(10)}  ${JSON.stringify(event)}`;
}
