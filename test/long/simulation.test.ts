import { describe, expect, it } from 'vitest';
import { type Fidelity, runSeeds } from '../simulation/seeds.js';

/** Bootstraps with the stand-in for TLS, and with TLS; the environment may want more. */
const PLAIN = Number(process.env['SIMULATION_BOOTSTRAPS'] ?? 50_000);
const TLS = 2_000;

/** The first seed of each. */
const SEEDS = { plain: 10_000, tls: 20_000 };

describe('the simulated world', () => {
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
