import { CodedError } from '../errors/coded-error.js';
import type { CodeOf } from '../errors/codes.js';

export type DatabaseErrorCode = CodeOf<'DatabaseError'>;

/** The database cannot be used; the message says why, for people. */
export class DatabaseError extends CodedError<DatabaseErrorCode> {
  override readonly name = 'DatabaseError';
}
