import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { CompiledQuery, Kysely, Migrator, SqliteDialect, sql } from 'kysely';
import { DatabaseError } from './database-error.js';
import { KNOWN_MIGRATIONS, migrations, type Schema } from './schema.js';

/** How long another process's write is waited for, in milliseconds. */
const BUSY_TIMEOUT = 5_000;

/**
 * Opens a SQLite file, made if it is not there, with its schema brought up to date. `synchronous = FULL` is said on every
 * open: the library is built with NORMAL for a file in WAL mode, with which a commit may be lost in a power failure.
 */
export async function openSqlite(path: string): Promise<Kysely<Schema>> {
  const isNew = path === ':memory:' || !existsSync(path);
  let file: Database.Database;
  try {
    file = new Database(path, { timeout: BUSY_TIMEOUT });
    if (!isNew) refuseNewer(file, path);
    file.pragma('journal_mode = WAL');
    file.pragma('synchronous = FULL');
    file.pragma('foreign_keys = ON');
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    throw new DatabaseError('ERR_STORE_OPEN', `cannot open the database ${path}: ${(error as Error).message}`);
  }
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: withStatements(file) }) });
  const { error } = await new Migrator({ db, provider: migrations }).migrateToLatest();
  if (error) {
    await db.destroy();
    throw new DatabaseError(
      'ERR_STORE_OPEN',
      `cannot bring the database ${path} up to date: ${(error as Error).message}`,
    );
  }
  return db;
}

/** Statements that are kept prepared; the store's own are some forty. */
const MAX_STATEMENTS = 256;

/** The same database, preparing each statement once: Kysely asks for it at every execution, and it costs more than that. */
function withStatements(file: Database.Database) {
  const statements = new Map<string, Database.Statement>();
  return {
    close: () => file.close(),
    prepare: (text: string) => {
      const known = statements.get(text);
      if (known) return known;
      if (statements.size >= MAX_STATEMENTS) statements.clear();
      const statement = file.prepare(text);
      statements.set(text, statement);
      return statement;
    },
  };
}

/** A database that a newer version has migrated is left as it is: closes it and throws DatabaseError. */
export function refuseNewer(file: Database.Database, path: string): void {
  const table = file.prepare("SELECT 1 FROM sqlite_master WHERE name = 'kysely_migration'").get();
  if (!table) return;
  const rows = file.prepare('SELECT name FROM kysely_migration').all() as { name: string }[];
  const unknown = rows.find(({ name }) => !KNOWN_MIGRATIONS.includes(name));
  if (!unknown) return;
  file.close();
  throw new DatabaseError(
    'ERR_STORE_NEWER',
    `the database ${path} was written by a newer version of pana-mip6 (migration ${unknown.name}): upgrade this one`,
  );
}

/** The secret behind home addresses, made once for a store. */
export async function storeSecret(db: Kysely<Schema>): Promise<string> {
  const value = randomBytes(32).toString('hex');
  await db
    .insertInto('meta')
    .values({ key: 'secret', value })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
  return (await db.selectFrom('meta').select('value').where('key', '=', 'secret').executeTakeFirstOrThrow()).value;
}

/** What `synchronous` is on this connection: 2 is FULL. */
export async function synchronousLevel(db: Kysely<Schema>): Promise<number> {
  const { rows } = await sql<{ synchronous: number }>`PRAGMA synchronous`.execute(db);
  return rows[0]?.synchronous ?? -1;
}

/**
 * Runs jobs in one transaction: all are on disk when this resolves. A job that throws is undone alone; the outcome of
 * each comes back in order.
 */
export async function inOneCommit(
  db: Kysely<Schema>,
  jobs: readonly ((db: Kysely<Schema>) => Promise<unknown>)[],
): Promise<PromiseSettledResult<unknown>[]> {
  return db.connection().execute(async (connection) => {
    const run = (text: string) => connection.executeQuery(CompiledQuery.raw(text));
    // IMMEDIATE: a reader that wants to write later could be refused in the middle.
    await run('BEGIN IMMEDIATE');
    const outcomes: PromiseSettledResult<unknown>[] = [];
    try {
      for (const job of jobs) {
        await run('SAVEPOINT job');
        const [outcome] = await Promise.allSettled([job(connection)]);
        if (outcome.status === 'rejected') await run('ROLLBACK TO job');
        await run('RELEASE job');
        outcomes.push(outcome);
      }
      await run('COMMIT');
      return outcomes;
    } catch (error) {
      await connection.executeQuery(CompiledQuery.raw('ROLLBACK')).catch(() => undefined);
      throw error;
    }
  });
}
