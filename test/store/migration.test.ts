import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KNOWN_MIGRATIONS } from '../../src/store/schema.js';
import { isFor, Postgres, withoutPostgres } from '../postgres.js';
import { StoreUser, subscriberOf } from './fixtures.js';
import { openStore } from './open-store.js';

/** Stores as earlier versions wrote them. */
const VERSIONS = join(import.meta.dirname, 'versions');

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function load(version: string): Promise<string> {
  const path = join(folder, 'store.db');
  const file = new Database(path);
  file.exec(await readFile(join(VERSIONS, `${version}.sql`), 'utf8'));
  file.close();
  return path;
}

/** All tables and rows of a file, to see whether it was changed. */
function contentOf(path: string): unknown {
  const file = new Database(path, { readonly: true });
  const tables = file.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all() as { name: string }[];
  const content = tables.map((table) => ({ ...table, rows: file.prepare(`SELECT * FROM "${table.name}"`).all() }));
  file.close();
  return content;
}

describe('A store of an earlier version', () => {
  it('exists in this folder for every schema but the current one', async () => {
    const kept = (await readdir(VERSIONS)).map((name) => name.replace('.sql', '')).sort();
    expect(kept).toEqual(KNOWN_MIGRATIONS.slice(0, -1));
  });

  it.each(KNOWN_MIGRATIONS.slice(0, -1))('%s is migrated with its content', async (version) => {
    const store = await openStore(await load(version));
    try {
      const user = new StoreUser(() => store);
      const subscribers = (await store.run('listSubscribers', {})).items;
      expect(subscribers).toMatchObject([
        {
          nai: 'mn1@home.example',
          enabled: true,
          mip6: true,
          sessions: 'replace',
          privacy: 'optional',
          services: 'none',
          takeovers: 0,
        },
        {
          nai: 'mn2@home.example',
          pskRoot: 'emsk',
          homeAgent: 'ha1',
          homeAddress: '2001:db8:1::2',
          sessionLifetime: 600,
        },
        { nai: 'mn3@home.example', enabled: false, mip6: false },
      ]);
      expect(await store.run('listHomeAgents', {})).toMatchObject([
        { name: 'ha1', capacity: 1000, leases: 2, state: 'up', failedBy: undefined },
        { name: 'ha2', weight: 2, state: 'draining', target: 'root@ha2.home.example', ike: ['ikev2', 'ikev1'] },
      ]);
      expect((await store.run('listSessions', {})).items).toMatchObject([
        { sessionId: 'paa.access.example;1;1', nai: 'mn1@home.example', serial: undefined },
        { sessionId: 'paa.access.example;1;2', nai: 'mn2@home.example' },
      ]);
      // Leases from before the migration are in the history and still held.
      const held = (await store.run('leaseHistory', { at: Date.now() })).items;
      expect(held.map(({ nai, homeAddress }) => `${nai} ${homeAddress}`).sort()).toEqual([
        'mn1@home.example 2001:db8:1::a1',
        'mn2@home.example 2001:db8:1::2',
      ]);
      const again = await user.given('mn1@home.example', 'paa.access.example;1;1', {
        now: Date.now(),
        leaseLifetime: 60_000,
      });
      expect(again).toMatchObject({ renewed: true, lease: { homeAddress: '2001:db8:1::a1' } });
    } finally {
      await store.close();
    }
  });
});

const onPostgres = isFor('PostgreSQL') ? it.skipIf(withoutPostgres !== undefined) : undefined;

describe('A store of a newer version', () => {
  it('is refused with a clear message and not changed', async () => {
    const path = await load('0003-history');
    const file = new Database(path);
    file.exec("INSERT INTO kysely_migration VALUES ('0099-of-tomorrow', '2030-01-01')");
    file.close();
    const before = contentOf(path);
    await expect(openStore(path)).rejects.toThrow(/was written by a newer version .* 0099-of-tomorrow.*upgrade/);
    expect(contentOf(path)).toEqual(before);
  });

  onPostgres?.('is refused on PostgreSQL too', async () => {
    const postgres = await Postgres.start();
    try {
      const url = await postgres.database();
      await (await openStore(url)).close();
      await postgres.query(url, "INSERT INTO kysely_migration VALUES ('0099-of-tomorrow', '2030-01-01')");
      await expect(openStore(url)).rejects.toThrow(/127\.0\.0\.1.* newer version .* 0099-of-tomorrow/);
      expect(await postgres.query(url, 'SELECT name FROM kysely_migration ORDER BY name')).toHaveLength(
        KNOWN_MIGRATIONS.length + 1,
      );
    } finally {
      await postgres.stop();
    }
  });
});

onPostgres?.('A PostgreSQL store has 64-bit row numbers, and an update by import uses up none', async () => {
  const postgres = await Postgres.start();
  try {
    const url = await postgres.database();
    const store = await openStore(url);
    try {
      const user = new StoreUser(() => store);
      await user.addAgent(1);
      await user.addSubscriber('mn1@home.example');
      for (const table of ['lease_history', 'audit']) {
        await postgres.query(url, `SELECT setval(pg_get_serial_sequence('${table}', 'id'), 2147483647)`);
      }
      await user.given('mn1@home.example', 's1');
      expect((await store.run('leaseHistory', {})).items).toMatchObject([{ nai: 'mn1@home.example' }]);
      for (const importId of ['a', 'b']) {
        const rows = [{ line: 2, subscriber: subscriberOf('mn1@home.example', { sessionLifetime: 600 }) }];
        await store.run('stageImport', { importId, rows }, 'root');
        expect(await store.run('finishImport', { importId, update: true }, 'root')).toBe(1);
      }
      expect((await store.run('listSubscribers', {})).items).toMatchObject([{ sessionLifetime: 600 }]);
      expect((await store.run('listAudit', {})).items).toHaveLength(2);
      const [used] = await postgres.query<{ id: string }>(
        url,
        "SELECT last_value AS id FROM pg_sequences WHERE sequencename = 'subscribers_id_seq'",
      );
      expect(used).toEqual({ id: '1' });
    } finally {
      await store.close();
    }
  } finally {
    await postgres.stop();
  }
});
