import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { type CancelTimer, type Host, systemHost } from '../runtime/system/host.js';
import { within } from '../runtime/system/within.js';
import { type Backend, type DatabaseJob, storeName, type Urgency } from './backend.js';
import { DatabaseError } from './database-error.js';
import { BOOKKEEPING, migrate, refuseUnknown } from './migrator.js';
import { PasswordError } from './password-file.js';
import { PLACED_AGENTS, type PlacedAgent, type StoreState } from './placed-agents.js';
import { Client, types } from './postgres-client.js';
import { asDatabaseError, Interrupted, TRIES, unlessConflicting } from './postgres-errors.js';
import { WRITER } from './postgres-functions.js';
import { type Probed, probe, TRANSACTION } from './postgres-probe.js';
import { forDriver, urlProblem } from './postgres-url.js';
import type { Db } from './rows.js';
import { KNOWN_MIGRATIONS, type Schema } from './schema.js';
import { ensureSecret } from './secret.js';
import { Turns } from './turns.js';

/**
 * Maximum number of connections, and how many of them calls, reads and shared transactions use. One is left for the
 * transaction that writes alone, one for lengthy transactions and one for the clock, so that none waits in the pool.
 */
const CONNECTIONS = 9;
const CONCURRENT = 6;

/**
 * Time limits of a connection attempt and of a transaction, in milliseconds. They are short because a client is
 * waiting.
 */
const CONNECT_TIMEOUT = 2_000;
const TIMEOUT = 4_000;

/**
 * How long a statement waits for a lock, and how long it takes with all its locks, in milliseconds: less than `TIMEOUT`,
 * so that a database that works still answers.
 */
const LOCK_TIMEOUT = 3_000;
const STATEMENT_TIMEOUT = 3_500;

const IN_TIME = `SET LOCAL lock_timeout = ${LOCK_TIMEOUT}; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT}`;

/** How long one transaction may hold the lock of writers, in milliseconds, and how many jobs it runs at most. */
const LOCK_TERM = 250;
const LARGEST_BATCH = 64;

/** After a failure, calls fail at once for this time, in milliseconds, unless one that runs already succeeds. */
const PAUSE = 500;

/** The database aborts a transaction that is idle for this time, in milliseconds, because others wait for its lock. */
const IDLE_IN_TRANSACTION = 10_000;

/** Key of the advisory lock for migrations. It is Kysely's, because earlier versions used Kysely's migrator. */
const MIGRATOR = '3853314791062309107';

/** What a look at a database finds. */
export interface PostgresState extends StoreState {
  /** Settings that may cost data. */
  readonly warnings: readonly string[];
  /** The clock of the database, in milliseconds since 1970, UTC. */
  readonly now: number;
}

/** A connection with its query builder. */
interface Session {
  readonly db: Db;
  readonly run: (text: string) => Promise<unknown>;
}

/**
 * A PostgreSQL database, which several servers may share. A writing transaction holds an advisory lock, so only one
 * writes at a time, as with SQLite, and the same operations are correct on both. Calls of functions and shared
 * transactions run at the same time as each other, but not as a writing transaction.
 */
export class PostgresBackend implements Backend {
  readonly concurrent = true;
  readonly #name: string;
  readonly #host: Host;
  readonly #pool: pg.Pool;
  readonly #sessions = new WeakMap<pg.PoolClient, Session>();
  /** Moving average of the time of a job in a writing transaction, in milliseconds. */
  #jobTime = LOCK_TERM / LARGEST_BATCH;
  #downUntil = Number.NEGATIVE_INFINITY;
  /** When a transaction last succeeded. */
  #worked = Number.NEGATIVE_INFINITY;
  #problem = '';
  /**
   * The start of each transaction. Settings are made per transaction, because a connection pooler shares connections
   * with others.
   */
  #begin = `${TRANSACTION}; SET LOCAL idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION}`;
  readonly #turns: Turns;
  readonly #lengthyTurns: Turns;
  warnings: readonly string[] = [];

