import { chmod, lstat, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EndedLogin, Logins } from '../../../src/runtime/web/login.js';
import { readToken } from '../../../src/runtime/web/token-file.js';
import { VirtualHost } from '../../virtual-host.js';

const TOKEN = 'a'.repeat(40);
const HERE = '127.0.0.1';

function loggedIn(logins: Logins, address = HERE, known?: string) {
  const result = logins.login(TOKEN, 'alice', address, known);
  if (result.result !== 'accepted') throw new Error(result.result);
  return result;
}

describe('Logins', () => {
  it('are valid for twelve hours, in every server with this token, and in no other', () => {
    const host = new VirtualHost();
    const { login, known } = loggedIn(new Logins(TOKEN, host));
    const restarted = new Logins(TOKEN, host);
    expect(restarted.check(login)?.operator).toBe('alice');
    expect(new Logins('b'.repeat(40), host).check(login)).toBeUndefined();
    for (const bad of [undefined, '', known, login.slice(0, -1), `${login}A`, login.replace(/^\d/, '9'), 'a.b.c.d']) {
      expect(restarted.check(bad)).toBeUndefined();
    }
    host.advance(12 * 3_600_000);
    expect(restarted.check(login)).toBeUndefined();
  });

  it('end', () => {
    const logins = new Logins(TOKEN, new VirtualHost());
    const [first, second] = [loggedIn(logins), loggedIn(logins)];
    const login = logins.check(first.login);
    if (login) logins.end(login);
    expect(logins.check(first.login)).toBeUndefined();
    expect(logins.check(second.login)?.operator).toBe('alice');
  });

  it('that were ended stay so in the next run, and are forgotten when they would have ended', () => {
    const host = new VirtualHost();
    const runs: (readonly EndedLogin[])[] = [];
    const first = new Logins(TOKEN, host, [], (ended) => runs.push(ended));
    const one = loggedIn(first).login;
    const end = (logins: Logins, cookie: string) => {
      const login = logins.check(cookie);
      if (login) logins.end(login);
    };
    end(first, one);
    expect(runs.map((ended) => ended.length)).toEqual([1]);
    expect(new Logins(TOKEN, host).check(one)?.operator).toBe('alice');
    const second = new Logins(TOKEN, host, runs[0], (ended) => runs.push(ended));
    expect(second.check(one)).toBeUndefined();
    host.advance(3_600_000);
    const two = loggedIn(second).login;
    end(second, two);
    expect(runs[1]).toHaveLength(2);
    host.advance(11 * 3_600_000);
    const three = loggedIn(second).login;
    end(second, three);
    expect(runs[2]?.map(([nonce]) => nonce)).toEqual([two, three].map((cookie) => cookie.split('.')[1]));
  });

  it('limit the failures of an address, and lock out neither other addresses nor known browsers', () => {
    const host = new VirtualHost();
    const logins = new Logins(TOKEN, host);
    const { known } = loggedIn(logins);
    const results = Array.from({ length: 20 }, () => logins.login('wrong', 'mallory', HERE, undefined).result);
    expect([results.indexOf('limited'), results.at(-1)]).toEqual([10, 'limited']);
    expect(logins.login(TOKEN, 'alice', HERE, undefined).result).toBe('limited');
    expect(logins.login(TOKEN, 'alice', '192.0.2.1', undefined).result).toBe('accepted');
    expect(logins.login(TOKEN, 'alice', HERE, known).result).toBe('accepted');
    for (let i = 0; i < 20; i += 1) logins.login('wrong', 'alice', HERE, known);
    expect(logins.login(TOKEN, 'alice', HERE, known).result).toBe('limited');
    host.advance(30_000);
    expect(logins.login(TOKEN, 'alice', HERE, undefined).result).toBe('accepted');
  });

  it('limit the failures of a network', () => {
    const logins = new Logins(TOKEN, new VirtualHost());
    const from = (i: number) => logins.login('wrong', 'mallory', `2001:db8::${i.toString(16)}`, undefined).result;
    const results = Array.from({ length: 60 }, (_, i) => from(i + 1));
    expect(results.indexOf('limited')).toBe(50);
  });
});

describe('The token file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'token-'));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const random = (octets: number) => new Uint8Array(octets).fill(1);

  it('is created for its owner only, and read again', async () => {
    const path = join(folder, 'made', 'token');
    const token = await readToken(path, random);
    expect(token).toMatch(/^[\w-]{43}$/);
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
    expect(await readToken(path, () => new Uint8Array(32))).toBe(token);
    expect(await readFile(path, 'utf8')).toBe(`${token}\n`);
  });

  it.each([
    ['readable by the group', 0o640, TOKEN, 'others can read'],
    ['writable by others', 0o602, TOKEN, 'others can read'],
    ['short', 0o600, 'secret', 'less than 32 characters'],
    ['of several words', 0o600, 'correct horse battery staple and more', 'one word'],
  ])('is refused if it is %s', async (_what, mode, content, message) => {
    const path = join(folder, 'token');
    await writeFile(path, content);
    await chmod(path, mode);
    await expect(readToken(path, random)).rejects.toThrow(message);
  });

  it('is refused if it is a link, also to a good one', async () => {
    const path = join(folder, 'token');
    await readToken(path, random);
    await symlink(path, join(folder, 'link'));
    await expect(readToken(join(folder, 'link'), random)).rejects.toThrow('symbolic link');
  });
});
