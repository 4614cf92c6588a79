import { type Kysely, sql } from 'kysely';
import { DatabaseError } from './database-error.js';
import { isPostgres, KNOWN_MIGRATIONS, MIGRATIONS } from './schema.js';

type AnyDb = Kysely<unknown>;

/** How a database is migrated. */
export interface Migrating {
  /** The database as messages name it. */
  readonly name: string;
  /** Runs work that changes nothing. */
  readonly read: <T>(work: (db: AnyDb) => Promise<T>) => Promise<T>;
  /** Runs work in a transaction while no other program migrates this database: all of it is done, or nothing. */
  readonly inTransaction: <T>(work: (db: AnyDb) => Promise<T>) => Promise<T>;
  /** Removes, in the transaction of a migration, what an unfinished run of it has left; `done` are those before it. */
  readonly clear?: (done: readonly string[], next: string) => Promise<void>;
}

/** The table in which migrations are noted, as Kysely's migrator of earlier versions made it. */
export const BOOKKEEPING = 'kysely_migration';

interface Noted {
  readonly [BOOKKEEPING]: { name: string; timestamp: string };
}

/**
 * Brings a database up to date: each migration is one transaction together with the note that it is done, on SQLite too, so
 * that a power failure at any moment leaves the schema before it or the one after it. Rejects with DatabaseError for a
 * database of a newer version, which stays as it is.
 */
export async function migrate({ name, read, inTransaction, clear }: Migrating): Promise<void> {
  // A database that is up to date is not written to.
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
        .values({ name: next, timestamp: new Date().toISOString() })
        .execute();
      return true;
    });
  }
}

/** Names of the migrations that a database has seen, sorted. */
async function doneIn(db: AnyDb): Promise<string[]> {
  const table = isPostgres(db)
    ? sql<{ found: string | null }>`SELECT to_regclass(${BOOKKEEPING})::text AS found`
    : sql<{ found: string | null }>`SELECT max(name) AS found FROM sqlite_master WHERE name = ${BOOKKEEPING}`;
  if ((await table.execute(db)).rows[0]?.found == null) return [];
  const { rows } = await sql<{ name: string }>`SELECT name FROM ${sql.table(BOOKKEEPING)} ORDER BY name`.execute(db);
  return rows.map((row) => row.name);
}

/** The first migration that is not done; undefined: none. Throws DatabaseError. */
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

/** Throws DatabaseError where a newer version has been at work. */
export function refuseUnknown(done: readonly string[], name: string): void {
  const unknown = done.find((migration) => !KNOWN_MIGRATIONS.includes(migration));
  if (unknown === undefined) return;
  throw new DatabaseError(
    'ERR_STORE_NEWER',
    `the database ${name} was written by a newer version of pana-mip6 (migration ${unknown}): upgrade this one`,
  );
}
