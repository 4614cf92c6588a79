import { describe, type Plan, planOf } from './plan.js';
import { type RunResult, report, run } from './run.js';
import { shrink } from './shrink.js';

export type Fidelity = 'tls' | 'plain';

/** The event numbers of a reduced plan, in the format of `SIMULATION_KEEP`. */
export function keptOf(all: readonly unknown[], kept: readonly unknown[]): string {
  return kept.map((event) => all.indexOf(event)).join(',');
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
}

/**
 * Runs worlds with consecutive seeds until this number of bootstraps is reached: completed authentications that
 * assigned or renewed a lease. Throws for the first violation, with a ladder and the command that replays the seed.
 */
export async function runSeeds(from: number, bootstraps: number, minutes: number, fidelity: Fidelity): Promise<Totals> {
  const totals: Totals = { worlds: 0, bootstraps: 0, reauthentications: 0, hours: 0, cpu: 0 };
  const before = process.cpuUsage();
  for (let seed = from; totals.bootstraps + totals.reauthentications < bootstraps; seed += 1) {
    const result = await runSeed(seed, minutes, fidelity);
    process.stdout.write(
      `seed ${seed} (${fidelity}): ${result.bootstraps + result.reauthentications} authentications, hash ${result.hash}\n`,
    );
    totals.worlds += 1;
    totals.bootstraps += result.bootstraps;
    totals.reauthentications += result.reauthentications;
    totals.hours += result.virtual / 3_600_000;
  }
  const { user, system } = process.cpuUsage(before);
  totals.cpu = (user + system) / 1e6;
  return totals;
}

/** Runs one seed. Throws as `runSeeds` does. */
async function runSeed(seed: number, minutes: number, fidelity: Fidelity): Promise<RunResult> {
  const plan = planOf(seed, minutes);
  const result = await run(plan, { fidelity });
  if (result.broken.length > 0) throw new Error(report(plan, result, replayCommand(seed, minutes, fidelity)));
  return result;
}

/** The smallest plan that breaks the same invariant, with its ladder and the command that replays it. */
export async function shrunk(plan: Plan, minutes: number, fidelity: Fidelity): Promise<string> {
  const [first] = (await run(plan, { fidelity })).broken;
  if (!first) return `seed ${plan.seed} breaks nothing`;
  const attempt = async (candidate: Plan) => (await run(candidate, { fidelity })).broken[0];
  const least = await shrink(plan, first.invariant, attempt);
  const keep = keptOf(planOf(plan.seed, minutes).events.map(describe), least.events.map(describe));
  return report(least, await run(least, { fidelity }), replayCommand(plan.seed, minutes, fidelity, keep));
}
