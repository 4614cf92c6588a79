import { createHmac } from 'node:crypto';
import { concat, encodeUtf8, equalSecrets } from '../../bytes/octets.js';
import type { Secret } from '../../bytes/secret.js';
import { prfPlus } from '../../keys/prf-plus.js';
import type { Algorithms, IntegrityAlgorithm } from './algorithms.js';
import { AVPS } from './dictionary.js';

/** Input of PANA_AUTH_KEY, RFC 5191 5.3. `iPar` and `iPan`: the complete datagrams of PAR[S] and PAN[S]. */
export interface KeyInput {
  /** The caller remains the owner. */
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

/**
 * PANA_AUTH_KEY = prf+(MSK, "IETF PANA" | I_PAR | I_PAN | PaC_nonce | PAA_nonce | Key_ID), RFC 5191 5.3, with the key
 * length of the integrity algorithm.
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
  return prfPlus(algorithms.prf.hash, input.msk, seed, algorithms.integrity.keyLength);
}

/**
 * Computes AUTH of a message. Its last AVP must be an AUTH of the right length, whose value counts as zeros (RFC 5191
 * 5.4).
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

/** Writes AUTH into a message that ends with a zeroed AUTH AVP. Returns the same octets. */
export function signInPlace(protection: Protection, octets: Uint8Array): Uint8Array {
  octets.set(computeAuth(protection, octets), octets.length - protection.integrity.tagLength);
  return octets;
}

/** Whether a received message ends with the correct AUTH. */
export function verifyAuth(protection: Protection, octets: Uint8Array): boolean {
  const { tagLength } = protection.integrity;
  const header = octets.length - tagLength - 8;
  if (header < 16) return false;
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  if (view.getUint16(header) !== AVPS.AUTH.code || view.getUint16(header + 4) !== tagLength) return false;
  return equalSecrets(octets.subarray(header + 8), computeAuth(protection, octets));
}
