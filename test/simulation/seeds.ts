import { setImmediate } from 'node:timers/promises';
import { type Plan, planOf } from './plan.js';
import { type RunResult, report, run } from './run.js';
import { shrink } from './shrink.js';

export type Fidelity = 'tls' | 'plain';

/** No further world is run after this number of broken ones. */
export const MAX_BROKEN = 100;

/** The event numbers of a reduced plan, in the format of `SIMULATION_KEEP`. */
export function keptOf(all: readonly unknown[], kept: readonly unknown[]): string {
  const texts = all.map((event) => JSON.stringify(event));
  return kept.map((event) => texts.indexOf(JSON.stringify(event))).join(',');
}

/** The events of `all` that `SIMULATION_KEEP` selects. If it is empty, none is selected. */
export function keptIn<T>(all: readonly T[], keep: string): T[] {
  const numbers = new Set(keep === '' ? [] : keep.split(',').map(Number));
  return all.filter((_, i) => numbers.has(i));
}

/** Lines of a report: the command that replays a seed, and how to reduce the plan. */
export function againLines(command: string): string[] {
  return [`again: ${command}`, 'to find the fewest events that break it: put SIMULATION_SHRINK=1 before the command'];
}

/** The command that replays a seed. */
export function replayCommand(seed: number, minutes: number, fidelity: Fidelity, keep?: string): string {
  const events = keep === undefined ? '' : `SIMULATION_KEEP=${keep} `;
  return (
    `SIMULATION_SEED=${seed} SIMULATION_MINUTES=${minutes} SIMULATION_FIDELITY=${fidelity} ${events}` +
    'npx vitest run --config test/vitest.config.ts test/simulation/replay.test.ts'
  );
}

export interface Totals {
  worlds: number;
  bootstraps: number;
  reauthentications: number;
  /** Hours of virtual time, and seconds of CPU time. */
  hours: number;
  cpu: number;
  /** Worlds in which an invariant broke, or in which time could advance no further. */
  broken: number;
  /** Number of events of each kind. */
  readonly counts: Map<string, number>;
}

/** Number of completed authentications, first and later ones. */
export function authentications({
  bootstraps,
  reauthentications,
}: Pick<Totals, 'bootstraps' | 'reauthentications'>): number {
  return bootstraps + reauthentications;
}

export interface Seeds {
  readonly from: number;
  /** Number of completed authentications to reach, in all worlds together. */
  readonly bootstraps: number;
  /** Minutes of events in each world. */
  readonly minutes: number;
  readonly fidelity: Fidelity;
}

/** Receives the result of each seed. Without `onBroken` the first violation ends the run. */
export interface SeedsListener {
  readonly onSeed: (seed: number, result: RunResult, totals: Totals) => void;
  /** `report`: a ladder and the command that replays the seed. */
  readonly onBroken?: (seed: number, report: string) => void;
}

const TELL: SeedsListener = {
  onSeed: (seed, result) => {
    process.stdout.write(`seed ${seed}: ${authentications(result)} authentications, hash ${result.hash}\n`);
  },
};

/**
 * Runs worlds with consecutive seeds until this number of authentications is reached. Throws for the first violation, with
 * a ladder and the command that replays the seed, unless the listener takes it.
 */
export async function runSeeds({ from, bootstraps, minutes, fidelity }: Seeds, listener = TELL): Promise<Totals> {
  const totals: Totals = {
    worlds: 0,
    bootstraps: 0,
    reauthentications: 0,
    hours: 0,
    cpu: 0,
    broken: 0,
    counts: new Map(),
  };
  for (let seed = from; authentications(totals) < bootstraps && totals.broken < MAX_BROKEN; seed += 1) {
    // A world without TLS never waits for an event, such as a signal to this process.
    await setImmediate();
    const before = process.cpuUsage();
    try {
      const result = await runSeed(seed, minutes, fidelity);
      add(totals, result);
      listener.onSeed(seed, result, totals);
    } catch (error) {
      if (!listener.onBroken) throw error;
      totals.broken += 1;
      listener.onBroken(seed, (error as Error).message);
    }
    const { user, system } = process.cpuUsage(before);
    totals.cpu += (user + system) / 1e6;
  }
  return totals;
}

function add(totals: Totals, { bootstraps, reauthentications, virtual, counts }: RunResult): void {
  totals.worlds += 1;
  totals.bootstraps += bootstraps;
  totals.reauthentications += reauthentications;
  totals.hours += virtual / 3_600_000;
  for (const [kind, count] of counts) totals.counts.set(kind, (totals.counts.get(kind) ?? 0) + count);
}

/** The totals as text for people. */
export function summary(totals: Totals): string {
  const { worlds, bootstraps, reauthentications, hours, cpu, broken, counts } = totals;
  const each = (1_000 * cpu) / authentications(totals);
  const kinds = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, count]) => `${kind} ${count}`);
  return (
    `${worlds} worlds, ${broken} broken, ${bootstraps} first and ${reauthentications} later authentications, ` +
    `${hours.toFixed(1)} hours of virtual time, ${cpu.toFixed(1)} s CPU, ${each.toFixed(2)} ms each\n` +
    `what happened: ${kinds.join(', ')}\n`
  );
}

/** Runs one seed. Throws as `runSeeds` does. */
async function runSeed(seed: number, minutes: number, fidelity: Fidelity): Promise<RunResult> {
  const plan = planOf(seed, minutes);
  const again = againLines(replayCommand(seed, minutes, fidelity));
  const result = await run(plan, { fidelity }).catch((error: unknown) => {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : error}\n${again[0]}`);
  });
  if (result.broken.length > 0) throw new Error(report(plan, result, again));
  return result;
}

/** How much longer than the whole plan a reduced one may run until it breaks the invariant, in virtual milliseconds. */
const PATIENCE = 60_000;

/** The smallest plan that breaks the same invariant, with its ladder and the command that replays it. */
export async function shrunk(plan: Plan, minutes: number, fidelity: Fidelity): Promise<string> {
  const whole = await run(plan, { fidelity });
  const [first] = whole.broken;
  if (!first) return `seed ${plan.seed} breaks nothing`;
  const isBefore = (time: number) => first.at < whole.begun + time;
  // Events after the violation cannot have caused it.
  const before = { ...plan, events: plan.events.filter(({ at }) => !isBefore(at)) };
  const until = isBefore(plan.trouble) ? first.at + PATIENCE : undefined;
  let tries = 0;
  const least = await shrink(before, first.invariant, async (candidate) => {
    tries += 1;
    return (await run(candidate, { fidelity, until })).broken[0];
  });
  const keep = keptOf(planOf(plan.seed, minutes).events, least.events);
  return report(least, await run(least, { fidelity }), [
    `again: ${replayCommand(plan.seed, minutes, fidelity, keep)}`,
    `of ${plan.events.length} events, ${least.events.length} break it; found in ${tries} tries`,
  ]);
}
