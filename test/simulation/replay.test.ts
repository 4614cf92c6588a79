import { describe, expect, it } from 'vitest';
import { planOf } from './plan.js';
import { report, run } from './run.js';
import { againLines, type Fidelity, keptIn, replayCommand, shrunk } from './seeds.js';

const {
  SIMULATION_SEED: seed,
  SIMULATION_MINUTES: minutes = '10',
  SIMULATION_FIDELITY: fidelity = 'plain',
  SIMULATION_KEEP: keep,
  SIMULATION_SHRINK: shrinks,
} = process.env;

/** With a seed only its world runs, without one only the other tests, so that nothing is reported as skipped. */
const [given, others] = seed === undefined ? [undefined, describe] : [describe, undefined];

given?.('The world of SIMULATION_SEED', () => {
  it('keeps its invariants', { timeout: 3_600_000 }, async () => {
    const whole = planOf(Number(seed), Number(minutes));
    const plan = keep === undefined ? whole : { ...whole, events: keptIn(whole.events, keep) };
    const kind = fidelity as Fidelity;
    if (shrinks !== undefined) throw new Error(await shrunk(plan, Number(minutes), kind));
    const result = await run(plan, { fidelity: kind });
    const [first] = result.broken;
    if (first) throw new Error(report(plan, result, againLines(replayCommand(plan.seed, Number(minutes), kind, keep))));
    process.stdout.write(`seed ${seed}: ${result.steps} steps, hash ${result.hash}\n`);
  });
});

others?.('A replay', () => {
  it('of a seed takes the same steps again', { timeout: 120_000 }, async () => {
    const once = await run(planOf(7, 2), { fidelity: 'plain' });
    const again = await run(planOf(7, 2), { fidelity: 'plain' });
    expect([again.hash, again.steps]).toEqual([once.hash, once.steps]);
  });
});
