import { closeSync, constants, existsSync, fchownSync, fstatSync, lstatSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { CompiledQuery, Kysely, Migrator, SqliteDialect, sql } from 'kysely';
import type { Backend, Job } from './backend.js';
import { DatabaseError } from './database-error.js';
import { KNOWN_MIGRATIONS, migrations, type Schema } from './schema.js';
import { ensureSecret } from './secret.js';

/**
 * What root makes belongs to whom its folder belongs to: an operator's command may come before the server, which runs as
 * another user. SQLite itself gives the files beside it the same owner.
 */
export function giveToFolderOwner(path: string): void {
  if (path === ':memory:' || process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(path));
  if (uid === 0) return;
  if (lstatSync(path).isSymbolicLink()) return;
  // That user may have put something else there by now: not what a link leads to, nor what has another name.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    if (fstatSync(descriptor).nlink === 1) fchownSync(descriptor, uid, gid);
  } finally {
    closeSync(descriptor);
  }
}

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
    if (isNew) giveToFolderOwner(path);
    else refuseNewer(file, path);
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

/** What `synchronous` is on this connection: 2 is FULL. */
export async function synchronousLevel(db: Kysely<Schema>): Promise<number> {
  const { rows } = await sql<{ synchronous: number }>`PRAGMA synchronous`.execute(db);
  return rows[0]?.synchronous ?? -1;
}

/** A SQLite file: one transaction after another, on the one connection. */
export class SqliteBackend implements Backend {
  readonly concurrent = false;
  readonly batch = 256;
  readonly #db: Kysely<Schema>;

  private constructor(db: Kysely<Schema>) {
    this.#db = db;
  }

  /** Rejects with DatabaseError. */
  static async open(path: string): Promise<SqliteBackend> {
    const db = await openSqlite(path);
    await ensureSecret(db);
    return new SqliteBackend(db);
  }

  async commit(jobs: readonly Job[], first?: Job): Promise<PromiseSettledResult<unknown>[]> {
    return this.#db.connection().execute(async (connection) => {
      const run = (text: string) => connection.executeQuery(CompiledQuery.raw(text));
      // IMMEDIATE: a reader that wants to write later could be refused in the middle.
      await run('BEGIN IMMEDIATE');
      const outcomes: PromiseSettledResult<unknown>[] = [];
      try {
        await first?.(connection);
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
        await run('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
  }

  async read(job: Job): Promise<unknown> {
    return this.lengthy(job);
  }

  async lengthy(job: Job): Promise<unknown> {
    const [outcome] = await this.commit([job]);
    if (outcome?.status === 'rejected') throw outcome.reason;
    return outcome?.value;
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }
}
