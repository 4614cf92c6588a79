import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { passwordFromFile, passwordIn } from '../../src/store/password-file.js';

const PLACE = { host: 'db.home.example', port: 5432, database: 'pana', user: 'aaa' };

describe('passwordIn', () => {
  it.each([
    ['db.home.example:5432:pana:aaa:secret', 'secret'],
    ['*:*:*:*:secret', 'secret'],
    ['*:*:*:*:secret\r', 'secret'],
    // The last field is the rest of the line.
    [String.raw`*:*:*:*:a:b\:c\\d`, String.raw`a:b:c\d`],
    ['other:*:*:*:wrong\n#*:*:*:*:wrong\n*:*:*:wrong\n\n*:*:*:*:secret\n*:*:*:*:late', 'secret'],
    ['db.home.example:5433:*:*:wrong', undefined],
    ['*:*:pan:*:wrong\n*:*:*:aa:wrong\n*:*:*:*:', undefined],
    ['', undefined],
  ])('in %j finds %j', (text, password) => {
    expect(passwordIn(text, PLACE)).toBe(password);
  });

  it('accepts escaped colons and backslashes in fields', () => {
    const place = { ...PLACE, host: '2001:db8::5', user: String.raw`a\b` };
    expect(passwordIn(String.raw`2001\:db8\:\:5:*:*:a\\b:secret`, place)).toBe('secret');
    expect(passwordIn(String.raw`2001:db8::5:*:*:a\\b:secret`, place)).toBe(undefined);
  });

  it('matches a UNIX socket by its folder or as localhost', () => {
    const place = { ...PLACE, host: '/var/run/postgresql' };
    expect(passwordIn('localhost:*:*:*:secret', place)).toBe('secret');
    expect(passwordIn('/var/run/postgresql:*:*:*:secret', place)).toBe('secret');
    expect(passwordIn('127.0.0.1:*:*:*:secret', place)).toBe(undefined);
  });
});

describe('passwordFromFile', () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pana-pgpass-'));
    path = join(folder, 'pgpass');
    vi.stubEnv('PGPASSFILE', path);
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });

  it('returns the password of the matching line', async () => {
    await writeFile(path, '*:*:*:*:secret\n', { mode: 0o600 });
    expect(await passwordFromFile(PLACE)).toBe('secret');
  });

  it.each([0o640, 0o604, 0o620, 0o602])('rejects a file that other users can read or write: mode %o', async (mode) => {
    await writeFile(path, '*:*:*:*:secret\n');
    await chmod(path, mode);
    await expect(passwordFromFile(PLACE)).rejects.toThrow(`users other than its owner can use ${path}: chmod 600`);
  });

  it('reports a missing file and a file without a matching line', async () => {
    await expect(passwordFromFile(PLACE)).rejects.toThrow(`there is no file ${path}`);
    await writeFile(path, 'other:*:*:*:secret\n', { mode: 0o600 });
    await expect(passwordFromFile(PLACE)).rejects.toThrow(`${path} has no line for this database and user`);
  });
});
