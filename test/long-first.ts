import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Starts the files of test/long before all others. A file that runs for minutes and starts last keeps one processor busy
 * while the other has nothing to do. Within test/long, and among the other files, the order of vitest remains.
 */
export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) =>
      /\/test\/(long\/|protocol\/pana\/session\/simulation)/.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
