import { configDefaults, defineConfig } from 'vitest/config';
import { LongFirst } from './long-first.js';

const test = {
  // The last resort on a loaded machine: waits in tests fail long before, with a message (test/eventually.ts).
  testTimeout: 120_000,
  hookTimeout: 120_000,
  pool: 'forks',
  // The tests of a file run in random order; the last lines of a run give the seed that repeats it.
  sequence: { shuffle: { files: false, tests: true } },
} as const;

/** Tests that need root, other programs or many minutes: `npm run test:system`. */
const system = ['test/system/**/*.test.ts', 'test/long/**/*.test.ts'];

/** Part of both groups: a sample of the seeds in `npm test`, all of them in `npm run test:system`. */
const seeded = ['test/protocol/pana/session/simulation.test.ts'];

/** Part of both groups: on SQLite in `npm test`, on PostgreSQL in `npm run test:system`. */
const databases = [
  'clock-step',
  'duties',
  'home-agents',
  'imports',
  'lists',
  'migration',
  'movement',
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
          env: { PANA_DATABASES: 'SQLite' },
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...system],
        },
      },
      {
        test: {
          ...test,
          name: 'system',
          include: [...system, ...seeded, ...databases],
          env: { PANA_SEEDS: process.env['PANA_SEEDS'] ?? '4000', PANA_DATABASES: 'PostgreSQL' },
        },
      },
    ],
  },
});
