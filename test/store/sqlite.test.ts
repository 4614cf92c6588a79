import { chown, link, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteBackend } from '../../src/store/database.js';
import type { Store } from '../../src/store/store.js';
import { backUp, restore } from '../../src/store/store-file.js';
import { announce } from '../system/access-network.js';
import { StoreUser, subscriberOf } from './fixtures.js';
import { openStore } from './open-store.js';

const isRoot = announce('a store created by root', process.geteuid?.() === 0 ? undefined : 'it needs root');
let folder: string;
let store: Store;
const user = new StoreUser(() => store);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
  store = await openStore(join(folder, 'store.db'));
});

afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

describe('The SQLite database', () => {
  it('uses synchronous = FULL on every connection', async () => {
    const path = join(folder, 'again.db');
    for (let open = 0; open < 3; open += 1) {
      const backend = await SqliteBackend.open(path);
      // FULL.
      expect(await backend.read((db) => sql`PRAGMA synchronous`.execute(db))).toMatchObject({
        rows: [{ synchronous: 2 }],
      });
      await backend.close();
    }
    // The setting belongs to a connection, so the file by itself has another value.
    const file = new Database(path);
    expect(file.pragma('synchronous', { simple: true })).not.toBe(2);
    file.close();
  });

  it.skipIf(!isRoot)('gets the owner of its folder when root creates it; root keeps a backup', async () => {
    const theirs = join(folder, 'theirs');
    await mkdir(theirs);
    await chown(theirs, 1234, 1235);
    const path = join(theirs, 'store.db');
    const backend = await SqliteBackend.open(path);
    for (const name of ['store.db', 'store.db-wal', 'store.db-shm']) {
      expect(await stat(join(theirs, name))).toMatchObject({ uid: 1234, gid: 1235 });
    }
    await backend.close();
    await restore(join(folder, 'store.db'), path, () => undefined);
    expect(await stat(path)).toMatchObject({ uid: 1234, gid: 1235 });
    await backUp(path, join(theirs, 'mine.db'), () => undefined);
    expect(await stat(join(theirs, 'mine.db'))).toMatchObject({ uid: 0 });
  });

  it.skipIf(!isRoot)('keeps the owner of a file that has another hard link', async () => {
    const theirs = join(folder, 'theirs');
    await mkdir(theirs);
    await chown(theirs, 1234, 1235);
    const other = join(folder, 'of-root');
    await writeFile(other, '');
    await link(other, join(theirs, 'store.db'));
    await (await SqliteBackend.open(join(theirs, 'store.db'))).close();
    expect(await stat(other)).toMatchObject({ uid: 0 });
  });

  it('keeps a lease after the process ends', async () => {
    await user.addAgent(1);
    await user.addSubscriber('mn@home.example');
    const { lease } = await user.given('mn@home.example', 'one');
    // Another connection sees it at once, because it was committed before the call returned.
    const file = new Database(join(folder, 'store.db'), { readonly: true });
    expect(file.prepare('SELECT hoa, session_id FROM leases').all()).toEqual([
      { hoa: lease.homeAddress, session_id: 'one' },
    ]);
    file.close();
    await store.close();
    store = await openStore(join(folder, 'store.db'));
    expect((await store.run('listLeases', {})).items).toMatchObject([
      { homeAddress: lease.homeAddress, nai: 'mn@home.example' },
    ]);
  });

  it('rolls back only the failed calls of a commit', async () => {
    await user.addSubscriber('mn@home.example');
    const outcomes = await Promise.allSettled([
      user.addSubscriber('a@home.example'),
      user.addSubscriber('mn@home.example'),
      user.addSubscriber('b@home.example', { homeAgent: 'nowhere' }),
      user.addSubscriber('c@home.example'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    const names = (await store.run('listSubscribers', {})).items.map(({ nai }) => nai);
    expect(names).toEqual(['a@home.example', 'c@home.example', 'mn@home.example']);
  });

  it('reads while another program writes, and locks nothing for that', async () => {
    const backend = await SqliteBackend.open(join(folder, 'shared.db'));
    const other = new Database(join(folder, 'shared.db'), { timeout: 0 });
    other.exec('BEGIN IMMEDIATE');
    const subscribers = () => backend.read((db) => db.selectFrom('subscribers').selectAll().execute());
    expect(await subscribers()).toEqual([]);
    other.exec('COMMIT');
    const reading = backend.read(async (db) => {
      await db.selectFrom('subscribers').selectAll().execute();
      other.exec('BEGIN IMMEDIATE');
      other.exec('COMMIT');
    });
    expect(await reading).toBeUndefined();
    other.close();
    await backend.close();
  });

  it('says of a new session whether its subscriber has another one at the same NAS', async () => {
    await user.addSubscriber('mn@home.example');
    await user.addSubscriber('other@home.example');
    const alone = async (sessionId: string, origin: string, nai = 'mn@home.example') => {
      const result = await user.bootstrap(nai, sessionId, { origin });
      return result.result !== 'refused' && result.alone;
    };
    expect(await alone('one', 'paa1')).toBe(true);
    expect(await alone('one', 'paa1')).toBe(true);
    expect(await alone('two', 'paa2')).toBe(true);
    expect(await alone('else', 'paa1', 'other@home.example')).toBe(true);
    expect(await alone('three', 'paa1')).toBe(false);
  });

  it('finishes all calls made before close', async () => {
    const path = join(folder, 'closing.db');
    const other = await openStore(path);
    const calls = Array.from({ length: 600 }, (_, i) =>
      other.run('addSubscriber', { subscriber: subscriberOf(`mn${i}@home.example`) }),
    );
    await other.close();
    await expect(Promise.all(calls)).resolves.toHaveLength(600);
    const again = await openStore(path);
    expect((await again.run('listSubscribers', {})).items).toHaveLength(600);
    await again.close();
  });

  it('rejects calls after close', async () => {
    const other = await openStore(join(folder, 'other.db'));
    await other.close();
    await expect(other.run('listLeases', {})).rejects.toThrow('closed');
  });
});

describe('backUp and restore', () => {
  const path = (name: string) => join(folder, name);

  it('copy a store consistently while it is in use', async () => {
    await user.addAgent(1);
    for (let i = 0; i < 300; i += 1) await user.addSubscriber(`mn${i}@home.example`);
    const parts: number[] = [];
    const writing = Promise.all(Array.from({ length: 50 }, (_, i) => user.bootstrap(`mn${i}@home.example`, `s${i}`)));
    await backUp(path('store.db'), path('backup.db'), (part) => parts.push(part));
    await writing;
    expect(parts.length).toBeGreaterThan(0);
    expect((await stat(path('backup.db'))).mode & 0o777).toBe(0o600);
    await store.close();
    await restore(path('backup.db'), path('store.db'), () => undefined);
    store = await openStore(path('store.db'));
    expect((await store.run('listSubscribers', {})).items).toHaveLength(300);
    // The backup is one state of the store: the home agent counts exactly the leases that exist.
    const [agent] = await store.run('listHomeAgents', {});
    expect((await store.run('listLeases', {})).items).toHaveLength(agent?.leases ?? -1);
  });

  it('overwrite no backup, and accept only a database of a known version', async () => {
    await backUp(path('store.db'), path('backup.db'), () => undefined);
    await expect(backUp(path('store.db'), path('backup.db'), () => undefined)).rejects.toThrow('already exists');
    await writeFile(path('text.db'), 'this is no database, but it is long enough to be taken for the head of one');
    await expect(restore(path('text.db'), path('other.db'), () => undefined)).rejects.toThrow('cannot open');
    await expect(restore(path('none.db'), path('other.db'), () => undefined)).rejects.toThrow('cannot open');
    const newer = new Database(path('backup.db'));
    newer.prepare('INSERT INTO kysely_migration (name, timestamp) VALUES (?, ?)').run('9999-future', 'now');
    newer.close();
    await expect(restore(path('backup.db'), path('other.db'), () => undefined)).rejects.toThrow('newer version');
    await expect(stat(path('other.db'))).rejects.toThrow('ENOENT');
  });
});
