import { checkCounts } from './counts.js';
import { type Broken, Invariants } from './invariants.js';
import { ladder } from './ladder.js';
import { Performer } from './performer.js';
import { describe, type Plan, STILL } from './plan.js';
import { checkRest } from './rest.js';
import type { SharedStore } from './shared-store.js';
import { World } from './world.js';

/** Interval between checks of the counts, in milliseconds. */
const COUNTED_EVERY = 60_000;

export interface RunOptions {
  readonly fidelity: 'tls' | 'plain';
  /** Opens a faulty store instead of the usual one. */
  readonly openStore?: typeof SharedStore.open;
  /** Changes a world after its start. */
  readonly meddle?: (world: World) => void;
  /** Ends the run at this time of the world's clock, before the rest. Milliseconds. */
  readonly until?: number | undefined;
}

export interface RunResult {
  readonly broken: readonly Broken[];
  readonly hash: string;
  readonly steps: number;
  readonly bootstraps: number;
  readonly reauthentications: number;
  /** When the plan began, and when the run ended: milliseconds of the world's clock. */
  readonly begun: number;
  readonly virtual: number;
  /** The number of events of each kind, those of the plan and those that followed from them. */
  readonly counts: ReadonlyMap<string, number>;
  readonly ladder: (shown?: number) => string;
}

/**
 * Runs a world through its plan and its rest, and checks the invariants at all times. It ends with the first violation.
 */
export async function run(
  plan: Plan,
  { fidelity, openStore, meddle, until = Number.POSITIVE_INFINITY }: RunOptions,
): Promise<RunResult> {
  const world = new World(plan.seed, plan.options, fidelity);
  const invariants = new Invariants(world);
  world.watch(invariants);
  const isBroken = () => invariants.broken.length > 0;
  const broken = (invariant: string, detail: string) => invariants.break(invariant, detail);
  try {
    await world.start(openStore);
    meddle?.(world);
    const performer = new Performer(world, (detail) => broken('work for unauthenticated input is bounded', detail));
    const begun = world.clock.now;
    let counted = begun;
    const passUntil = async (time: number) => {
      const end = Math.min(time, until);
      while (!isBroken() && world.clock.now < end) {
        await world.pass(Math.min(end, counted + COUNTED_EVERY) - world.clock.now, isBroken);
        if (world.clock.now < counted + COUNTED_EVERY) continue;
        counted = world.clock.now;
        const counting = checkCounts(world, invariants, broken).then(() => invariants.checkDuties());
        world.clock.standStill(counting);
        await world.complete(counting);
      }
    };
    for (const { at, ...event } of plan.events) {
      await passUntil(begun + at);
      if (isBroken() || world.clock.now >= until) break;
      invariants.happened({ at, ...event });
      performer.perform(event);
    }
    await passUntil(begun + plan.trouble);
    if (!isBroken() && world.clock.now < until) {
      await performer.heal();
      await passUntil(world.clock.now + plan.rest - STILL);
      invariants.rest();
      await passUntil(world.clock.now + STILL);
      if (!isBroken()) await checkRest(world, invariants, broken);
    }
    return {
      broken: invariants.broken,
      hash: world.trace.hash,
      steps: world.trace.count,
      bootstraps: invariants.bootstraps,
      reauthentications: invariants.reauthentications,
      begun,
      virtual: world.clock.now,
      counts: world.trace.counts,
      ladder: (shown) => ladder(world.trace.steps, shown),
    };
  } finally {
    world.destroy();
  }
}

/** The report of a failed run. A test runner shows its first lines. */
export function report(plan: Plan, result: RunResult, again: readonly string[]): string {
  const { broken, begun, ladder: show } = result;
  const [{ invariant, detail, at } = { invariant: 'nothing', detail: '', at: result.virtual }] = broken;
  const { nodes, paas, servers, homeAgents, lifetime } = plan.options;
  const events = plan.events.filter((event) => begun + event.at <= at).map((event) => describe(event, begun));
  return [
    `seed ${plan.seed}: ${invariant} is broken at ${(at / 1000).toFixed(3)} s: ${detail}`,
    ...again,
    `nodes: ${nodes}, PAAs: ${paas}, AAA servers: ${servers}, home agents: ${homeAgents}, lifetime: ${lifetime} s`,
    '',
    `events until then: ${events.length} of ${plan.events.length}`,
    ...events,
    '',
    show(),
  ].join('\n');
}
