import type pg from 'pg';
import type { Host } from '../runtime/system/host.js';
import { within } from '../runtime/system/within.js';
import { DatabaseError } from './database-error.js';

/** The oldest supported version, as in `server_version_num`. */
const OLDEST = 120_000;

/**
 * How long to wait for a second connection, in milliseconds. A connection pooler in front of the database may have none
 * left.
 */
const SECOND = 4_000;

/** The isolation level that the store's statements require. */
export const TRANSACTION = 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE';

export interface Probed {
  /** Warnings for the operator. */
  readonly warnings: readonly string[];
  /** Whether commits are acknowledged before they are on disk, unless the transaction sets synchronous_commit. */
  readonly isAsynchronous: boolean;
}

/**
 * Tests the guarantees that the store relies on: a recent version, transactions in which each statement sees what was
 * committed before it, and advisory locks that a transaction holds until its end. Some systems that speak PostgreSQL's
 * protocol have locks without effect, with which two servers would assign the same address. Rejects with DatabaseError.
 */
export async function probe(pool: pg.Pool, name: string, host: Pick<Host, 'random'>): Promise<Probed> {
  const first = await pool.connect();
  const refuse = (problem: string) =>
    new DatabaseError('ERR_STORE_REFUSED', `cannot use the database ${name}: ${problem}`);
  let failed = true;
  try {
    const settings = await settingsOf(first);
    const version = Number(settings.server_version_num ?? 0);
    if (version < OLDEST) {
      throw refuse(
        `PostgreSQL ${settings.server_version ?? 'of unknown version'} is too old: version ${OLDEST / 10_000} or later is needed`,
      );
    }
    const { rows } = await first.query<{ replica: boolean }>('SELECT pg_is_in_recovery() AS replica');
    if (rows[0]?.replica !== false) {
      // The replica may become the primary later.
      throw new DatabaseError('ERR_STORE_OPEN', `cannot use the database ${name}: it is a read-only replica`);
    }
    await first.query(TRANSACTION);
    const isolation = await first.query<{ level: string }>("SELECT current_setting('transaction_isolation') AS level");
    if (isolation.rows[0]?.level !== 'read committed') {
      throw refuse(`its transaction isolation is ${isolation.rows[0]?.level} instead of READ COMMITTED`);
    }
    const key = `${randomKey(host)}, ${randomKey(host)}`;
    await first.query(`SELECT pg_advisory_xact_lock(${key})`);
    if (await secondHas(pool, key, refuse)) {
      throw refuse('its advisory locks have no effect, so that servers could write at the same time');
    }
    await first.query('ROLLBACK');
    if (!(await secondHas(pool, key, refuse))) throw refuse('its advisory locks do not end with their transaction');
    failed = false;
    return {
      warnings: ['fsync', 'full_page_writes']
        .filter((setting) => settings[setting] === 'off')
        .map((setting) => `${name} has ${setting} = off: a power failure may corrupt the whole database`),
      isAsynchronous: settings.synchronous_commit === 'off',
    };
  } finally {
    first.release(failed);
  }
}

/** Half of an advisory lock's key: 32 bits, which the database takes as a signed integer. */
function randomKey(host: Pick<Host, 'random'>): number {
  return Buffer.from(host.random(4)).readInt32BE();
}

type Settings = Readonly<
  Record<
    'server_version' | 'server_version_num' | 'fsync' | 'full_page_writes' | 'synchronous_commit' | (string & {}),
    string | null
  >
>;

async function settingsOf(client: pg.PoolClient): Promise<Partial<Settings>> {
  const names = ['server_version', 'server_version_num', 'fsync', 'full_page_writes', 'synchronous_commit'];
  const columns = names.map((setting) => `current_setting('${setting}', true) AS ${setting}`);
  const { rows } = await client.query<Settings>(`SELECT ${columns.join(', ')}`);
  return rows[0] ?? {};
}

/** Whether a second transaction, concurrent with the first, gets the lock. Rejects if there is no second connection. */
async function secondHas(pool: pg.Pool, key: string, refuse: (problem: string) => DatabaseError): Promise<boolean> {
  let answer: boolean | undefined;
  let client: pg.PoolClient | undefined;
  const asking = (async () => {
    client = await pool.connect();
    await client.query(TRANSACTION);
    const { rows } = await client.query<{ has: boolean }>(`SELECT pg_try_advisory_xact_lock(${key}) AS has`);
    await client.query('ROLLBACK');
    answer = rows[0]?.has ?? true;
  })();
  try {
    await Promise.race([
      asking,
      within(
        asking.catch(() => undefined),
        SECOND,
      ),
    ]);
  } finally {
    client?.release(answer === undefined);
    asking.catch(() => undefined);
  }
  if (answer !== undefined) return answer;
  throw refuse(
    'it has no connection for a second transaction: a connection pooler in front of it needs at least two connections',
  );
}
