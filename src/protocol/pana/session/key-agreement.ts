import type { Drbg } from '../../bytes/drbg.js';
import type { Secret } from '../../bytes/secret.js';
import { type Algorithms, algorithmsOf, ENCRYPTION_ALGORITHMS, type EncryptionAlgorithm } from '../wire/algorithms.js';
import type { PanaAvp } from '../wire/codec.js';
import { makeAvp } from '../wire/dictionary.js';
import { type Encryption, type KeyInput, type Protection, panaAuthKey, panaEncryptionKey } from '../wire/keys.js';
import type { SessionKey } from './session.js';

/** The result of the exchange of PAR[S] and PAN[S] for the whole session (RFC 5191 4.1). */
export interface Agreement {
  /** The complete datagrams, which enter PANA_AUTH_KEY. */
  readonly iPar: Uint8Array;
  readonly iPan: Uint8Array;
  /** Undefined: the session has no PANA SA. */
  readonly algorithms: Algorithms | undefined;
}

/** The first local id, in order of preference, that the other end also offers. */
function choose(ours: readonly number[], offered: readonly number[]): number | undefined {
  return ours.find((id) => offered.includes(id));
}

/** Algorithm ids of one end by preference, and whether an SA is required. */
export interface AlgorithmPolicy {
  readonly prf: readonly number[];
  readonly integrity: readonly number[];
  /** `required`: no session without a PANA SA. */
  readonly sa: 'required' | 'optional';
}

/**
 * The algorithms that `policy` selects from those of the other end, RFC 5191 4.1. Undefined: the other end named none,
 * and the policy accepts a session without an SA. 'none': the start is not acceptable.
 */
export function chooseAlgorithms(
  policy: AlgorithmPolicy,
  prfs: readonly number[],
  integrities: readonly number[],
): Algorithms | undefined | 'none' {
  if (prfs.length === 0 && integrities.length === 0) return policy.sa === 'required' ? 'none' : undefined;
  return algorithmsOf(choose(policy.prf, prfs), choose(policy.integrity, integrities)) ?? 'none';
}

/** The PRF-Algorithm and Integrity-Algorithm AVPs of an answer. */
export function algorithmAvps(algorithms: Algorithms | undefined): PanaAvp[] {
  if (!algorithms) return [];
  const { prf, integrity, encryption } = algorithms;
  return [
    makeAvp('PRF-Algorithm', prf.id),
    makeAvp('Integrity-Algorithm', integrity.id),
    ...(encryption ? [makeAvp('Encryption-Algorithm', encryption.id)] : []),
  ];
}

/** The two nonces of one authentication, the first one or a re-authentication (RFC 5191 4.1, 4.3, 5.3). */
export class Run {
  readonly first: boolean;
  readonly ownNonce: Uint8Array;
  readonly #algorithms: Algorithms | undefined;
  #sent = false;
  #peerNonce: Uint8Array | undefined;

  constructor(first: boolean, algorithms: Algorithms | undefined, drbg: Drbg) {
    this.first = first;
    this.#algorithms = algorithms;
    this.ownNonce = drbg.bytes(algorithms?.prf.nonceLength ?? 0);
  }

  /** The other end's nonce; undefined before its first message of the authentication. */
  get peerNonce(): Uint8Array | undefined {
    return this.#peerNonce;
  }

  /**
   * The Nonce AVP for the next local PAR or PAN without S and C. Only the first one of an authentication carries it.
   */
  nonceAvps(): PanaAvp[] {
    const avps = this.#algorithms && !this.#sent ? [makeAvp('Nonce', this.ownNonce)] : [];
    this.#sent = true;
    return avps;
  }

  /**
   * Whether a Nonce is present or absent as required: only the other end's first message of an authentication carries
   * it.
   */
  expects(nonce: Uint8Array | undefined): boolean {
    return this.#algorithms === undefined || (nonce !== undefined) === (this.#peerNonce === undefined);
  }

  /** Stores the nonce of the other end's first message. */
  take(nonce: Uint8Array | undefined): void {
    this.#peerNonce ??= nonce;
  }
}

/** The nonces of an authentication, with their names in RFC 5191 5.3. */
export interface Nonces {
  readonly pacNonce: Uint8Array;
  readonly paaNonce: Uint8Array;
}

/** Whether one end encrypts AVPs (RFC 6786): never, if the other end can, or in every session. */
export type EncryptionPolicy = 'off' | 'wanted' | 'required';

/** The encryption that a PaC selects from an offer. Undefined: none. 'none': the start is not acceptable. */
export function chooseEncryption(
  policy: EncryptionPolicy,
  offered: readonly number[],
): EncryptionAlgorithm | undefined | 'none' {
  const known = policy === 'off' ? undefined : offered.find((id) => ENCRYPTION_ALGORITHMS.has(id));
  if (known !== undefined) return ENCRYPTION_ALGORITHMS.get(known);
  return policy === 'required' ? 'none' : undefined;
}

/** Derives the keys of an authentication for one end. Does not take ownership of `msk`. */
export function deriveProtection(
  { iPar, iPan }: Agreement,
  algorithms: Algorithms,
  { pacNonce, paaNonce }: Nonces,
  msk: Secret,
  keyId: number,
  end: 'PaC' | 'PAA',
): Protection {
  const input = { msk, iPar, iPan, pacNonce, paaNonce, keyId };
  const key = panaAuthKey(algorithms, input);
  return { integrity: algorithms.integrity, key, encryption: deriveEncryption(algorithms, input, end) };
}

function deriveEncryption(algorithms: Algorithms, input: KeyInput, end: 'PaC' | 'PAA'): Encryption | undefined {
  const { encryption: algorithm } = algorithms;
  if (!algorithm) return undefined;
  const keyOf = (from: 'PaC' | 'PAA') => panaEncryptionKey(from, algorithms, algorithm, input);
  return { algorithm, keyId: input.keyId, sends: keyOf(end), receives: keyOf(end === 'PaC' ? 'PAA' : 'PaC') };
}

/** A copy of the keys of one end for a protocol analyser. */
export function exportedKey(
  sessionId: number,
  keyId: number,
  { integrity, key, encryption }: Protection,
  end: 'PaC' | 'PAA',
): SessionKey {
  const keys = { type: 'key', sessionId, keyId, integrity: integrity.id, key: key.copy() } as const;
  if (!encryption) return keys;
  const { algorithm, sends, receives } = encryption;
  const [pac, paa] = end === 'PaC' ? [sends, receives] : [receives, sends];
  return { ...keys, encryption: { algorithm: algorithm.id, pac: pac.copy(), paa: paa.copy() } };
}
