/**
 * The seed of all properties and simulations of a run. It is fixed, so that two runs of one commit test the same; `npm run
 * explore` takes another one each time. test/vitest.config.ts chooses it and hands it to each process of a run.
 */
export const SEED = Number(process.env['PANA_TEST_SEED'] ?? 1);

/** By this factor a property has more runs than in `npm test`. */
const FACTOR = Number(process.env['PANA_TEST_RUNS'] ?? 1);

/** The number of runs of a property that has `usual` of them in `npm test`. */
export function runs(usual: number): number {
  return Math.max(1, Math.round(usual * FACTOR));
}

/** The seeds of a simulation that has the seeds from 0 to `usual` in `npm test`. */
export function seedsOf(usual: number): number[] {
  const first = SEED === 1 ? 0 : SEED % 2 ** 30;
  return Array.from({ length: runs(usual) }, (_, i) => first + i);
}

/** The seed as `length` octets. */
export function seedOctets(length: number): Uint8Array {
  const octets = new Uint8Array(length);
  new DataView(octets.buffer).setUint32(0, SEED);
  return octets;
}

/** The time limit in milliseconds of a test whose property or simulation takes up to `usual` in `npm test`. */
export function patience(usual: number): number {
  return usual * Math.max(1, FACTOR);
}
