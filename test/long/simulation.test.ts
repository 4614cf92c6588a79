import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Fidelity } from '../simulation/seeds.js';
import { HALF, keepsInvariants } from './kept-invariants.js';

/** Replays a seed in its own process. Resolves to its steps and their hash. */
async function replayed(seed: number, fidelity: Fidelity): Promise<string | undefined> {
  const env = {
    ...process.env,
    // With a seed of its own, the inner run would be one of `npm run explore`.
    PANA_TEST_SEED: undefined,
    SIMULATION_SEED: String(seed),
    SIMULATION_MINUTES: '2',
    SIMULATION_FIDELITY: fidelity,
  };
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

  it('keeps its invariants with TLS', { timeout: 36_000_000 }, () => keepsInvariants('tls', 20_000, 2_000));

  it('keeps its invariants with stand-in EAP, second half', { timeout: 36_000_000 }, () =>
    keepsInvariants('plain', 15_000, HALF),
  );
});
