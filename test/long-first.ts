import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that run longest in `npm test` and in `npm run test:system`, the longest first, as beginnings of their paths in test. */
const LONG = [
  'daemons/bootstrap',
  'long/simulation',
  'system/quick-start',
  'long/',
  'protocol/pana/session/simulation',
  'system/daemons/',
  'system/',
  'daemons/',
  'simulation/world',
  'scripts/hook-scripts',
];

/**
 * Starts the longest files first. A file that runs for minutes and starts last keeps one processor busy while the other has
 * nothing to do. Among files of equal rank the order of vitest remains.
 */
export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const ranks = new Map(files.map((file) => [file, rankOf(file)]));
    return (await super.sort(files)).sort((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0));
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const [, path = ''] = /\/test\/(.*)$/.exec(moduleId) ?? [];
  const rank = LONG.findIndex((beginning) => path.startsWith(beginning));
  return rank === -1 ? LONG.length : rank;
}
