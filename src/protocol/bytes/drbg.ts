import { createCipheriv, createHmac } from 'node:crypto';

/** Octets of AES-256-CTR output that one key yields: the next key, then what callers get. */
const KEY = 32;
const BLOCK = 512;

const ZEROS = new Uint8Array(KEY + BLOCK);
const COUNTER = new Uint8Array(16);

/**
 * A deterministic random bit generator, so that a run of a machine can be repeated exactly. It produces a block of
 * AES-256-CTR output at a time, whose first octets replace the key, and overwrites octets as it returns them. Earlier
 * output therefore cannot be found from a later state (backtracking resistance, as in NIST SP 800-90A). If the seed is
 * 32 octets from the operating system, the output is suitable for nonces, session identifiers and sequence numbers.
 */
export class Drbg {
  readonly #key: Uint8Array;
  /** Undefined until the first request, since a machine may draw few numbers. */
  #block: Uint8Array | undefined;
  #at = BLOCK;

  constructor(seed: Uint8Array) {
    this.#key = createHmac('sha256', 'pana-mip6 drbg').update(seed).digest();
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const block = this.#filled();
      const part = block.subarray(this.#at, this.#at + length - done);
      out.set(part, done);
      part.fill(0);
      done += part.length;
      this.#at += part.length;
    }
    return out;
  }

  u32(): number {
    const octets = this.bytes(4);
    return new DataView(octets.buffer).getUint32(0);
  }

  /** A number from a uniform distribution over [0, 1). */
  unit(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** The block, with at least one octet left. */
  #filled(): Uint8Array {
    if (this.#block && this.#at < BLOCK) return this.#block;
    this.#block ??= new Uint8Array(BLOCK);
    const stream = createCipheriv('aes-256-ctr', this.#key, COUNTER).update(ZEROS);
    this.#key.set(stream.subarray(0, KEY));
    this.#block.set(stream.subarray(KEY));
    stream.fill(0);
    this.#at = 0;
    return this.#block;
  }
}
