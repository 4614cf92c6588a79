import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EndedLogins } from '../../../src/runtime/web/ended-logins.js';
import type { EndedLogin } from '../../../src/runtime/web/login.js';

const [FIRST, SECOND] = ['a'.repeat(22), '-_'.repeat(11)];

let folder: string;
let errors: string[];
const at = (path: string) => new EndedLogins(path, ({ message }) => errors.push(message));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ended-'));
  errors = [];
});
afterEach(() => rm(folder, { recursive: true }));

it('keeps ended logins for the next run, in a file of its owner', async () => {
  const path = join(folder, 'made', 'token');
  expect(await at(path).read()).toEqual([]);
  const file = at(path);
  file.write([[FIRST, 1]]);
  file.write([[FIRST, 1]]);
  const all: EndedLogin[] = [
    [FIRST, 1],
    [SECOND, 2],
  ];
  file.write(all);
  await file.settled();
  expect(await at(path).read()).toEqual(all);
  expect((await stat(`${path}-ended`)).mode & 0o777).toBe(0o600);
  expect(errors).toEqual([]);
});

it('ignores lines that are no logins', async () => {
  await writeFile(join(folder, 'token-ended'), `${FIRST} 1\n\n${SECOND}\nrubbish ${'x'.repeat(100)}\n${SECOND} 2`);
  expect(await at(join(folder, 'token')).read()).toEqual([
    [FIRST, 1],
    [SECOND, 2],
  ]);
});

it('reports a file that cannot be written or read', async () => {
  await writeFile(join(folder, 'file'), '');
  const file = at(join(folder, 'file', 'token'));
  file.write([[FIRST, 1]]);
  await file.settled();
  expect(errors).toHaveLength(1);
  await expect(file.read()).rejects.toThrow('ENOTDIR');
});
