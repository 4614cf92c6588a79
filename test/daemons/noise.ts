import { Drbg } from '../../src/protocol/bytes/drbg.js';

/** Growth of a daemon's memory that garbage collection explains, in octets. */
export const NOISE = 80 * 1024 * 1024;

/** A fast source of random octets for millions of packets. */
export class Noise {
  #pool: Uint8Array;
  #at = 0;

  constructor(seed: Uint8Array) {
    this.#pool = new Drbg(seed).bytes(1 << 20);
  }

  below(limit: number): number {
    this.#at = (this.#at + 3) % (this.#pool.length - 4);
    const [a = 0, b = 0, c = 0] = this.#pool.subarray(this.#at, this.#at + 3);
    return ((a << 16) | (b << 8) | c) % limit;
  }

  octets(length: number): Uint8Array {
    const at = this.below(this.#pool.length - length);
    return this.#pool.slice(at, at + length);
  }

  /** A recording with some octets changed, or truncated; or random octets. */
  mutate(recordings: readonly Uint8Array[]): Uint8Array {
    if (this.below(4) === 0) return this.octets(this.below(300));
    const recording = recordings[this.below(recordings.length)] ?? new Uint8Array(0);
    const octets = this.below(4) === 0 ? recording.slice(0, this.below(recording.length)) : recording.slice();
    for (let i = this.below(6); i > 0; i -= 1) octets[this.below(octets.length || 1)] = this.below(256);
    return octets;
  }
}
