import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram } from '../../../dist/lab/network-lab/hosts.js';
import { buildShim, needsShim } from '../../../dist/lab/uml/xstate.js';
import { announce } from '../access-network.js';

const run = promisify(execFile);
const why = process.arch === 'x64' && process.platform === 'linux' ? undefined : 'it is for Linux on x86-64';
const possible = announce('the shim for user-mode Linux', why ?? (hasProgram('cc') ? undefined : 'it needs cc'));

let folder: string;
let shim: string;
let program: string;

beforeAll(async () => {
  if (!possible) return;
  folder = await mkdtemp(join(tmpdir(), 'pana-xstate-'));
  shim = await buildShim(folder);
  program = join(folder, 'set-xstate');
  const source = fileURLToPath(new URL('set-xstate.c', import.meta.url));
  await run('cc', ['-Wall', '-Wextra', '-Werror', '-o', program, source]);
});

afterAll(async () => {
  if (possible) await rm(folder, { recursive: true, force: true });
});

/** Sets the first octets of the state of a process; resolves with the size of the state and the result. */
async function set(length: number, preload: boolean): Promise<{ readonly size: number; readonly result: string }> {
  const { stdout } = await run(program, [String(length)], { env: preload ? { LD_PRELOAD: shim } : {} });
  const [size = '', ...result] = stdout.trim().split(' ');
  return { size: Number(size), result: result.join(' ') };
}

describe.runIf(possible)('the shim for processors with a large state', () => {
  it('makes the kernel accept the beginning of the state, which it refuses alone', async () => {
    const { size } = await set(0, false);
    // Up to the header, and all but the last component.
    for (const length of [576, size - 8]) {
      expect(await set(length, false)).toEqual({ size, result: 'refused unset' });
      expect(await set(length, true)).toEqual({ size, result: 'accepted set' });
    }
  });

  it('changes nothing about a whole state, and about one without the header', async () => {
    const { size } = await set(0, false);
    for (const preload of [false, true]) {
      expect(await set(size, preload)).toEqual({ size, result: 'accepted set' });
      expect(await set(512, preload)).toEqual({ size, result: 'refused unset' });
    }
  });
});

describe('a processor needs the shim', () => {
  it.each([
    ['with AMX', 'flags\t\t: fpu vme amx_bf16 avx512_fp16 amx_tile amx_int8 flush_l1d', true],
    ['without AMX', 'flags\t\t: fpu vme avx512f pku ospke', false],
    ['that has no such line', 'Features\t: fp asimd', false],
  ] as const)('%s: %s', (_name, text, needed) => {
    expect(needsShim(`processor\t: 0\n${text}\nbugs\t\t: spectre_v1\n`)).toBe(needed);
  });
});
