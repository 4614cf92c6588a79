import { configDefaults, defineConfig } from 'vitest/config';

const test = {
  testTimeout: 60_000,
  hookTimeout: 60_000,
  expect: { poll: { timeout: 30_000 } },
  pool: 'forks',
  // The tests of a file run in another order each time; the last lines of a run give the seed that repeats it.
  sequence: { shuffle: { files: false, tests: true } },
} as const;

/** What needs root, other programs, or many minutes: `npm run test:system`. */
const system = ['test/system/**/*.test.ts', 'test/long/**/*.test.ts'];

/** Runs in both groups: `npm test` takes a sample of its seeds, `npm run test:system` all of them. */
const seeded = ['test/protocol/pana/session/simulation.test.ts'];

/** Runs in both groups: on SQLite in `npm test`, on PostgreSQL in `npm run test:system`. */
const databases = [
  'clock-step',
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
    maxWorkers: 2,
    sequence: test.sequence,
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
          env: { PANA_SEEDS: '20000', PANA_DATABASES: 'PostgreSQL' },
        },
      },
    ],
  },
});
