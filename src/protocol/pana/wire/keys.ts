import { createHmac } from 'node:crypto';
import { concat, encodeUtf8, equalSecrets } from '../../bytes/octets.js';
import type { Secret } from '../../bytes/secret.js';
import { prfPlus } from '../../keys/prf-plus.js';
import type { Algorithms, EncryptionAlgorithm, IntegrityAlgorithm } from './algorithms.js';
import { AVPS } from './dictionary.js';

/** Input of PANA_AUTH_KEY and of the keys of RFC 6786 3, RFC 5191 5.3. `iPar` and `iPan`: the complete datagrams of PAR[S] and PAN[S]. */
export interface KeyInput {
  /** The caller remains the owner. */
  readonly msk: Secret;
  readonly iPar: Uint8Array;
  readonly iPan: Uint8Array;
  readonly pacNonce: Uint8Array;
  readonly paaNonce: Uint8Array;
  readonly keyId: number;
}

/** The keys that encrypt AVPs at one end, RFC 6786 3: one for each direction. */
export interface Encryption {
  readonly algorithm: EncryptionAlgorithm;
  /** Key-Id of the MSK that they are derived from. */
  readonly keyId: number;
  readonly sends: Secret;
  readonly receives: Secret;
}

/** A PANA_AUTH_KEY with the algorithm that uses it. */
export interface Protection {
  readonly integrity: IntegrityAlgorithm;
  readonly key: Secret;
  /** Undefined: AVPs are not encrypted. */
  readonly encryption?: Encryption | undefined;
}

export function wipeProtection({ key, encryption }: Protection): void {
  key.wipe();
  encryption?.sends.wipe();
  encryption?.receives.wipe();
}

/**
 * PANA_AUTH_KEY = prf+(MSK, "IETF PANA" | I_PAR | I_PAN | PaC_nonce | PAA_nonce | Key_ID), RFC 5191 5.3, with the key
 * length of the integrity algorithm.
 */
export function panaAuthKey(algorithms: Algorithms, input: KeyInput): Secret {
  return deriveKey('IETF PANA', algorithms, input, algorithms.integrity.keyLength);
}

/** PANA_PAC_ENCR_KEY, for messages of the PaC, or PANA_PAA_ENCR_KEY, for messages of the PAA: RFC 6786 3. */
export function panaEncryptionKey(
  from: 'PaC' | 'PAA',
  algorithms: Algorithms,
  { keyLength }: EncryptionAlgorithm,
  input: KeyInput,
): Secret {
  return deriveKey(`IETF PANA ${from} Encr`, algorithms, input, keyLength);
}

function deriveKey(label: string, { prf }: Algorithms, input: KeyInput, length: number): Secret {
  const { keyId } = input;
  const seed = concat(
    encodeUtf8(label),
    input.iPar,
    input.iPan,
    input.pacNonce,
    input.paaNonce,
    Uint8Array.of(keyId >>> 24, keyId >>> 16, keyId >>> 8, keyId),
  );
  return prfPlus(prf.hash, input.msk, seed, length);
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
