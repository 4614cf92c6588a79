import { DecodeError } from './decode-error.js';

/**
 * Reads big-endian values from a buffer and never past its end. Offsets in errors are relative to the outermost buffer.
 * All methods except `view` return copies, so decoded values do not alias the receive buffer.
 */
export class Reader {
  readonly #octets: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  #at = 0;

  constructor(octets: Uint8Array, base = 0) {
    // Buffer.slice() returns a view; Uint8Array.slice() returns a copy.
    this.#octets =
      octets.constructor === Uint8Array ? octets : new Uint8Array(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#base = base;
  }

  /** Offset of the next octet in the outermost buffer. */
  get at(): number {
    return this.#base + this.#at;
  }

  get remaining(): number {
    return this.#octets.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u24(): number {
    const at = this.#take(3);
    return this.#view.getUint16(at) * 0x100 + this.#view.getUint8(at + 2);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4));
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8));
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4));
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8));
  }

  /** The next `length` octets, copied. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#octets.slice(at, at + length);
  }

  /** The next `length` octets as a view, for callers that make their own copy. */
  view(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#octets.subarray(at, at + length);
  }

  /** The remaining octets, copied. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** Runs `read` on exactly the next `length` octets. Throws DecodeError if `read` leaves some of them. */
  block<T>(length: number, read: (inner: Reader) => T): T {
    const base = this.at;
    const at = this.#take(length);
    const inner = new Reader(this.#octets.subarray(at, at + length), base);
    const value = read(inner);
    inner.done();
    return value;
  }

  /** Throws DecodeError if octets remain. */
  done(): void {
    if (this.remaining !== 0) throw new DecodeError('leftover', this.at, `${this.remaining} octets`);
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#octets.length - at) {
      throw new DecodeError('truncated', this.at, `${length} octets required, ${this.remaining} available`);
    }
    this.#at = at + length;
    return at;
  }
}
