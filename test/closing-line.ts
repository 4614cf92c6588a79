import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';

/** A failed test with its place and its first error. */
interface Failure {
  /** Path relative to the project, with the line if it is known. */
  readonly place: string;
  /** The full name of the test, or what failed outside of tests. */
  readonly name: string;
  readonly text: string;
}

/** Maximum number of lines for one failed test, and approximately for all of them. */
const LINES_OF_ONE = 24;
const LINES_IN_ALL = 45;
const LINE_LENGTH = 240;

/**
 * Prints at the end of a run the failed tests, those that passed only when they were repeated, the seed of their order, and one
 * line for people and CI systems: `N passed, N failed, N skipped`. The file that PANA_TEST_REPORT names gets the same without the
 * last line, so that a script can print it again after several runs.
 */
export default class ClosingLine implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const root = this.#vitest?.config.root ?? process.cwd();
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const failed: Failure[] = unhandledErrors.map((error) =>
      failure(root, undefined, `an error outside of tests, last in ${error['VITEST_TEST_NAME'] ?? 'none'}`, [error]),
    );
    const repeated: Failure[] = [];
    for (const module of modules) {
      // A file that could not be loaded has no tests, and those of a failed `beforeAll` are skipped.
      const groups: (TestModule | TestSuite)[] = [module, ...module.children.allSuites()];
      for (const group of groups) {
        const name = group.type === 'suite' ? `${group.fullName} (set-up of the group)` : '(the file itself)';
        if (group.errors().length > 0) failed.push(failure(root, module, name, group.errors()));
      }
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        count[state] += 1;
        if (state === 'failed') failed.push(failureOf(root, test, errors));
        else if (state === 'passed' && errors && errors.length > 0) repeated.push(failureOf(root, test, errors));
      }
    }
    count.failed = failed.length;
    const projects = this.#vitest?.projects.map(({ name }) => name).join(' and ') ?? '';
    const report = reportOf(projects, this.#vitest?.config.sequence.seed, failed, repeated);
    const file = process.env['PANA_TEST_REPORT'];
    if (file) appendFileSync(file, report);
    process.on('exit', () => {
      process.stdout.write(
        `\n${report}\n${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped\n`,
      );
    });
  }
}

/** How to repeat a run with another seed than that of `npm test`. */
function explored(): string {
  const { PANA_TEST_SEED: given, PANA_TEST_RUNS: factor } = process.env;
  if (given === undefined) return '';
  return `; to repeat: PANA_TEST_SEED=${given} PANA_TEST_RUNS=${factor ?? 1} npm run explore`;
}

/** The report of one run; it ends with a line feed. */
function reportOf(
  run: string,
  seed: number | undefined,
  failed: readonly Failure[],
  repeated: readonly Failure[],
): string {
  const budget = Math.max(2, Math.min(LINES_OF_ONE, Math.floor(LINES_IN_ALL / (failed.length + repeated.length))));
  const list = (title: string, failures: readonly Failure[]) =>
    failures.length === 0 ? [] : [`${failures.length} ${title}:`, ...failures.flatMap((one) => lines(one, budget))];
  return [
    `Tests of ${run}, in the order of --sequence.seed=${seed ?? 'unknown'}${explored()}`,
    ...list('failed', failed),
    ...list('PASSED ONLY WHEN REPEATED: each of these has a fault. Their first errors were', repeated),
    '',
  ].join('\n');
}

function lines({ place, name, text }: Failure, budget: number): string[] {
  const all = stripVTControlCharacters(text)
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => (line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH)}…` : line));
  const shown = all.slice(0, budget - 1).map((line) => `      ${line}`);
  if (all.length > shown.length) shown.push(`      … ${all.length - shown.length} more lines`);
  return [`  ${place}  ${name}`, ...shown];
}

function failureOf(root: string, test: TestCase, errors: readonly SerializedError[]): Failure {
  return failure(root, test.module, test.fullName, errors);
}

/** Takes the first error of a test, since later ones are often its effects. */
function failure(
  root: string,
  module: TestModule | undefined,
  name: string,
  errors: readonly SerializedError[],
): Failure {
  const [error] = errors;
  const file = module?.moduleId;
  const frames = error?.stacks ?? [];
  const frame = frames.find((one) => one.file === file) ?? frames[0];
  const at = frame ? `${relative(root, frame.file)}:${frame.line}` : undefined;
  const own = file ? relative(root, file) : undefined;
  return {
    place:
      [own, at].filter((part, index) => part && !(index === 0 && at?.startsWith(own ?? '?'))).join(' at ') || 'nowhere',
    name,
    text: error ? textOf(error) : 'no error was given',
  };
}

/**
 * The message of an error, the message of its cause, and the difference between the expected and the received value.
 */
function textOf(error: SerializedError): string {
  const cause = error.cause as SerializedError | undefined;
  return [
    `${error.name ?? 'Error'}: ${error.message}`,
    ...(cause?.message ? [`caused by: ${cause.message}`] : []),
    ...(typeof error['diff'] === 'string' ? [error['diff']] : []),
  ].join('\n');
}