  private constructor(url: string, host: Host) {
    this.#host = host;
    this.#name = storeName(url);
    this.#turns = new Turns(CONCURRENT, host);
    this.#lengthyTurns = new Turns(1, host);
    this.#pool = new pg.Pool({
      connectionString: forDriver(url),
      Client,
      application_name: 'pana-aaa',
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      keepAlive: true,
      types,
    });
    // An idle connection was lost. The pool replaces it.
    this.#pool.on('error', () => undefined);
  }

  /** As many jobs as hold the lock of writers for a quarter of a second. Each may be a dozen round trips. */
  get batch(): number {
    return Math.max(1, Math.min(LARGEST_BATCH, Math.floor(LOCK_TERM / this.#jobTime)));
  }

  /** Opens a database and migrates its schema. Rejects with DatabaseError. */
  static async open(url: string, host: Host = systemHost): Promise<PostgresBackend> {
    const name = storeName(url);
    const problem = urlProblem(url, process.env);
    if (problem !== undefined)
      throw new DatabaseError('ERR_STORE_REFUSED', `cannot open the database ${name}: ${problem}`);
    const backend = new PostgresBackend(url, host);
    try {
      await backend.#prepare();
      return backend;
    } catch (error) {
      await backend.close();
      throw error;
    }
  }

  /** Looks at a database as `open` does, but changes nothing. Rejects with DatabaseError. */
  static async look(url: string, host: Host = systemHost): Promise<PostgresState> {
    const backend = new PostgresBackend(url, host);
    try {
      const { warnings } = await backend.#probed();
      const query = <T extends pg.QueryResultRow>(text: string) => backend.#pool.query<T>(text);
      const { rows } = await query<{ now: string; found: string | null }>(
        `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::text AS now, to_regclass('${BOOKKEEPING}')::text AS found`,
      );
      const done =
        rows[0]?.found == null ? [] : (await query<{ name: string }>(`SELECT name FROM ${BOOKKEEPING}`)).rows;
      refuseUnknown(
        done.map(({ name }) => name),
        backend.#name,
      );
      const pending = KNOWN_MIGRATIONS.length - done.length;
      const agents = pending > 0 ? undefined : await query<PlacedAgent>(PLACED_AGENTS);
      return { warnings, now: Number(rows[0]?.now), pending, homeAgents: agents?.rows };
    } catch (error) {
      throw asDatabaseError(error, backend.#name);
    } finally {
      await backend.close();
    }
  }

  async #probed(): Promise<Probed> {
    try {
      return await probe(this.#pool, this.#name, this.#host);
    } catch (error) {
      if (error instanceof DatabaseError) throw error;
      throw new DatabaseError(
        isOperators(error) ? 'ERR_STORE_REFUSED' : 'ERR_STORE_OPEN',
        `cannot open the database ${this.#name}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`,
      );
    }
  }

  async #prepare(): Promise<void> {
    const { warnings, isAsynchronous } = await this.#probed();
    this.warnings = warnings;
    if (isAsynchronous) this.#begin += '; SET LOCAL synchronous_commit = on';
    try {
      await migrate({
        name: this.#name,
        read: (work) => this.#with(TIMEOUT, ({ db }) => work(db as unknown as Kysely<unknown>)),
        inTransaction: (work) =>
          this.lengthy(async (db) => {
            await sql`SELECT pg_advisory_xact_lock(${sql.raw(MIGRATOR)})`.execute(db);
            return work(db as unknown as Kysely<unknown>);
          }) as ReturnType<typeof work>,
      });
      await this.lengthy((db) => ensureSecret(db, this.#host.random));
    } catch (error) {
      const { code, message } = error as DatabaseError;
      if (code === 'ERR_STORE_NEWER' || code === 'ERR_STORE_REFUSED') throw error;
      throw new DatabaseError(
        code === 'ERR_STORE_FULL' ? code : 'ERR_STORE_OPEN',
        `cannot bring the database ${this.#name} up to date: ${message}`,
      );
    }
  }

  async commit(
    jobs: readonly DatabaseJob[],
    first?: DatabaseJob,
    lengthy = false,
  ): Promise<PromiseSettledResult<unknown>[]> {
    for (let attempt = 1; ; attempt += 1) {
      let ends = false;
      try {
        return await this.#with(lengthy ? undefined : TIMEOUT, async ({ db, run }) => {
          await run(`${this.#begin}; ${lengthy ? '' : `${IN_TIME};`} SELECT pg_advisory_xact_lock(${WRITER})`);
          const began = this.#host.monotonic();
          await first?.(db);
          const outcomes: PromiseSettledResult<unknown>[] = [];
          for (const job of jobs) {
            await run('SAVEPOINT job');
            const [outcome] = await Promise.allSettled([job(db)]);
            const failed = outcome.status === 'rejected';
            // The connection or database cannot be used any further.
            if (failed && outcome.reason instanceof DatabaseError) throw outcome.reason;
            await run(failed ? 'ROLLBACK TO job; RELEASE job' : 'RELEASE job');
            outcomes.push(outcome);
          }
          ends = true;
          await run('COMMIT');
          if (!lengthy && jobs.length > 0) this.#measured((this.#host.monotonic() - began) / jobs.length);
          return outcomes;
        });
      } catch (error) {
        // If COMMIT failed, it is unknown whether the transaction was committed, so it is not retried.
        if (ends || !(error instanceof Interrupted)) throw error;
        if (attempt === TRIES) throw error.last();
      }
    }
  }

  /** One round trip: the transaction is sent as one query. */
  call(name: string, request: () => object, urgency?: Urgency): Promise<unknown> {
    const run = () =>
      this.#with(TIMEOUT, async (session) => {
        const given = pg.escapeLiteral(JSON.stringify(request()));
        const answers = await session.run(`${this.#begin}; ${IN_TIME}; SELECT ${name}(${given}) AS answer; COMMIT`);
        return answerOf(answers);
      });
    return this.#turns.run(() => unlessConflicting(run), urgency);
  }

  read(job: DatabaseJob, urgency?: Urgency): Promise<unknown> {
    return this.#turns.run(() => this.#read(job), urgency);
  }

  shared(job: DatabaseJob, first?: DatabaseJob): Promise<unknown> {
    const run = () =>
      this.#with(TIMEOUT, async ({ db, run }) => {
        await run(`${this.#begin}; ${IN_TIME}; SELECT pg_advisory_xact_lock_shared(${WRITER})`);
        await first?.(db);
        const result = await job(db);
        await run('COMMIT');
        return result;
      });
    return this.#turns.run(() => unlessConflicting(run));
  }

  async #read(job: DatabaseJob): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#with(TIMEOUT, ({ db }) => job(db));
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        if (attempt === TRIES) throw error.last();
      }
    }
  }

  lengthy(job: DatabaseJob): Promise<unknown> {
    const run = () =>
      this.#with(undefined, async ({ db, run }) => {
        await run(this.#begin);
        const result = await job(db);
        await run('COMMIT');
        return result;
      });
    return this.#lengthyTurns.run(run);
  }

  /** The database's clock, which all servers share. */
  async wallClock(db?: Db): Promise<number> {
    if (!db) return this.#with(TIMEOUT, (session) => this.wallClock(session.db));
    const clock = sql<{ now: number }>`SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now`;
    const [row] = (await clock.execute(db)).rows;
    if (!row) throw new TypeError('the database has no clock');
    return row.now;
  }

  async close(): Promise<void> {
    // Do not wait for a server that does not respond: the connections end with this thread.
    const end = this.#pool.end();
    const ended = end.catch(() => undefined);
    await Promise.race([end, within(ended, CONNECT_TIMEOUT, this.#host)]);
  }

  #measured(jobTime: number): void {
    this.#jobTime += (jobTime - this.#jobTime) / 4;
  }

  /** Runs work on its own connection. If the work fails or times out, the connection is closed. */
  async #with<T>(timeout: number | undefined, work: (session: Session) => Promise<T>): Promise<T> {
    if (this.#host.monotonic() < this.#downUntil) throw this.#down();
    const asked = this.#host.monotonic();
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      this.#problem = (error as Error).message || String((error as NodeJS.ErrnoException).code);
      // Others have succeeded meanwhile: the database was away when this connection began, and is back.
      if (this.#worked > asked) throw new Interrupted(this.#down().message, { cause: error }, true);
      this.#downUntil = this.#host.monotonic() + PAUSE;
      throw this.#down();
    }
    let cancel: CancelTimer | undefined;
    let lost: (error: Error) => void = () => undefined;
    const gone = new Promise<never>((_, reject) => {
      lost = reject;
    });
    gone.catch(() => undefined);
    const onError = (error: Error) => lost(asDatabaseError(error, this.#name) as Error);
    client.on('error', onError);
    const started = this.#host.monotonic();
    if (timeout !== undefined) cancel = this.#host.after(timeout, () => lost(this.#late(timeout, started)));
    let failure: unknown;
    try {
      const result = await Promise.race([work(this.#session(client)), gone]);
      this.#worked = this.#host.monotonic();
      this.#downUntil = Number.NEGATIVE_INFINITY;
      return result;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      cancel?.();
      client.off('error', onError);
      client.release(failure !== undefined);
    }
  }

  #session(client: pg.PoolClient): Session {
    const known = this.#sessions.get(client);
    if (known) return known;
    const query = (text: string, parameters?: unknown[]) =>
      client.query(text, parameters).catch((error: unknown) => {
        throw asDatabaseError(error, this.#name);
      });
    const only = { query, release: () => undefined };
    const pool = { connect: () => Promise.resolve(only), end: () => Promise.resolve() };
    const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: pool as unknown as pg.Pool }) });
    const session = { db, run: (text: string) => query(text) };
    this.#sessions.set(client, session);
    return session;
  }

  #down(): DatabaseError {
    return new DatabaseError('ERR_STORE_DOWN', `the database ${this.#name} cannot be reached: ${this.#problem}`);
  }

  #late(timeout: number, started: number): DatabaseError {
    const problem = `no answer within ${timeout / 1000} s`;
    // Others have succeeded meanwhile: the database works, but not fast enough.
    if (this.#worked >= started) {
      return new DatabaseError('ERR_STORE_BUSY', `the database ${this.#name} is overloaded: ${problem}`);
    }
    this.#problem = problem;
    this.#downUntil = this.#host.monotonic() + PAUSE;
    return this.#down();
  }
}

/** The one row of the results of a query with several statements. */
function answerOf(results: unknown): unknown {
  const answers = (results as readonly pg.QueryResult<{ answer: unknown }>[]).flatMap(({ rows }) => rows);
  const [row] = answers;
  if (!row) throw new TypeError('a function of the database without an answer');
  return row.answer;
}

/** Whether a retry cannot help: no password, an invalid URL, or a certificate file that cannot be read. */
function isOperators(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException;
  return error instanceof PasswordError || code === 'ERR_INVALID_URL' || syscall === 'open';
}
