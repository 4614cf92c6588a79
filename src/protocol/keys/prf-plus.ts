import { createHmac } from 'node:crypto';
import { Secret } from '../bytes/secret.js';

/**
 * prf+ of IKEv2 (RFC 7296 2.13): T1 | T2 | …, where T1 = prf(K, S | 1) and Tn = prf(K, Tn-1 | S | n). The prf is HMAC
 * with `hash`. `length` in octets.
 */
export function prfPlus(hash: string, key: Secret, seed: Uint8Array, length: number): Secret {
  return key.use((octets) => Secret.make(length, (out) => feedback(hash, octets, seed, out)));
}

/** Fills `out` with T1 | T2 | … of prf+ and overwrites the intermediate blocks. */
export function feedback(hash: string, key: Uint8Array, seed: Uint8Array, out: Uint8Array): void {
  let block: Uint8Array = new Uint8Array(0);
  for (let at = 0, n = 1; at < out.length; n += 1) {
    if (n > 255) throw new RangeError('prf+ has at most 255 blocks');
    const next = createHmac(hash, key).update(block).update(seed).update(Uint8Array.of(n)).digest();
    out.set(next.subarray(0, out.length - at), at);
    at += next.length;
    block.fill(0);
    block = next;
  }
  block.fill(0);
}
