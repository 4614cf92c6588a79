/** PRF-Algorithm values: IKEv2 transform type 2 (RFC 5191 8.6, RFC 4868). */
export const PRF = { HMAC_SHA1: 2, HMAC_SHA2_256: 5 } as const;

/** Integrity-Algorithm values: IKEv2 transform type 3 (RFC 5191 8.3, RFC 4868). */
export const INTEGRITY = { HMAC_SHA1_160: 7, HMAC_SHA2_256_128: 12 } as const;

type Hash = 'sha1' | 'sha256';

/** `nonceLength` in octets: the length of the hash, but at most the 20 octets that RFC 5191 8.5 recommends. */
export interface PrfAlgorithm {
  readonly id: number;
  readonly name: string;
  readonly hash: Hash;
  readonly nonceLength: number;
}

/** `keyLength` and `tagLength` in octets. Unlike IKEv2's AUTH_HMAC_SHA1_96, SHA-1 is not truncated. */
export interface IntegrityAlgorithm {
  readonly id: number;
  readonly name: string;
  readonly hash: Hash;
  readonly keyLength: number;
  readonly tagLength: number;
}

export const PRF_ALGORITHMS: ReadonlyMap<number, PrfAlgorithm> = new Map([
  [PRF.HMAC_SHA1, { id: PRF.HMAC_SHA1, name: 'PRF_HMAC_SHA1', hash: 'sha1', nonceLength: 20 }],
  [PRF.HMAC_SHA2_256, { id: PRF.HMAC_SHA2_256, name: 'PRF_HMAC_SHA2_256', hash: 'sha256', nonceLength: 20 }],
]);

export const INTEGRITY_ALGORITHMS: ReadonlyMap<number, IntegrityAlgorithm> = new Map([
  [
    INTEGRITY.HMAC_SHA1_160,
    { id: INTEGRITY.HMAC_SHA1_160, name: 'AUTH_HMAC_SHA1_160', hash: 'sha1', keyLength: 20, tagLength: 20 },
  ],
  [
    INTEGRITY.HMAC_SHA2_256_128,
    { id: INTEGRITY.HMAC_SHA2_256_128, name: 'AUTH_HMAC_SHA2_256_128', hash: 'sha256', keyLength: 32, tagLength: 16 },
  ],
]);

/** Encryption-Algorithm values, RFC 6786 4. */
export const ENCRYPTION = { AES128_CTR: 1 } as const;

/** `keyLength` in octets. */
export interface EncryptionAlgorithm {
  readonly id: number;
  readonly name: string;
  readonly cipher: 'aes-128-ctr';
  readonly keyLength: number;
}

export const ENCRYPTION_ALGORITHMS: ReadonlyMap<number, EncryptionAlgorithm> = new Map([
  [ENCRYPTION.AES128_CTR, { id: ENCRYPTION.AES128_CTR, name: 'AES128_CTR', cipher: 'aes-128-ctr', keyLength: 16 }],
]);

/** The algorithms agreed in PAR[S] and PAN[S], RFC 5191 4.1, RFC 6786 2. */
export interface Algorithms {
  readonly prf: PrfAlgorithm;
  readonly integrity: IntegrityAlgorithm;
  /** Undefined: AVPs are not encrypted. */
  readonly encryption?: EncryptionAlgorithm | undefined;
}

/** The algorithms with these ids; undefined: one of them is not implemented. */
export function algorithmsOf(prfId: number | undefined, integrityId: number | undefined): Algorithms | undefined {
  const prf = PRF_ALGORITHMS.get(prfId ?? 0);
  const integrity = INTEGRITY_ALGORITHMS.get(integrityId ?? 0);
  return prf && integrity ? { prf, integrity } : undefined;
}
