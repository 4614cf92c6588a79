import { createHmac } from 'node:crypto';
import { concat, encodeUtf8, equalSecrets } from '../../bytes/octets.js';
import { Secret } from '../../bytes/secret.js';
import type { Algorithms, IntegrityAlgorithm, PrfAlgorithm } from './algorithms.js';
import { AVPS } from './dictionary.js';

/** What PANA_AUTH_KEY is made of, RFC 5191 5.3. `iPar` and `iPan` are the whole datagrams of the S exchange. */
export interface KeyInput {
  /** Only read. */
  readonly msk: Secret;
  readonly iPar: Uint8Array;
  readonly iPan: Uint8Array;
  readonly pacNonce: Uint8Array;
  readonly paaNonce: Uint8Array;
  readonly keyId: number;
}

/** A PANA_AUTH_KEY with the algorithm that uses it. */
export interface Protection {
  readonly integrity: IntegrityAlgorithm;
  readonly key: Secret;
}

/** prf+ of IKEv2 (RFC 7296 2.13): T1 | T2 | …, T1 = prf(K, S | 1), Tn = prf(K, Tn-1 | S | n). */
export function prfPlus(prf: PrfAlgorithm, key: Secret, seed: Uint8Array, length: number): Secret {
  return key.use((octets) => Secret.make(length, (out) => feedback(prf.hash, octets, seed, out)));
}

/** Fills `out` with T1 | T2 | … of prf+; the blocks are overwritten. */
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

/**
 * PANA_AUTH_KEY = prf+(MSK, "IETF PANA" | I_PAR | I_PAN | PaC_nonce | PAA_nonce | Key_ID), RFC 5191 5.3, as long as the
 * integrity algorithm wants it.
 */
export function panaAuthKey(algorithms: Algorithms, input: KeyInput): Secret {
  const { keyId } = input;
  const seed = concat(
    encodeUtf8('IETF PANA'),
    input.iPar,
    input.iPan,
    input.pacNonce,
    input.paaNonce,
    Uint8Array.of(keyId >>> 24, keyId >>> 16, keyId >>> 8, keyId),
  );
  return prfPlus(algorithms.prf, input.msk, seed, algorithms.integrity.keyLength);
}

/**
 * AUTH over a message whose last AVP is an AUTH of the right length with a Value of zeros (RFC 5191 5.4); what stands
 * there now does not matter.
 */
export function computeAuth(protection: Protection, octets: Uint8Array): Uint8Array {
  const { integrity, key } = protection;
  const at = octets.length - integrity.tagLength;
  const mac = key
    .use((own) => createHmac(integrity.hash, own))
    .update(octets.subarray(0, at))
    .update(new Uint8Array(integrity.tagLength));
  return new Uint8Array(mac.digest().subarray(0, integrity.tagLength));
}

/** Writes the AUTH into a message that ends with an AUTH AVP of zeros; returns the same octets. */
export function signInPlace(protection: Protection, octets: Uint8Array): Uint8Array {
  octets.set(computeAuth(protection, octets), octets.length - protection.integrity.tagLength);
  return octets;
}

/** Whether the message, as received, ends with the right AUTH. */
export function verifyAuth(protection: Protection, octets: Uint8Array): boolean {
  const { tagLength } = protection.integrity;
  const header = octets.length - tagLength - 8;
  if (header < 16) return false;
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  if (view.getUint16(header) !== AVPS.AUTH.code || view.getUint16(header + 4) !== tagLength) return false;
  return equalSecrets(octets.subarray(header + 8), computeAuth(protection, octets));
}
