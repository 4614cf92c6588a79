import pg from 'pg';
import { DatabaseError } from './database-error.js';

/** A transaction was aborted for an external reason and may succeed when it is retried. */
export class Interrupted extends DatabaseError {
  /** Whether nothing was committed, whenever it was aborted. */
  readonly conflict: boolean;

  constructor(text: string, options: ErrorOptions, conflict: boolean) {
    super('ERR_STORE_DOWN', text, options);
    this.conflict = conflict;
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

/** SQLSTATE of a lock that others held too long. */
const LOCKED = '55P03';

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
  if (CONNECTION_ENDS.test(code)) return new Interrupted(text, options, false);
  if (code === DISK_FULL || (/^(53|58|XX)/.test(code) && NO_SPACE.test(message))) {
    return new DatabaseError('ERR_STORE_FULL', `the disk of the database ${name} is full`, options);
  }
  if (code === LOCKED) return new DatabaseError('ERR_STORE_BUSY', text, options);
  return UNUSABLE.test(code) ? new DatabaseError('ERR_STORE_DOWN', text, options) : error;
}
