import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { probe } from '../../src/store/postgres-probe.js';
import { VirtualHost } from '../virtual-host.js';

/** A database in memory with one advisory lock. The parameters are its differences from PostgreSQL 16. */
class Database {
  version: string | null = '160004';
  replica: boolean | null = false;
  isolation = 'read committed';
  readonly settings: Record<string, string> = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' };
  /** Whether an advisory lock excludes other transactions, and whether it ends with its own. */
  locks = true;
  unlocks = true;
  connections = 2;
  readonly released: boolean[] = [];
  #holder: object | undefined;

  get pool(): pg.Pool {
    return { connect: () => this.#connect() } as unknown as pg.Pool;
  }

  async #connect(): Promise<unknown> {
    if (this.connections === 0) throw new Error('too many clients');
    this.connections -= 1;
    const client = {
      query: async (text: string) => ({ rows: [this.#answer(text, client)] }),
      release: (closes: boolean) => {
        this.connections += 1;
        this.released.push(closes);
      },
    };
    return client;
  }

  #answer(text: string, client: object): unknown {
    if (text.includes('server_version_num'))
      return { ...this.settings, server_version: 'X', server_version_num: this.version };
    if (text.includes('pg_is_in_recovery')) return { replica: this.replica };
    if (text.includes('transaction_isolation')) return { level: this.isolation };
    if (text.includes('pg_try_advisory_xact_lock'))
      return { has: this.#holder === undefined || this.#holder === client };
    if (text.includes('pg_advisory_xact_lock') && this.locks) this.#holder = client;
    if (text === 'ROLLBACK' && this.unlocks && this.#holder === client) this.#holder = undefined;
    return {};
  }
}

function probed(change: (database: Database) => void) {
  const database = new Database();
  change(database);
  return { database, result: probe(database.pool, 'db', new VirtualHost()) };
}

describe('probe', () => {
  it.each(['120000', '160004'])('accepts version %s, and releases both connections', async (version) => {
    const { database, result } = probed((one) => (one.version = version));
    expect(await result).toEqual({ warnings: [], isAsynchronous: false });
    expect(database.released).toEqual([false, false, false]);
    expect(database.connections).toBe(2);
  });

  it.each<[string, string, (database: Database) => void, RegExp]>([
    [
      'a version before 12',
      'ERR_STORE_REFUSED',
      (one) => (one.version = '119999'),
      /X is too old: version 12 or later/,
    ],
    ['a system without a version', 'ERR_STORE_REFUSED', (one) => (one.version = null), /is too old/],
    [
      'a replica, which may become the primary',
      'ERR_STORE_OPEN',
      (one) => (one.replica = true),
      /is a read-only replica/,
    ],
    [
      'a system that does not report whether it is a replica',
      'ERR_STORE_OPEN',
      (one) => (one.replica = null),
      /is a read-only replica/,
    ],
    [
      'another isolation level',
      'ERR_STORE_REFUSED',
      (one) => (one.isolation = 'serializable'),
      /is serializable instead/,
    ],
    [
      'locks that exclude no other transaction',
      'ERR_STORE_REFUSED',
      (one) => (one.locks = false),
      /locks have no effect/,
    ],
    [
      'locks that outlive their transaction',
      'ERR_STORE_REFUSED',
      (one) => (one.unlocks = false),
      /do not end with their transaction/,
    ],
  ])('refuses %s, and closes its connection', async (_, code, change, text) => {
    const { database, result } = probed(change);
    await expect(result).rejects.toMatchObject({ code, message: expect.stringMatching(text) });
    expect(database.released.at(-1)).toBe(true);
    expect(database.connections).toBe(2);
  });

  it('rejects if there is no second connection', async () => {
    await expect(probed((one) => (one.connections = 1)).result).rejects.toThrow('too many clients');
  });

  it('warns of each setting with which a power failure may corrupt the database', async () => {
    const { result } = probed(({ settings }) => {
      settings['fsync'] = 'off';
      settings['full_page_writes'] = 'off';
      settings['synchronous_commit'] = 'off';
    });
    expect(await result).toEqual({
      warnings: ['fsync', 'full_page_writes'].map((name) => expect.stringMatching(`^db has ${name} = off: `)),
      isAsynchronous: true,
    });
  });
});
