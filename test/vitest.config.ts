import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { configDefaults, defineConfig } from 'vitest/config';
import { LongFirst } from './long-first.js';

/** `npm run explore` sets this to `random`, and a person who repeats a run to its seed. */
const given = process.env['PANA_TEST_SEED'];
const seed = given === 'random' ? randomInt(2, 2 ** 30) : Number(given ?? 1);
const isExploring = given !== undefined;
// For the last lines of the run (test/closing-line.ts).
if (given === 'random') process.env['PANA_TEST_SEED'] = String(seed);
const PANA_TEST_RUNS = process.env['PANA_TEST_RUNS'] ?? '1';
const seeds = { PANA_TEST_SEED: String(seed), PANA_TEST_RUNS };

/** With another seed, the main group has only the tests to which it matters. */
const withSeed = (file: string) =>
  /from '(?:fast-check|[./]*\/seed\.js)'/.test(readFileSync(new URL(file, import.meta.url), 'utf8'));
const properties = isExploring
  ? readdirSync(new URL('.', import.meta.url), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.test.ts') && withSeed(file))
      .map((file) => `test/${file}`)
  : [];

const test = {
  // The last resort on a loaded machine: waits in tests fail long before, with a message (test/eventually.ts).
  testTimeout: 120_000 * Math.max(1, Number(PANA_TEST_RUNS)),
  hookTimeout: 120_000,
  pool: 'forks' as const,
  // Properties and simulations have one seed, and the tests of a file run in an order that follows from it.
  setupFiles: ['test/properties.ts'],
  sequence: { shuffle: { files: false, tests: true }, seed },
};

/** Tests that need root, other programs or many minutes: `npm run test:system`. */
const system = ['test/system/**/*.test.ts', 'test/long/**/*.test.ts'];

/** Part of both groups: a sample of the seeds in `npm test`, all of them in `npm run test:system`. */
const seeded = ['test/protocol/pana/session/simulation.test.ts'];

/** Part of both groups: on SQLite in `npm test`, on PostgreSQL in `npm run test:system`. */
const databases = [
  'clock-step',
  'duties',
  'home-agent-sessions',
  'home-agents',
  'imports',
  'lists',
  'migration',
  'movement',
  'services',
  'store',
  'subscribers',
  'upkeep',
].map((name) => `test/store/${name}.test.ts`);

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    reporters: ['default', './test/closing-line.ts'],
    // One more than the two processors of the machine that runs .ci/run: tests with daemons often wait for them, or for a disk.
    maxWorkers: 3,
    sequence: { ...test.sequence, sequencer: LongFirst },
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['text', 'json-summary'] },
    projects: [
      {
        test: {
          ...test,
          name: 'main',
          env: { ...seeds, PANA_DATABASES: 'SQLite' },
          include: isExploring ? properties : ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...system],
        },
      },
      {
        test: {
          ...test,
          name: 'system',
          include: [...system, ...seeded, ...databases],
          env: { ...seeds, PANA_SEEDS: process.env['PANA_SEEDS'] ?? '4000', PANA_DATABASES: 'PostgreSQL' },
        },
      },
    ],
  },
});
