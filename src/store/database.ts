import Database from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { systemHost } from '../runtime/system/host.js';
import type { Backend, DatabaseJob } from './backend.js';
import { DatabaseError } from './database-error.js';
import { BOOKKEEPING, migrate, refuseUnknown } from './migrator.js';
import { giveToFolderOwner, makePrivate, OpenedFiles, placeOf, restrict } from './private-file.js';
import type { Db } from './rows.js';
import type { Schema } from './schema.js';
import { ensureSecret } from './secret.js';
import { asDatabaseError, cannotOpen } from './sqlite-errors.js';
import { runDirectly } from './statement.js';
import { StoreLock, type StoreUse } from './store-lock.js';
import { clearUnfinished } from './unfinished-migration.js';

/** How long to wait for a write of another process, in milliseconds. */
const BUSY_TIMEOUT = 5_000;

/** A store in memory, which is lost when its process ends. */
const IN_MEMORY = ':memory:';

/** A SQLite file that is open. */
interface Connection {
  readonly db: Kysely<Schema>;
  /** Runs a statement synchronously, bypassing Kysely; returns no rows. Throws DatabaseError. */
  readonly run: (text: string) => void;
}

/**
 * Opens a SQLite file and migrates its schema. Creates a missing file with access only for its owner. Sets
 * `synchronous = FULL` on every open: the library defaults to NORMAL in WAL mode, which may lose a commit in a power
 * failure. Rejects with DatabaseError.
 */
async function openConnection(path: string, random: typeof systemHost.random): Promise<Connection> {
  const file = openFile(path);
  const database = withStatements(file, path);
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database }) });
  runDirectly(db, ({ sql }, parameters) => {
    const statement = database.prepare(sql);
    if (statement.reader) return { rows: statement.all(parameters), changed: 0 };
    return { rows: [], changed: statement.run(parameters).changes };
  });
  const connection = { db, run: (text: string) => void database.prepare(text).run([]) };
  try {
    await migrate({
      name: path,
      read: (work) => work(db as unknown as Kysely<unknown>),
      inTransaction: (work) => inTransaction(connection, (own) => work(own as unknown as Kysely<unknown>)),
      clear: (done, next) => clearUnfinished(file, path, done, next),
    });
    await ensureSecret(db, random);
    return connection;
  } catch (error) {
    await db.destroy();
    throw cannotUpdate(path, error);
  }
}

function openFile(path: string): Database.Database {
  let file: Database.Database | undefined;
  try {
    if (path !== IN_MEMORY) {
      if (!makePrivate(path, true)) giveToFolderOwner(path);
      restrict(path);
    }
    file = new Database(path, { timeout: BUSY_TIMEOUT });
    refuseNewer(file, path);
    file.pragma('journal_mode = WAL');
    file.pragma('synchronous = FULL');
    file.pragma('foreign_keys = ON');
    // Restrict it again, because SQLite creates the target of a dangling link itself.
    if (path !== IN_MEMORY) restrict(path);
    return file;
  } catch (error) {
    file?.close();
    if (error instanceof DatabaseError) throw error;
    throw cannotOpen(path, error);
  }
}

function cannotUpdate(path: string, error: unknown): DatabaseError {
  const { code, message } = error as DatabaseError;
  if (code === 'ERR_STORE_NEWER' || code === 'ERR_STORE_REFUSED') return error as DatabaseError;
  return new DatabaseError(
    code === 'ERR_STORE_FULL' ? code : 'ERR_STORE_OPEN',
    `cannot bring the database ${path} up to date: ${message}`,
    { cause: error },
  );
}

/** Number of cached prepared statements; the store uses about forty. */
const MAX_STATEMENTS = 256;

/** Caches prepared statements: Kysely prepares at every execution, which costs more than the execution. */
function withStatements(file: Database.Database, path: string) {
  const watched = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw asDatabaseError(error, path);
    }
  };
  const prepare = (text: string) => {
    const statement = watched(() => file.prepare(text));
    return {
      reader: statement.reader,
      all: (parameters: readonly unknown[]) => watched(() => statement.all(parameters)),
      run: (parameters: readonly unknown[]) => watched(() => statement.run(parameters)),
      iterate: (parameters: readonly unknown[]) => statement.iterate(parameters),
    };
  };
  const statements = new Map<string, ReturnType<typeof prepare>>();
  return {
    close: () => file.close(),
    prepare: (text: string) => {
      const known = statements.get(text);
      if (known) return known;
      if (statements.size >= MAX_STATEMENTS) statements.clear();
      const statement = prepare(text);
      statements.set(text, statement);
      return statement;
    },
  };
}

/** Throws DatabaseError for a database that a newer version has migrated. */
export function refuseNewer(file: Database.Database, path: string): void {
  refuseUnknown(migrationsOf(file), path);
}

/** Throws DatabaseError for a database that is not a store: an empty one, or one of another program. */
export function refuseForeign(file: Database.Database, path: string): void {
  if (migrationsOf(file).length > 0) return;
  throw new DatabaseError('ERR_STORE_OPEN', `${path} is not a store: use a file that "pana-aaa store backup" created`);
}

/** Names of the migrations that were applied to a database. */
export function migrationsOf(file: Database.Database): string[] {
  const table = file.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(BOOKKEEPING);
  if (!table) return [];
  const rows = file.prepare(`SELECT name FROM ${BOOKKEEPING}`).all() as { name: string }[];
  return rows.map(({ name }) => name);
}

