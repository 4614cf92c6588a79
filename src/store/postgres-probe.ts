import { randomInt } from 'node:crypto';
import type pg from 'pg';
import { within } from '../runtime/system/within.js';
import { DatabaseError } from './database-error.js';

/** The oldest version that is known to work, as `server_version_num` says it. */
const OLDEST = 120_000;

/** How long a second connection is waited for, in milliseconds: a pool before the database may have none to give. */
const SECOND = 4_000;

/** The isolation that the store's statements are written for. */
export const TRANSACTION = 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE';

const MAX_KEY = 2 ** 31 - 1;

export interface Probed {
  /** What an operator should know. */
  readonly warnings: readonly string[];
  /** Commits are acknowledged before they are on disk unless a transaction says otherwise. */
  readonly isAsynchronous: boolean;
}

/**
 * Tries whether a server keeps what the store relies on: statements of today, a transaction that sees what was committed
 * before each of its statements, and a lock that one transaction has until it ends. Systems that speak PostgreSQL's protocol
 * have had locks without effect, with which two servers would give one address twice. Rejects with DatabaseError.
 */
export async function probe(pool: pg.Pool, name: string): Promise<Probed> {
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
      // It may be the primary in a while.
      throw new DatabaseError('ERR_STORE_OPEN', `cannot use the database ${name}: it is a replica, which only reads`);
    }
    await first.query(TRANSACTION);
    const isolation = await first.query<{ level: string }>("SELECT current_setting('transaction_isolation') AS level");
    if (isolation.rows[0]?.level !== 'read committed') {
      throw refuse(`it has no transactions of isolation READ COMMITTED, but ${isolation.rows[0]?.level}`);
    }
    const key = `${randomInt(MAX_KEY)}, ${randomInt(MAX_KEY)}`;
    await first.query(`SELECT pg_advisory_xact_lock(${key})`);
    if (await secondHas(pool, key, refuse)) {
      throw refuse('its advisory locks have no effect, and servers would not take turns');
    }
    await first.query('ROLLBACK');
    if (!(await secondHas(pool, key, refuse))) throw refuse('its advisory locks do not end with their transaction');
    failed = false;
    return {
      warnings: ['fsync', 'full_page_writes']
        .filter((setting) => settings[setting] === 'off')
        .map((setting) => `${name} has ${setting} = off: a power failure may ruin the whole database`),
      isAsynchronous: settings.synchronous_commit === 'off',
    };
  } finally {
    first.release(failed);
  }
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

/** Whether a transaction beside the first gets a lock. Rejects when there is none beside it. */
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
  throw refuse('it has no connection for a second transaction: a pool in front of it needs two connections or more');
}
