/**
 * `ERR_STORE_NEWER`, `ERR_STORE_REFUSED`: an operator has to put something right. `ERR_STORE_OPEN`, `ERR_STORE_LOCKED`: it
 * cannot be opened now. `ERR_STORE_BUSY`: too many calls wait. `ERR_STORE_DOWN`: it is lost. `ERR_STORE_FULL`: its disk is
 * full, whichever database it is.
 */
export type DatabaseErrorCode =
  | 'ERR_STORE_NEWER'
  | 'ERR_STORE_REFUSED'
  | 'ERR_STORE_OPEN'
  | 'ERR_STORE_LOCKED'
  | 'ERR_STORE_BUSY'
  | 'ERR_STORE_DOWN'
  | 'ERR_STORE_FULL';

/** The database cannot be used; the message says why, for people. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly code: DatabaseErrorCode;

  constructor(code: DatabaseErrorCode, text: string, options?: ErrorOptions) {
    super(text, options);
    this.code = code;
  }
}
