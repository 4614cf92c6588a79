/** Writes big-endian values into a buffer that grows. */
export class Writer {
  #octets: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(capacity = 256) {
    this.#octets = new Uint8Array(capacity);
    this.#view = new DataView(this.#octets.buffer);
  }

  /** Octets written so far. */
  get length(): number {
    return this.#at;
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
    return this;
  }

  u24(value: number): this {
    const at = this.#grow(3);
    this.#view.setUint16(at, value >>> 8);
    this.#view.setUint8(at + 2, value & 0xff);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value);
    return this;
  }

  i32(value: number): this {
    const at = this.#grow(4);
    this.#view.setInt32(at, value);
    return this;
  }

  i64(value: bigint): this {
    const at = this.#grow(8);
    this.#view.setBigInt64(at, value);
    return this;
  }

  f32(value: number): this {
    const at = this.#grow(4);
    this.#view.setFloat32(at, value);
    return this;
  }

  f64(value: number): this {
    const at = this.#grow(8);
    this.#view.setFloat64(at, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#octets.set(value, at);
    return this;
  }

  /** Writes zero octets up to the next multiple of four. */
  pad4(): this {
    this.#grow(-this.#at & 3);
    return this;
  }

  /** Overwrites two octets at offset `at`, for a length that is known only after the content was written. */
  patchU16(at: number, value: number): this {
    this.#view.setUint16(at, value);
    return this;
  }

  /** Overwrites three octets at offset `at`. */
  patchU24(at: number, value: number): this {
    this.#view.setUint16(at, value >>> 8);
    this.#view.setUint8(at + 2, value & 0xff);
    return this;
  }

  /**
   * Returns the octets written. Nothing may be written afterwards. The result is a copy unless the initial capacity was
   * exact.
   */
  finish(): Uint8Array {
    return this.#at === this.#octets.length ? this.#octets : this.#octets.slice(0, this.#at);
  }

  #grow(length: number): number {
    const at = this.#at;
    const need = at + length;
    if (need > this.#octets.length) {
      const octets = new Uint8Array(Math.max(need, this.#octets.length * 2));
      octets.set(this.#octets);
      this.#octets = octets;
      this.#view = new DataView(octets.buffer);
    }
    this.#at = need;
    return at;
  }
}
