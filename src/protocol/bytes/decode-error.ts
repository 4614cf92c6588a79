import { CodedError } from '../../errors/coded-error.js';
import type { CodeOf } from '../../errors/codes.js';

/** Why decoding failed. Counters, log lines and Diameter Result-Codes are derived from this code. */
export type DecodeErrorCode = CodeOf<'DecodeError'>;

/** The only error that decoders throw. `at` is the octet offset in the outermost buffer. */
export class DecodeError extends CodedError<DecodeErrorCode> {
  override readonly name = 'DecodeError';
  readonly at: number;

  constructor(code: DecodeErrorCode, at: number, what: string) {
    super(code, `${what} at octet ${at}: ${code}`);
    this.at = at;
  }
}
