/** Why octets are not a value. Stable: counters, log lines and Diameter result codes are derived from it. */
export type DecodeErrorCode =
  /** Fewer octets than a length field, or the format, asks for. */
  | 'truncated'
  /** Octets left over after the value. */
  | 'leftover'
  /** A length field that contradicts its own header, its type or a limit. */
  | 'bad-length'
  /** A value outside of what its format allows. */
  | 'bad-value'
  /** Bits set that must not be, or not together. */
  | 'bad-flags'
  /** A protocol version that is not ours. */
  | 'bad-version'
  /** More elements, or deeper nesting, than the limit named beside the decoder. */
  | 'too-many';

/** The only thing a decoder throws. `at` is the octet offset in the outermost buffer. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  readonly code: DecodeErrorCode;
  readonly at: number;

  constructor(code: DecodeErrorCode, at: number, what: string) {
    super(`${what} at octet ${at}: ${code}`);
    this.code = code;
    this.at = at;
  }
}
