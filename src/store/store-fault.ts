/** An operation failed by a fault of ours; it says nothing about the database. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  readonly code: string;

  constructor(code: string, message: string, stack: string | undefined) {
    super(message);
    this.code = code;
    if (stack !== undefined) this.stack = stack;
  }

  static of(error: unknown): StoreFault {
    if (error instanceof StoreFault) return error;
    if (!(error instanceof Error)) return new StoreFault('ERR_STORE_FAULT', String(error), undefined);
    return new StoreFault((error as NodeJS.ErrnoException).code ?? 'ERR_STORE_FAULT', error.message, error.stack);
  }
}
