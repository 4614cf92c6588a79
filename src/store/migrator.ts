import { type Kysely, sql } from 'kysely';
import { systemHost } from '../runtime/system/host.js';
import { DatabaseError } from './database-error.js';
import { isPostgres, KNOWN_MIGRATIONS, MIGRATIONS } from './schema.js';

type AnyDb = Kysely<unknown>;

/** Access to a database for migrations. */
export interface Migrating {
  /** Name of the database in messages. */
  readonly name: string;
  /** Runs read-only work. */
  readonly read: <T>(work: (db: AnyDb) => Promise<T>) => Promise<T>;
  /** Runs work atomically in a transaction, under a lock against other migrating programs. */
  readonly inTransaction: <T>(work: (db: AnyDb) => Promise<T>) => Promise<T>;
  /** Removes the remains of an unfinished run of a migration, in its transaction. `done`: the earlier migrations. */
  readonly clear?: (done: readonly string[], next: string) => Promise<void>;
}

/** The table of applied migrations, in the form of Kysely's migrator, which earlier versions used. Its time is not read. */
export const BOOKKEEPING = 'kysely_migration';

interface Noted {
  readonly [BOOKKEEPING]: { name: string; timestamp: string };
}

/**
 * Migrates a database to the current schema. Each migration and its record are one transaction, so a power failure
 * leaves either the old or the new schema. Rejects with DatabaseError for a database of a newer version and does not
 * change it.
 */
export async function migrate({ name, read, inTransaction, clear }: Migrating): Promise<void> {
  // Do not write to a database that is up to date.
  if (nextAfter(await read(doneIn), name) === undefined) return;
  for (let more = true; more; ) {
    more = await inTransaction(async (transaction) => {
      const done = await doneIn(transaction);
      const next = nextAfter(done, name);
      if (next === undefined) return false;
      await transaction.schema
        .createTable(BOOKKEEPING)
        .ifNotExists()
        .addColumn('name', 'varchar(255)', (column) => column.notNull().primaryKey())
        .addColumn('timestamp', 'varchar(255)', (column) => column.notNull())
        .execute();
      await clear?.(done, next);
      await MIGRATIONS[next]?.(transaction);
      await (transaction as Kysely<Noted>)
        .insertInto(BOOKKEEPING)
        .values({ name: next, timestamp: new Date(systemHost.wall()).toISOString() })
        .execute();
      return true;
    });
  }
}

/** Names of the applied migrations, sorted. */
async function doneIn(db: AnyDb): Promise<string[]> {
  const table = isPostgres(db)
    ? // Not to_regclass: it can miss a table that another server created while this transaction waited for the lock.
      sql<{ found: string | null }>`SELECT max(relname) AS found FROM pg_catalog.pg_class
        WHERE relname = ${BOOKKEEPING} AND pg_catalog.pg_table_is_visible(oid)`
    : sql<{ found: string | null }>`SELECT max(name) AS found FROM sqlite_master WHERE name = ${BOOKKEEPING}`;
  if ((await table.execute(db)).rows[0]?.found == null) return [];
  const { rows } = await sql<{ name: string }>`SELECT name FROM ${sql.table(BOOKKEEPING)} ORDER BY name`.execute(db);
  return rows.map((row) => row.name);
}

/** The first migration that was not applied; undefined if there is none. Throws DatabaseError. */
function nextAfter(done: readonly string[], name: string): string | undefined {
  refuseUnknown(done, name);
  const next = KNOWN_MIGRATIONS[done.length];
  const missing = KNOWN_MIGRATIONS.slice(0, done.length).find((known) => !done.includes(known));
  if (missing === undefined) return next;
  throw new DatabaseError(
    'ERR_STORE_REFUSED',
    `the database ${name} has later migrations, but not ${missing}: restore a backup`,
  );
}

/** Throws DatabaseError if a newer version has migrated the database. */
export function refuseUnknown(done: readonly string[], name: string): void {
  const unknown = done.find((migration) => !KNOWN_MIGRATIONS.includes(migration));
  if (unknown === undefined) return;
  throw new DatabaseError(
    'ERR_STORE_NEWER',
    `the database ${name} was written by a newer version of pana-mip6 (migration ${unknown}): upgrade this one`,
  );
}
