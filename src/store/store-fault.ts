import { CodedError } from '../errors/coded-error.js';

/** A store operation failed because of a fault in this program, not because of the database. */
export class StoreFault extends CodedError<'ERR_STORE_FAULT'> {
  override readonly name = 'StoreFault';
  /** The stack of the original error. */
  override readonly stack: string;

  constructor(message: string, stack: string) {
    super('ERR_STORE_FAULT', message);
    this.stack = stack;
  }

  static of(error: unknown): StoreFault {
    if (error instanceof StoreFault) return error;
    if (!(error instanceof Error)) return new StoreFault(String(error), String(error));
    const { code } = error as NodeJS.ErrnoException;
    const message = code === undefined ? error.message : `${error.message} (${code})`;
    return new StoreFault(message, error.stack ?? message);
  }
}
