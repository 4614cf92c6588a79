import { createHmac } from 'node:crypto';

/**
 * A deterministic random bit generator, so that a run of a machine can be repeated exactly. It is HMAC-SHA-256 in
 * counter mode. The key is replaced after each request, which gives backtracking resistance as in NIST SP 800-90A. If
 * the seed is 32 octets from the operating system, the output is suitable for nonces, session identifiers and sequence
 * numbers.
 */
export class Drbg {
  #key: Uint8Array;

  constructor(seed: Uint8Array) {
    this.#key = createHmac('sha256', 'pana-mip6 drbg').update(seed).digest();
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let at = 0, block = 1; at < length; block += 1) {
      const octets = createHmac('sha256', this.#key)
        .update(Uint8Array.of(0x01, block >>> 8, block))
        .digest();
      out.set(octets.subarray(0, length - at), at);
      at += octets.length;
    }
    this.#key = createHmac('sha256', this.#key).update(Uint8Array.of(0x00)).digest();
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
}
