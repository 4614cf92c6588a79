import { createHash } from 'node:crypto';
import { BoundedMap } from '../../../protocol/bytes/bounded-map.js';
import { type Certificate, KEY_USAGE } from '../../../protocol/x509/certificate.js';
import { hasSigned } from './signature.js';

/** Maximum length of a path, leaf and trust anchor included. */
export const MAX_PATH = 8;

/**
 * Maximum number of signatures verified for one leaf, so that a chain of many certificates with one name costs little.
 */
export const MAX_TRIES = 24;

/** Maximum number of learned intermediate certificates. */
export const MAX_LEARNED = 256;

/** Maximum number of remembered valid signatures, by the fingerprints of both certificates. */
const MAX_SIGNATURES = 20_000;

/**
 * Extensions of a CA that may be critical: keyUsage, subjectAltName, basicConstraints, extKeyUsage, and the policy
 * extensions (RFC 5280 4.2.1.4, 5, 11, 14), which have no effect because no policy is required.
 */
const FOLLOWED = new Set(['15', '17', '19', '37', '32', '33', '36', '54'].map((last) => `2.5.29.${last}`));
/** Checked by the engine only. */
const NAME_CONSTRAINTS = '2.5.29.30';

/** A certificate path, leaf first, trust anchor last. */
export type Path = readonly Certificate[];

export type PathFailure =
  /** There is no path to a trust anchor: an issuer is unknown or did not sign the certificate. */
  | { readonly reason: 'other-ca'; readonly detail: string }
  | { readonly reason: 'expired' | 'not-yet-valid'; readonly detail: string };

/**
 * The trusted CAs and the known intermediate certificates. As in OpenSSL, a trust anchor is a configured self-signed
 * certificate; the other configured certificates only help to build paths.
 */
export class Trust {
  /** Identifies the set of trust anchors, which a verified path depends on. */
  readonly id: string;
  readonly #anchors = new Set<Certificate>();
  readonly #bySubject = new Map<string, Certificate[]>();
  readonly #learned = new Map<string, Certificate>();
  readonly #signatures = new BoundedMap<string, true>(MAX_SIGNATURES);

  /** `helpers`: known but untrusted certificates, such as the chain of our own certificate. */
  constructor(configured: readonly Certificate[], helpers: readonly Certificate[] = []) {
    const unique = new Map(configured.map((certificate) => [certificate.fingerprint256, certificate]));
    for (const certificate of unique.values()) {
      this.#index(certificate);
      if (isSelfSigned(certificate)) this.#anchors.add(certificate);
    }
    for (const helper of helpers) {
      if (helper.isCa && !unique.has(helper.fingerprint256)) this.#index(helper);
    }
    this.id = createHash('sha256')
      .update([...unique.keys()].sort().join())
      .digest('hex');
  }

