import { ERROR_CODES, type ErrorCode } from './codes.js';

/** Base of all error classes of this program. A plain Error is a fault. */
export abstract class CodedError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;

  constructor(code: C, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether the message can be shown to people as it is. */
  get isForPeople(): boolean {
    return ERROR_CODES[this.code].people;
  }

  /** Whether an operator has to fix something; retrying does not help. */
  get isOperators(): boolean {
    return ERROR_CODES[this.code].fixable;
  }
}
