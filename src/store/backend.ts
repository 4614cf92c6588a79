import { resolve } from 'node:path';
import type { Db } from './rows.js';

export type Job = (db: Db) => Promise<unknown>;

/** A database as the store's worker sees it. */
export interface Backend {
  /** Whether reading goes on while something is written: else `read` and `lengthy` are the same as `commit`. */
  readonly concurrent: boolean;
  /** The most jobs of one commit: the first should not wait for the last. */
  readonly batch: number;
  /** What an operator should know of it. */
  readonly warnings?: readonly string[];
  /**
   * Runs jobs in one transaction, one transaction at a time whoever else writes: all are on disk when this resolves. A job
   * that throws is undone alone; the outcome of each comes back in order. `first` runs before them; when it throws, nothing
   * is done. Rejects when nothing was done. `lengthy`: others may have to wait long.
   */
  commit(jobs: readonly Job[], first?: Job, lengthy?: boolean): Promise<PromiseSettledResult<unknown>[]>;
  /** Runs a job that changes nothing. */
  read(job: Job): Promise<unknown>;
  /** Runs a job that may take long, in a transaction beside the others. */
  lengthy(job: Job): Promise<unknown>;
  /** The database's wall clock, in milliseconds since 1970, UTC, in the transaction of `db` or in none; else it has this host's. */
  wallClock?(db?: Db): Promise<number>;
  /** Throws DatabaseError when what was opened is lost in a way that shows without asking the database. */
  check?(): void;
  close(): Promise<void>;
}

/** Whether a store is a PostgreSQL database, not a file. */
export function isPostgresUrl(store: string): boolean {
  return /^postgres(ql)?:\/\//.test(store);
}

/** A store as messages name it: a file's whole path, or a URL without what it says of users and passwords. */
export function storeName(store: string): string {
  if (!isPostgresUrl(store)) return resolve(store);
  try {
    const { protocol, host, pathname, search, hash } = new URL(store);
    // What is behind the first of `/?#` may be part of a password that nobody has encoded.
    if (!`${pathname}${search}${hash}`.includes('@')) return `${protocol}//${host}${pathname}`;
  } catch {
    // Not even a URL.
  }
  return 'postgres://…';
}
