import { CodedError } from '../../errors/coded-error.js';
import type { CodeOf } from '../../errors/codes.js';

/** Why octets are not a value. Counters, log lines and Diameter result codes are derived from it. */
export type DecodeErrorCode = CodeOf<'DecodeError'>;

/** The only thing a decoder throws. `at` is the octet offset in the outermost buffer. */
export class DecodeError extends CodedError<DecodeErrorCode> {
  override readonly name = 'DecodeError';
  readonly at: number;

  constructor(code: DecodeErrorCode, at: number, what: string) {
    super(code, `${what} at octet ${at}: ${code}`);
    this.at = at;
  }
}
