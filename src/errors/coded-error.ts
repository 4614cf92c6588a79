import { ERROR_CODES, type ErrorCode } from './codes.js';

/** What every error class of ours derives from. A plain Error is a fault of ours. */
export abstract class CodedError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;

  constructor(code: C, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether the message is meant for people as it stands. */
  get isForPeople(): boolean {
    return ERROR_CODES[this.code].people;
  }

  /** Whether an operator has to put something right: trying again changes nothing. */
  get isOperators(): boolean {
    return ERROR_CODES[this.code].fixable;
  }
}
