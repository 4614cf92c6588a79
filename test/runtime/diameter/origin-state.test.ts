import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nextOriginState } from '../../../src/runtime/diameter/origin-state.js';

const NOW = Date.UTC(2030, 0, 1);

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-origin-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('nextOriginState', () => {
  it('is the wall clock in seconds', async () => {
    expect(await nextOriginState(join(folder, 'new'), NOW + 999)).toBe(NOW / 1000);
    expect(await readdir(join(folder, 'new'))).toEqual(['origin-state']);
  });

  it('increases with each start, even within one second and after the clock was set back', async () => {
    const ids: number[] = [];
    for (const now of [NOW, NOW, NOW - 86_400_000, NOW + 60_000]) ids.push(await nextOriginState(folder, now));
    const start = NOW / 1000;
    expect(ids).toEqual([start, start + 1, start + 2, start + 60]);
  });

  it('fails if the stored value cannot be read', async () => {
    const path = join(folder, 'origin-state');
    await mkdir(path);
    await expect(nextOriginState(folder, NOW)).rejects.toMatchObject({ code: 'EISDIR', syscall: 'read', path });
    expect(await readdir(folder)).toEqual(['origin-state']);
  });

  it.each(['', '12', 'a day\n', '4294967295\n', '99999999999\n'])(
    'starts again from the clock if the stored value is %j',
    async (text) => {
      await writeFile(join(folder, 'origin-state'), text);
      expect(await nextOriginState(folder, NOW)).toBe(NOW / 1000);
    },
  );
});
