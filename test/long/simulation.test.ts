import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { authentications, type Fidelity, runSeeds, summary } from '../simulation/seeds.js';

/** The number of authentications with stand-in EAP and with TLS. SIMULATION_BOOTSTRAPS overrides the former. */
const PLAIN = Number(process.env['SIMULATION_BOOTSTRAPS'] ?? 50_000);
const TLS = 2_000;

/** Minutes with faults in each world. */
const MINUTES = 20;

/** The first seed of each. */
const SEEDS = { plain: 10_000, tls: 20_000 };

/** Replays a seed in its own process. Resolves to its steps and their hash. */
async function replayed(seed: number, fidelity: Fidelity): Promise<string | undefined> {
  const env = { ...process.env, SIMULATION_SEED: String(seed), SIMULATION_MINUTES: '2', SIMULATION_FIDELITY: fidelity };
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts', '--project', 'main'];
  const only = ['test/simulation/replay.test.ts', '-t', 'SIMULATION_SEED'];
  const { stdout } = await promisify(execFile)(process.execPath, [...vitest, ...only], { env });
  return /\d+ steps, hash [0-9a-f]+/.exec(stdout)?.[0];
}

describe('The simulated world', () => {
  it.each<Fidelity>(['plain', 'tls'])(
    'takes the same steps in two processes (%s)',
    { timeout: 240_000 },
    async (fidelity) => {
      const once = await replayed(11, fidelity);
      expect(once).toBeDefined();
      expect(await replayed(11, fidelity)).toBe(once);
    },
  );

  it.each<[number, Fidelity]>([
    [TLS, 'tls'],
    [PLAIN, 'plain'],
  ])('keeps its invariants for %i bootstraps (%s)', { timeout: 36_000_000 }, async (wanted, fidelity) => {
    const totals = await runSeeds({ from: SEEDS[fidelity], bootstraps: wanted, minutes: MINUTES, fidelity });
    process.stdout.write(summary(totals));
    expect(authentications(totals)).toBeGreaterThanOrEqual(wanted);
  });
});
