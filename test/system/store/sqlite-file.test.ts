import { chmodSync, existsSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OpenOptions, Store } from '../../../src/store/store.js';
import { backUp, restore } from '../../../src/store/store-file.js';
import { eventually } from '../../eventually.js';
import { StoreUser, subscriberOf } from '../../store/fixtures.js';
import { openStore } from '../../store/open-store.js';
import { announce } from '../access-network.js';

const isRoot = announce('store files left by root', process.geteuid?.() === 0 ? undefined : 'it needs root');

let folder: string;
let path: string;
let open: Store[];
const quiet = () => undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
  path = join(folder, 'store.db');
  open = [];
});

afterEach(async () => {
  for (const store of open) await store.close();
  await rm(folder, { recursive: true, force: true });
});

async function begin(options: OpenOptions = { use: 'server' }, where = path): Promise<Store> {
  const store = await openStore(where, options);
  open.push(store);
  return store;
}

/** A server's store and the state changes that it reports. */
async function watched(): Promise<{ store: Store; news: string[] }> {
  const news: string[] = [];
  const events = { state: (works: boolean, reason: string) => void news.push(works ? 'works' : reason) };
  return { store: await begin({ use: 'server', events }), news };
}

describe('The files of a store', () => {
  const modes = () =>
    Object.fromEntries(readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mode & 0o777]));

  for (const umask of [0o000, 0o022, 0o277, 0o777]) {
    it(`have mode 0600 with umask ${umask.toString(8)}, backups too`, async () => {
      const before = process.umask(umask);
      try {
        const store = await begin();
        await store.run('addSubscriber', { subscriber: subscriberOf('mn@home.example') });
        await backUp(path, join(folder, 'backup.db'), quiet);
        await restore(join(folder, 'backup.db'), join(folder, 'other.db'), quiet);
        const found = modes();
        const names = [
          'backup.db',
          'other.db',
          'other.db-lock',
          'store.db',
          'store.db-lock',
          'store.db-shm',
          'store.db-wal',
        ];
        expect(Object.keys(found).sort()).toEqual(names);
        expect(Object.values(found).every((mode) => mode === 0o600)).toBe(true);
      } finally {
        process.umask(before);
      }
    });
  }

  it('lose group and other permissions that an earlier version gave them', async () => {
    const before = process.umask(0o022);
    try {
      const file = new Database(path);
      file.pragma('journal_mode = WAL');
      file.exec('CREATE TABLE kysely_migration (name, timestamp)');
      for (const ending of ['', '-wal', '-shm']) chmodSync(path + ending, 0o644);
      await begin();
      file.close();
      expect(Object.values(modes()).every((mode) => mode === 0o600)).toBe(true);
    } finally {
      process.umask(before);
    }
  });

  it('have mode 0600 if the path is a dangling symbolic link', async () => {
    const before = process.umask(0o022);
    try {
      symlinkSync(join(folder, 'behind.db'), path);
      await begin();
      expect(modes()).toMatchObject({ 'behind.db': 0o600, 'behind.db-wal': 0o600, 'behind.db-shm': 0o600 });
      await expect(begin({ use: 'server' }, join(folder, 'behind.db'))).rejects.toThrow('another server');
    } finally {
      process.umask(before);
    }
  });

  it.skipIf(!isRoot)('get the owner of the folder, also those that root left behind', async () => {
    await chown(folder, 1234, 1235);
    for (const name of [path, `${path}-lock`]) writeFileSync(name, '');
    await begin();
    for (const name of readdirSync(folder))
      expect(await stat(join(folder, name))).toMatchObject({ uid: 1234, gid: 1235 });
  });
});

describe('A SQLite store', () => {
  it('admits one server at a time', async () => {
    const first = await begin();
    await expect(begin()).rejects.toMatchObject({ code: 'ERR_STORE_LOCKED' });
    await expect(begin()).rejects.toThrow(`${path}: another server or command has this store open`);
    await first.run('addSubscriber', { subscriber: subscriberOf('mn@home.example') });
    await first.close();
    const second = await begin();
    expect((await second.run('listSubscribers', {})).items).toHaveLength(1);
  });

  it('is locked under all symbolic links to it', async () => {
    await begin();
    const link = join(folder, 'link.db');
    symlinkSync(path, link);
    await expect(begin({ use: 'server' }, link)).rejects.toThrow('another server or command has this store open');
  });

  it('admits no command while a server has it open, and several commands at once otherwise', async () => {
    const server = await begin();
    await expect(begin({ use: 'command' })).rejects.toThrow(/a server has this store open.*--control\.socket/);
    await expect(restore(path, path, quiet)).rejects.toMatchObject({ code: 'ERR_STORE_LOCKED' });
    await backUp(path, join(folder, 'backup.db'), quiet);
    await server.close();
    const commands = [await begin({ use: 'command' }), await begin({ use: 'command' })];
    await Promise.all(
      commands.map((store, i) => store.run('addSubscriber', { subscriber: subscriberOf(`mn${i}@home.example`) })),
    );
    await expect(begin()).rejects.toThrow('or command has this store open');
  });
});

