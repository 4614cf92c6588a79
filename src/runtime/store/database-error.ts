/** The database cannot be used; the message says why, for people. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly code: 'ERR_STORE_NEWER' | 'ERR_STORE_OPEN' | 'ERR_STORE_BUSY' | 'ERR_STORE_DOWN';

  constructor(code: DatabaseError['code'], text: string) {
    super(text);
    this.code = code;
  }
}
