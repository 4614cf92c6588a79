import { CodedError } from '../errors/coded-error.js';
import type { CodeOf } from '../errors/codes.js';

export type DatabaseErrorCode = CodeOf<'DatabaseError'>;

/** The database is unusable; the message states why. */
export class DatabaseError extends CodedError<DatabaseErrorCode> {
  override readonly name = 'DatabaseError';
}
