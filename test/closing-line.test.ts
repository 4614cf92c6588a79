import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const SAMPLE = `
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
let tries = 0;
it('passes when repeated', () => expect((tries += 1)).toBe(2));
it('never passes', () => expect({ a: [2] }).toEqual({ a: [3] }));
it('holds for no number', () => fc.assert(fc.property(fc.nat(), (n) => n < 0), { seed: 77 }));
it('passes', () => undefined);
it.skip('is skipped', () => undefined);
describe('a group', () => {
  beforeAll(() => { throw new Error('no set-up'); });
  it('never runs', () => undefined);
});
`;

let folder: string;
let output: string;
let report: string;

describe('The report of a test run', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pana-report-'));
    await symlink(fileURLToPath(new URL('../node_modules', import.meta.url)), join(folder, 'node_modules'));
    await writeFile(join(folder, 'sample.test.ts'), SAMPLE);
    const reporter = fileURLToPath(new URL('closing-line.ts', import.meta.url));
    const program = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));
    const parameters = [program, 'run', '--root', folder, '--reporter', reporter, '--retry=1', '--sequence.seed=4242'];
    const env = { PATH: process.env['PATH'], PANA_TEST_REPORT: join(folder, 'report') };
    output = await new Promise((resolve) => {
      execFile(process.execPath, parameters, { cwd: folder, env }, (_, stdout) => resolve(stdout));
    });
    report = await readFile(join(folder, 'report'), 'utf8');
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('ends with a line of counts', () => {
    expect(output.trim().split('\n').at(-1)).toBe('2 passed, 3 failed, 2 skipped');
  });

  it('contains each failed test with file, line and first error', () => {
    expect(report).toContain('3 failed:\n');
    expect(report).toMatch(/sample\.test\.ts:6 {2}never passes\n +AssertionError: expected .* to deeply equal/);
    expect(report).toMatch(/sample\.test\.ts:11 {2}a group \(set-up of the group\)\n +Error: no set-up\n/);
  });

  it('contains the seed of a failed property and of the order of tests', () => {
    expect(report).toMatch(/sample\.test\.ts:7 {2}holds for no number\n.*\n.*seed: 77,/);
    expect(report).toContain('--sequence.seed=4242');
  });

  it('contains a test that passed only when repeated, with its first error', () => {
    const [, list] = report.split('1 PASSED ONLY WHEN REPEATED');
    expect(list).toMatch(/sample\.test\.ts:5 {2}passes when repeated\n +AssertionError: expected 1 to be 2/);
  });

  it('is also printed to standard output', () => {
    expect(output).toContain(report.trim());
  });
});
