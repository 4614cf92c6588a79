import { CodedError } from '../../../errors/coded-error.js';
import { type Certificate, KEY_USAGE } from '../../../protocol/x509/certificate.js';
import { type CertificateList, isNewer } from '../../../protocol/x509/crl.js';
import { hasSigned } from './signature.js';
import type { Path } from './trust.js';

/** What to do if the CRL of an issuer is out of date, and if an issuer has none. */
export interface RevocationPolicy {
  readonly expired: 'refuse' | 'ignore';
  readonly missing: 'refuse' | 'ignore';
}

/** A CRL and its file, for messages. */
export interface CrlOfFile {
  readonly list: CertificateList;
  readonly path: string;
}

/** A CRL that its issuer did not sign or must not sign. */
export class CrlSignatureError extends CodedError<'ERR_CRL_SIGNATURE'> {
  override readonly name = 'CrlSignatureError';

  constructor(message: string) {
    super('ERR_CRL_SIGNATURE', message);
  }
}

/**
 * The configured CRLs, each bound to the one issuer whose key signed it (RFC 5280 6.3.3 f, g). This is the only
 * revocation check, for full handshakes, resumptions and live sessions alike.
 */
export class Revocation {
  readonly policy: RevocationPolicy;
  readonly #byName = new Map<string, CrlOfFile[]>();
  /** CRLs of each issuer, newest first, filled on first use. */
  readonly #byIssuer = new Map<string, CertificateList[]>();
  readonly #verified = new Set<CertificateList>();

  constructor(lists: readonly CrlOfFile[], policy: RevocationPolicy) {
    this.policy = policy;
    const seen = new Set<string>();
    for (const one of lists) {
      if (seen.has(one.list.fingerprint256)) continue;
      seen.add(one.list.fingerprint256);
      const { key } = one.list.issuer;
      this.#byName.set(key, [...(this.#byName.get(key) ?? []), one]);
    }
  }

  /**
   * Verifies the CRLs of all known issuers. The CRL of an unknown issuer stays unverified until a path contains the
   * issuer. Throws CrlSignatureError.
   */
  verify(issuers: readonly Certificate[]): void {
    for (const issuer of issuers) this.#bind(issuer);
    for (const one of this.unverified) refuseForged(one, issuers);
  }

  /** The CRLs in force at this time, one for each known issuer. */
  inForce(now: number): { readonly issuerId: string; readonly list: CertificateList }[] {
    return [...this.#byIssuer].flatMap(([issuerId, lists]) => {
      const list = current(lists, now);
      return list ? [{ issuerId, list }] : [];
    });
  }

  /** CRLs whose signature cannot be verified because the issuer is unknown. */
  get unverified(): CrlOfFile[] {
    return this.lists.filter(({ list }) => !this.#verified.has(list));
  }

  /** All configured CRLs. */
  get lists(): CrlOfFile[] {
    return [...this.#byName.values()].flat();
  }

  /** Binds CRLs to the issuers in a verified path. Returns whether a CRL became verifiable. */
  learn(issuers: readonly Certificate[]): boolean {
    return issuers.filter((issuer) => !this.#byIssuer.has(issuer.issuerId) && this.#bind(issuer).length > 0).length > 0;
  }

  /**
   * Why a path is refused; undefined if it is not. Every certificate except the trust anchor is checked against its own
   * issuer's CRL.
   */
  judge(path: Path, now: number): { readonly reason: 'revoked' | 'crl'; readonly detail: string } | undefined {
    for (const [i, certificate] of path.slice(0, -1).entries()) {
      const issuer = path[i + 1];
      const list = issuer && current(this.#bind(issuer), now);
      if (!list) {
        if (this.policy.missing === 'ignore') continue;
        return { reason: 'crl', detail: `there is no CRL of ${certificate.issuer.text}` };
      }
      if (list.serials.has(certificate.serial)) {
        return { reason: 'revoked', detail: `${certificate.subject.text}: serial ${certificate.serial}` };
      }
      if (this.policy.expired === 'ignore') continue;
      if (list.thisUpdate > now) return { reason: 'crl', detail: `the CRL of ${list.issuer.text} is not valid yet` };
      if (list.nextUpdate !== undefined && list.nextUpdate <= now) {
        return { reason: 'crl', detail: `the CRL of ${list.issuer.text} has expired` };
      }
    }
    return undefined;
  }

  /** The CRLs that this issuer signed, newest first. Verified once for each issuer. */
  #bind(issuer: Certificate): CertificateList[] {
    const known = this.#byIssuer.get(issuer.issuerId);
    if (known) return known;
    const signed = (this.#byName.get(issuer.subject.key) ?? [])
      .map(({ list }) => list)
      .filter((list) => mayBeOf(list, issuer) && maySign(issuer) && hasSigned(issuer, list.signed));
    for (const list of signed) this.#verified.add(list);
    const lists = ordered(signed);
    // Cache only issuers that a CRL names, since there may be any number of others.
    if (this.#byName.has(issuer.subject.key)) this.#byIssuer.set(issuer.issuerId, lists);
    return lists;
  }
}

/** Sorts CRLs, newest first. CRLs that are equally new are merged, since any of them may be authoritative. */
function ordered(lists: readonly CertificateList[]): CertificateList[] {
  const sorted = [...lists].sort((one, other) => (isNewer(one, other) ? -1 : isNewer(other, one) ? 1 : 0));
  const merged: CertificateList[] = [];
  for (const list of sorted) {
    const newer = merged.at(-1);
    if (!newer || isNewer(newer, list)) merged.push(list);
    else merged.splice(-1, 1, { ...newer, serials: new Set([...newer.serials, ...list.serials]) });
  }
  return merged;
}

/** The newest CRL that is not from the future, or the newest if all are. */
function current(lists: readonly CertificateList[], now: number): CertificateList | undefined {
  return lists.find(({ thisUpdate }) => thisUpdate <= now) ?? lists[0];
}

/** Issuers with the same name are distinguished by their keys (RFC 5280 5.2.1). */
function mayBeOf({ issuer: { key }, authorityKeyId }: CertificateList, issuer: Certificate): boolean {
  if (key !== issuer.subject.key) return false;
  const { subjectKeyId } = issuer;
  return authorityKeyId === undefined || subjectKeyId === undefined || authorityKeyId === subjectKeyId;
}

function maySign({ keyUsage }: Certificate): boolean {
  return keyUsage === undefined || (keyUsage & KEY_USAGE.CRL_SIGN) !== 0;
}

/** Throws if a CRL names a known issuer that did not sign it. */
function refuseForged({ list, path }: CrlOfFile, issuers: readonly Certificate[]): void {
  const [first, ...others] = issuers.filter((issuer) => mayBeOf(list, issuer));
  if (!first) return;
  const problem = [first, ...others].every((issuer) => !maySign(issuer))
    ? 'is of a CA whose keyUsage does not allow it to sign CRLs (cRLSign)'
    : 'was not signed by that CA: its signature is wrong';
  throw new CrlSignatureError(`${path}: the CRL of ${list.issuer.text} ${problem}`);
}