  /** All certificates that may issue others, configured or learned. */
  get authorities(): Certificate[] {
    return [...this.#bySubject.values()].flat();
  }

  /** Certificates that were learned from verified paths, oldest first. */
  get learned(): Certificate[] {
    return [...this.#learned.values()];
  }

  isAnchor(certificate: Certificate): boolean {
    return this.#anchors.has(certificate);
  }

  /** Remembers the intermediates of a verified path. Returns the new ones. */
  learn(path: Path): Certificate[] {
    return this.add(path.slice(1, -1));
  }

  /** Remembers CAs of verified paths. Returns the new ones. */
  add(authorities: readonly Certificate[]): Certificate[] {
    const fresh = authorities.filter((one) => !this.#bySubject.get(one.subject.key)?.some((known) => same(known, one)));
    for (const certificate of fresh) {
      const [oldest] = this.#learned.values();
      if (oldest && this.#learned.size >= MAX_LEARNED) this.#forget(oldest);
      this.#learned.set(certificate.fingerprint256, certificate);
      this.#index(certificate);
    }
    return fresh;
  }

  /**
   * Returns all paths from a leaf to a trust anchor. `chain`: certificates that came with the leaf. `engineChecked`:
   * the engine has verified a path of this leaf including name constraints, which are not checked here; otherwise a
   * path with name constraints is refused.
   */
  paths(leaf: Certificate, chain: readonly Certificate[], now: number, engineChecked: boolean): Path[] | PathFailure {
    const found: Path[] = [];
    let failure: PathFailure = { reason: 'other-ca', detail: `no issuer of ${leaf.subject.text}` };
    let tries = 0;
    const anchored = this.#sameAs(leaf);
    const dated = validity(leaf, now);
    if (dated) return dated;
    if (anchored && this.#anchors.has(anchored)) return [[leaf]];
    const climb = (path: Certificate[]): void => {
      const top = path.at(-1);
      if (!top || path.length >= MAX_PATH) return;
      for (const issuer of this.#candidates(top, chain)) {
        if (path.some((one) => same(one, issuer))) continue;
        const unfit = this.#unfit(issuer, path);
        if (unfit) {
          failure = { reason: 'other-ca', detail: `${issuer.subject.text}: ${unfit}` };
          continue;
        }
        const outdated = validity(issuer, now);
        if (outdated) {
          failure = outdated;
          continue;
        }
        tries += 1;
        if (tries > MAX_TRIES) return;
        if (!this.#signed(issuer, top)) {
          failure = { reason: 'other-ca', detail: `${issuer.subject.text} did not sign ${top.subject.text}` };
          continue;
        }
        if (this.#anchors.has(issuer)) found.push([...path, issuer]);
        else climb([...path, issuer]);
      }
    };
    climb([leaf]);
    const followed = found.filter((path) => path.slice(1).every(isFollowed));
    if (followed.length > 0) return followed;
    // The only path must be the one that the engine verified.
    if (engineChecked && found.length === 1) return found;
    if (found.length > 0)
      return { reason: 'other-ca', detail: `${leaf.subject.text}: constraints of a CA on its path` };
    return failure;
  }

  /** Possible issuers by name and key identifier: known certificates first, then those that came with the leaf. */
  #candidates(of: Certificate, chain: readonly Certificate[]): Certificate[] {
    const known = this.#bySubject.get(of.issuer.key) ?? [];
    const more = chain.filter((one) => one.subject.key === of.issuer.key && !known.some((other) => same(other, one)));
    return [...known, ...more].filter(
      ({ subjectKeyId }) =>
        of.authorityKeyId === undefined || subjectKeyId === undefined || of.authorityKeyId === subjectKeyId,
    );
  }

  /** Why a certificate cannot issue the last certificate of a path (RFC 5280 6.1.4 k to n). */
  #unfit(issuer: Certificate, path: readonly Certificate[]): string | undefined {
    // A version 1 trust anchor has no extensions; it is trusted by configuration.
    const isOldAnchor = this.#anchors.has(issuer) && issuer.extensions.size === 0;
    if (!issuer.isCa && !isOldAnchor) return 'is not a CA';
    if (issuer.keyUsage !== undefined && (issuer.keyUsage & KEY_USAGE.KEY_CERT_SIGN) === 0) {
      return 'its keyUsage does not allow it to sign certificates';
    }
    const below = path.slice(1).filter((one) => one.subject.key !== one.issuer.key).length;
    if (issuer.pathLength !== undefined && below > issuer.pathLength) return 'its path is too long';
    return undefined;
  }

  #signed(issuer: Certificate, certificate: Certificate): boolean {
    const pair = `${issuer.issuerId} ${certificate.fingerprint256}`;
    if (this.#signatures.has(pair)) return true;
    if (!hasSigned(issuer, certificate.signed)) return false;
    this.#signatures.set(pair, true);
    return true;
  }

  #sameAs(certificate: Certificate): Certificate | undefined {
    return this.#bySubject.get(certificate.subject.key)?.find((known) => same(known, certificate));
  }

  #index(certificate: Certificate): void {
    const { key } = certificate.subject;
    const list = this.#bySubject.get(key);
    if (list) list.push(certificate);
    else this.#bySubject.set(key, [certificate]);
  }

  #forget(certificate: Certificate): void {
    this.#learned.delete(certificate.fingerprint256);
    const list = this.#bySubject.get(certificate.subject.key)?.filter((one) => one !== certificate) ?? [];
    if (list.length > 0) this.#bySubject.set(certificate.subject.key, list);
    else this.#bySubject.delete(certificate.subject.key);
  }
}

/** Whether a configured certificate is a trust anchor. */
export function isSelfSigned(certificate: Certificate): boolean {
  return certificate.subject.key === certificate.issuer.key && hasSigned(certificate, certificate.signed);
}

function same(one: Certificate, other: Certificate): boolean {
  return one.fingerprint256 === other.fingerprint256;
}

function isFollowed({ extensions }: Certificate): boolean {
  if (extensions.has(NAME_CONSTRAINTS)) return false;
  return [...extensions].every(([oid, { critical }]) => !critical || FOLLOWED.has(oid));
}

/** Why a certificate is not valid at this time; undefined if it is. */
export function validity({ notBefore, notAfter, subject }: Certificate, now: number): PathFailure | undefined {
  if (notAfter <= now) return { reason: 'expired', detail: subject.text };
  if (notBefore > now) return { reason: 'not-yet-valid', detail: subject.text };
  return undefined;
}