describe('An open store whose file', () => {
  const LOST = /^the store .*store\.db is lost: .*store\.db(-wal)? was (deleted|replaced by another file)/;

  for (const [what, harm] of [
    ['is deleted', () => rmSync(path)],
    ['loses its write-ahead log', () => rmSync(`${path}-wal`)],
    [
      'is replaced',
      () => {
        writeFileSync(join(folder, 'new.db'), '');
        renameSync(join(folder, 'new.db'), path);
      },
    ],
  ] as const) {
    it(`${what} fails every call and reports the loss without a call`, async () => {
      const { store, news } = await watched();
      const user = new StoreUser(() => store);
      await user.addAgent(1);
      await user.addSubscriber('mn@home.example');
      harm();
      await eventually(() => expect(news).toEqual([expect.stringMatching(LOST)]));
      await expect(user.bootstrap('mn@home.example', 's1')).rejects.toMatchObject({ code: 'ERR_STORE_DOWN' });
      await expect(store.run('listSubscribers', {})).rejects.toThrow(LOST);
      expect(news).toHaveLength(1);
    });
  }

  it('was moved away and moved back works again', async () => {
    const { store, news } = await watched();
    const away = join(folder, 'away.db');
    renameSync(path, away);
    await expect(store.run('listSubscribers', {})).rejects.toThrow('was deleted');
    renameSync(away, path);
    expect((await store.run('listSubscribers', {})).items).toEqual([]);
    expect(news).toEqual([expect.stringMatching(LOST), 'works']);
  });

  it('was replaced does not write to the new file when it is closed', async () => {
    const store = await begin();
    await store.run('addSubscriber', { subscriber: subscriberOf('old@home.example') });
    rmSync(path);
    for (const ending of ['-wal', '-shm']) rmSync(path + ending);
    const other = new Database(path);
    other.pragma('journal_mode = WAL');
    other.exec('CREATE TABLE new (value); INSERT INTO new VALUES (1)');
    await store.close();
    expect(existsSync(`${path}-wal`)).toBe(true);
    expect(other.prepare('SELECT value FROM new').all()).toEqual([{ value: 1 }]);
    other.close();
  });
});

describe('restore', () => {
  it('ignores the write-ahead log of the file that it replaces', async () => {
    const store = await begin();
    await store.run('addSubscriber', { subscriber: subscriberOf('new@home.example') });
    await store.close();
    await backUp(path, join(folder, 'backup.db'), quiet);
    // A killed server leaves its last writes in the write-ahead log.
    const killed = join(folder, 'killed');
    await mkdir(killed);
    const place = join(killed, 'store.db');
    const file = new Database(place);
    file.pragma('journal_mode = WAL');
    file.exec('CREATE TABLE t (value)');
    const beside = new Database(place);
    await restore(join(folder, 'backup.db'), place, quiet);
    beside.close();
    file.close();
    const restored = await begin({ use: 'server' }, place);
    expect((await restored.run('listSubscribers', {})).items).toMatchObject([{ nai: 'new@home.example' }]);
  });

  it.each(['', 'CREATE TABLE t (value)', 'CREATE TABLE kysely_migration (name, timestamp)'])(
    'rejects a database that is no store and leaves the store unchanged: "%s"',
    async (content) => {
      const store = await begin();
      await store.run('addSubscriber', { subscriber: subscriberOf('mn@home.example') });
      await store.close();
      const foreign = join(folder, 'foreign.db');
      const file = new Database(foreign);
      file.exec(content);
      file.close();
      if (content === '') writeFileSync(foreign, '');
      await expect(restore(foreign, path, quiet)).rejects.toThrow(`${foreign} is not a store`);
      expect((await (await begin()).run('listSubscribers', {})).items).toHaveLength(1);
    },
  );
});
