import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { run } from '../daemons/program.js';
import { announce, missing } from './access-network.js';

const execute = promisify(execFile);

const PAGES = [
  ['tool', '1'],
  ...(['pac', 'paa', 'aaa'] as const).flatMap((daemon) => [[daemon, '8'] as const, [daemon, '5'] as const]),
] as const;

/** The output of a program that reads a page; what it complains about is part of it. */
async function read(program: string, ...parameters: readonly string[]): Promise<string> {
  return execute(program, parameters).then(
    ({ stdout, stderr }) => stdout + stderr,
    ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
  );
}

describe.each(PAGES)('The manual page of %s in section %s', (program, section) => {
  const page = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pana-manual-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = join(folder, 'page');
    await writeFile(path, (await run(program, ['--manual', section])).stdout);
    return path;
  };

  it.skipIf(!announce('mandoc', missing('mandoc')))('is clean for mandoc -T lint', async () => {
    expect(await read('mandoc', '-T', 'lint', await page())).toBe('');
  });

  it.skipIf(!announce('groff', missing('groff')))('is clean for groff with all warnings', async () => {
    expect(await read('groff', '-man', '-ww', '-z', await page())).toBe('');
  });
});
