import { expect } from 'vitest';
import { authentications, type Fidelity, runSeeds, summary } from '../simulation/seeds.js';

/**
 * Half of the authentications with stand-in EAP; SIMULATION_BOOTSTRAPS overrides their number. Two files run one half each, so that
 * both processors have work until the end.
 */
export const HALF = Math.ceil(Number(process.env['SIMULATION_BOOTSTRAPS'] ?? 50_000) / 2);

/** Minutes with faults in each world. */
const MINUTES = 20;

/** Runs worlds from this seed on until they have had so many authentications. Resolves to their number. */
export async function keepsInvariants(fidelity: Fidelity, from: number, bootstraps: number): Promise<number> {
  const totals = await runSeeds({ from, bootstraps, minutes: MINUTES, fidelity });
  process.stdout.write(summary(totals));
  expect(authentications(totals)).toBeGreaterThanOrEqual(bootstraps);
  return authentications(totals);
}
