import { resolve } from 'node:path';
import type { Db } from './rows.js';

export type DatabaseJob = (db: Db) => Promise<unknown>;

/**
 * `timely`: a client waits, and the call is refused if its turn comes too late for that. `patient`: the call waits for
 * its turn as long as it takes.
 */
export type Urgency = 'timely' | 'patient';

/** The interface of a database to the store's thread. */
export interface Backend {
  /** Whether reads proceed during writes. If false, `read`, `shared` and `lengthy` wait for writes as `commit` does. */
  readonly concurrent: boolean;
  /** Largest number of jobs in one commit, so that the first does not wait long for the last. */
  readonly batch: number;
  /** Warnings for the operator. */
  readonly warnings?: readonly string[];
  /**
   * Runs jobs in one transaction. Only one writing transaction runs at a time, across all servers. Resolves when all
   * jobs are on disk, with the outcome of each in order. If a job throws, only that job is rolled back; the others may
   * run a second time for that, after a rollback. `first` runs before the jobs and only reads; if it throws, the
   * transaction is rolled back. Rejects if nothing was committed. `lengthy`: may block others for a long time.
   */
  commit(
    jobs: readonly DatabaseJob[],
    first?: DatabaseJob,
    lengthy?: boolean,
  ): Promise<PromiseSettledResult<unknown>[]>;
  /**
   * Calls a function of the database in a transaction of its own, which is concurrent with others of its kind, and
   * resolves when that is on disk. `request` is called when the call's turn has come, and must be idempotent.
   */
  call?(name: string, request: () => object, urgency?: Urgency): Promise<unknown>;
  /** Runs read-only jobs in one transaction that writes nothing, with the outcome of each in order. */
  reads?(jobs: readonly DatabaseJob[]): Promise<PromiseSettledResult<unknown>[]>;
  /** Runs a read-only job. */
  read(job: DatabaseJob, urgency?: Urgency): Promise<unknown>;
  /** Runs a writing job in a transaction that is concurrent with calls and others of its kind, after `first`. */
  shared(job: DatabaseJob, first?: DatabaseJob): Promise<unknown>;
  /** Runs a long job in a transaction that is concurrent with the others. */
  lengthy(job: DatabaseJob): Promise<unknown>;
  /**
   * The database's own wall clock, in milliseconds since 1970, UTC. Undefined: the database uses the clock of this
   * host.
   */
  wallClock?(db?: Db): Promise<number>;
  /** Throws DatabaseError if the opened file was deleted or replaced. */
  check?(): void;
  close(): Promise<void>;
}

/** Whether a store is a PostgreSQL database. */
export function isPostgresUrl(store: string): boolean {
  return /^postgres(ql)?:\/\//.test(store);
}

/** Name of a store in messages: the absolute path of a file, or a URL without user and password. */
export function storeName(store: string): string {
  if (!isPostgresUrl(store)) return resolve(store);
  try {
    const { protocol, host, pathname, search, hash } = new URL(store);
    // The part after the first of `/?#` may belong to an unencoded password.
    if (!`${pathname}${search}${hash}`.includes('@')) return `${protocol}//${host}${pathname}`;
  } catch {
    // The text is not a URL.
  }
  return 'postgres://…';
}
