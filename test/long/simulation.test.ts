import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type Fidelity, runSeeds } from '../simulation/seeds.js';

/**
 * The number of authentications with stand-in EAP and with TLS. One core does 10,000 in about three minutes;
 * SIMULATION_BOOTSTRAPS=50000 sets another number.
 */
const PLAIN = Number(process.env['SIMULATION_BOOTSTRAPS'] ?? 10_000);
const TLS = 2_000;

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
  it.each<Fidelity>(['plain', 'tls'])('is equal in two processes (%s)', { timeout: 240_000 }, async (fidelity) => {
    const once = await replayed(11, fidelity);
    expect(once).toBeDefined();
    expect(await replayed(11, fidelity)).toBe(once);
  });

  it.each<[number, Fidelity]>([
    [TLS, 'tls'],
    [PLAIN, 'plain'],
  ])('keeps its invariants for %i bootstraps (%s)', { timeout: 36_000_000 }, async (wanted, fidelity) => {
    const totals = await runSeeds(SEEDS[fidelity], wanted, 30, fidelity);
    const { worlds, bootstraps, reauthentications, hours, cpu } = totals;
    const all = bootstraps + reauthentications;
    process.stdout.write(
      `${worlds} worlds, ${bootstraps} first and ${reauthentications} later authentications, ${hours.toFixed(1)} hours of ` +
        `virtual time, ${cpu.toFixed(1)} s CPU, ${((1_000 * cpu) / all).toFixed(2)} ms each\n`,
    );
    expect(all).toBeGreaterThanOrEqual(wanted);
  });
});