/** Runs work in a transaction. IMMEDIATE: one that starts as a reader could fail when it begins to write. */
async function inTransaction<T>(
  { db, run }: Connection,
  work: (connection: Db) => Promise<T>,
  kind: 'IMMEDIATE' | 'DEFERRED' = 'IMMEDIATE',
): Promise<T> {
  return db.connection().execute(async (connection) => {
    run(`BEGIN ${kind}`);
    try {
      const result = await work(connection);
      run('COMMIT');
      return result;
    } catch (error) {
      rollBack(run);
      throw error;
    }
  });
}

function rollBack(run: Connection['run']): void {
  try {
    run('ROLLBACK');
  } catch {
    // SQLite may already have ended the transaction. The caller reports the original error.
  }
}

/** A SQLite file. Transactions run one after another on one connection. */
export class SqliteBackend implements Backend {
  readonly concurrent = false;
  readonly batch = 256;
  readonly #path: string;
  readonly #connection: Connection;
  readonly #lock: StoreLock | undefined;
  readonly #files: readonly OpenedFiles[];

  private constructor(path: string, connection: Connection, lock: StoreLock | undefined) {
    this.#path = path;
    this.#connection = connection;
    this.#lock = lock;
    this.#files = lock ? [new OpenedFiles(path), new OpenedFiles(lock.path)] : [];
  }

  /** Rejects with DatabaseError, also if another process holds a conflicting lock on the file. */
  static async open(given: string, use: StoreUse = 'command', random = systemHost.random): Promise<SqliteBackend> {
    if (given === IN_MEMORY) return new SqliteBackend(given, await openConnection(given, random), undefined);
    // All links to a file share one lock.
    const path = placeOf(given);
    const lock = StoreLock.take(path, use);
    try {
      return new SqliteBackend(path, await openConnection(path, random), lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  async commit(jobs: readonly DatabaseJob[], first?: DatabaseJob): Promise<PromiseSettledResult<unknown>[]> {
    this.check();
    const outcomes = (await this.#together(jobs, first)) ?? (await this.#oneByOne(jobs, first));
    // Writes to a deleted file would be lost.
    this.check();
    return outcomes;
  }

  /**
   * Commits jobs without savepoints, for which SQLite would keep a copy of each page that a job changes. Undefined if
   * one of several jobs threw: nothing was committed then.
   */
  async #together(
    jobs: readonly DatabaseJob[],
    first: DatabaseJob | undefined,
  ): Promise<PromiseSettledResult<unknown>[] | undefined> {
    const done: PromiseSettledResult<unknown>[] = [];
    let failed: PromiseRejectedResult | undefined;
    await inTransaction(this.#connection, async (connection) => {
      await first?.(connection);
      for (const job of jobs) {
        try {
          done.push({ status: 'fulfilled', value: await job(connection) });
        } catch (reason) {
          failed = { status: 'rejected', reason };
          throw reason;
        }
      }
    }).catch((error: unknown) => {
      if (!failed || error instanceof DatabaseError) throw error;
    });
    if (!failed) return done;
    return jobs.length === 1 ? [failed] : undefined;
  }

  /** Commits jobs with a savepoint for each, so that only those that throw are rolled back. */
  #oneByOne(jobs: readonly DatabaseJob[], first: DatabaseJob | undefined): Promise<PromiseSettledResult<unknown>[]> {
    const { run } = this.#connection;
    return inTransaction(this.#connection, async (connection) => {
      const done: PromiseSettledResult<unknown>[] = [];
      await first?.(connection);
      for (const job of jobs) {
        run('SAVEPOINT job');
        const [outcome] = await Promise.allSettled([job(connection)]);
        if (outcome.status === 'rejected') {
          // SQLite may have rolled back the whole transaction.
          if (outcome.reason instanceof DatabaseError) throw outcome.reason;
          run('ROLLBACK TO job');
        }
        run('RELEASE job');
        done.push(outcome);
      }
      return done;
    });
  }

  /** Without the lock of writers. */
  async reads(jobs: readonly DatabaseJob[]): Promise<PromiseSettledResult<unknown>[]> {
    this.check();
    const work = async (connection: Db) => {
      const done: PromiseSettledResult<unknown>[] = [];
      for (const job of jobs) done.push(...(await Promise.allSettled([job(connection)])));
      return done;
    };
    return inTransaction(this.#connection, work, 'DEFERRED');
  }

  async read(job: DatabaseJob): Promise<unknown> {
    return theOne(await this.reads([job]));
  }

  async shared(job: DatabaseJob): Promise<unknown> {
    return this.lengthy(job);
  }

  async lengthy(job: DatabaseJob): Promise<unknown> {
    return theOne(await this.commit([job]));
  }

  check(): void {
    for (const files of this.#files) {
      const problem = files.problem();
      if (problem === undefined) continue;
      throw new DatabaseError(
        'ERR_STORE_DOWN',
        `the store ${this.#path} is lost: ${problem}. Put the file back, or restart the server`,
      );
    }
  }

  async close(): Promise<void> {
    await this.#connection.db.destroy();
    this.#lock?.release();
  }
}

function theOne([outcome]: readonly PromiseSettledResult<unknown>[]): unknown {
  if (outcome?.status === 'rejected') throw outcome.reason;
  return outcome?.value;
}
