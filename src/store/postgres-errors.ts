import pg from 'pg';
import { DatabaseError } from './database-error.js';

/**
 * Maximum number of tries of a transaction that conflicted with another one or lost its connection before the commit.
 */
export const TRIES = 3;

/** A transaction was aborted for an external reason and may succeed when it is retried. */
export class Interrupted extends DatabaseError {
  /** Whether nothing was committed, whenever it was aborted. */
  readonly conflict: boolean;

  constructor(text: string, options: ErrorOptions, conflict: boolean) {
    super('ERR_STORE_DOWN', text, options);
    this.conflict = conflict;
  }

  /** The error to report after the last try. A database whose transactions conflict works. */
  last(): DatabaseError {
    return this.conflict ? new DatabaseError('ERR_STORE_BUSY', this.message, { cause: this }) : this;
  }
}

/** SQLSTATE of transactions that conflicted with another one: serialization failure, deadlock. */
const CONFLICTS = new Set(['40001', '40P01']);

/** SQLSTATE classes that end this connection: connection exception, operator intervention. */
const CONNECTION_ENDS = /^(08|57)/;

/**
 * SQLSTATEs of an unusable database, although the query is correct: read-only transaction (a replica), authorization,
 * missing database or table (somebody removed it), insufficient privilege or resources, errors of the system and of the
 * server itself.
 */
const UNUSABLE = /^(25006|28|3D|42501|42P01|53|58|F0|XX)/;

/** SQLSTATEs of a lock that others held too long, and of a statement that took too long. */
const TOO_LONG = new Set(['55P03', '57014']);

const DISK_FULL = '53100';
const NO_SPACE = /no space left on device/i;

/**
 * Converts an error of a query to DatabaseError if it concerns the database. Any other error is a fault and is returned
 * as it is.
 */
export function asDatabaseError(error: unknown, name: string): unknown {
  if (error instanceof DatabaseError || !(error instanceof Error)) return error;
  const { message, code = '' } = error as NodeJS.ErrnoException;
  const text = `the database ${name} cannot be used: ${message || code}`;
  const options = { cause: error };
  if (!(error instanceof pg.DatabaseError)) {
    // The driver has no error class for a lost connection, so every other error counts as one.
    return error instanceof TypeError || error instanceof RangeError ? error : new Interrupted(text, options, false);
  }
  if (CONFLICTS.has(code)) return new Interrupted(text, options, true);
  if (TOO_LONG.has(code))
    return new DatabaseError('ERR_STORE_BUSY', `the database ${name} is overloaded: ${message}`, options);
  if (CONNECTION_ENDS.test(code)) return new Interrupted(text, options, false);
  if (code === DISK_FULL || (/^(53|58|XX)/.test(code) && NO_SPACE.test(message))) {
    return new DatabaseError('ERR_STORE_FULL', `the disk of the database ${name} is full`, options);
  }
  return UNUSABLE.test(code) ? new DatabaseError('ERR_STORE_DOWN', text, options) : error;
}

/** Runs a transaction again that conflicted with another one. Whether it was committed is unknown after other failures. */
export async function unlessConflicting<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof Interrupted && error.conflict)) throw error;
      if (attempt === TRIES) throw error.last();
    }
  }
}
