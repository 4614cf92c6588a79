import type { Certificate, PublicKeyKind } from '../../../protocol/x509/certificate.js';
import { EC_PUBLIC_KEY } from '../../../protocol/x509/chain-limits.js';
import { hashOf } from './signature.js';
import type { Path } from './trust.js';

/** Requirements on the peer's certificates beyond signature and validity. */
export interface CertificatePolicy {
  /** Minimum size of an RSA key in bits. */
  readonly minRsaBits: number;
  /** SHA-1 signatures, which can be forged (RFC 9155, NIST SP 800-131A). */
  readonly sha1Signatures: 'refuse' | 'allow';
  /** Whether a certificate without extendedKeyUsage is accepted for every purpose, as RFC 5280 4.2.1.12 allows. */
  readonly extendedKeyUsage: 'required' | 'if-present';
}

export const DEFAULT_POLICY: CertificatePolicy = {
  minRsaBits: 2048,
  sha1Signatures: 'refuse',
  extendedKeyUsage: 'required',
};

/** The TLS role of the peer. */
export type PeerRole = 'client' | 'server';

/** Why a path violates the policy. Reasons are stable, for logs and counters. */
export interface PolicyViolation {
  readonly reason: 'weak-certificate' | 'purpose';
  readonly detail: string;
}

/** id-kp-clientAuth and id-kp-serverAuth, RFC 5280 4.2.1.12. */
const PURPOSES: Readonly<Record<PeerRole, string>> = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' };
const NAMES: Readonly<Record<PeerRole, string>> = { client: 'clientAuth', server: 'serverAuth' };
const ANY_PURPOSE = '2.5.29.37.0';

/** Ed25519 and Ed448. */
const EDWARDS = new Set(['1.3.101.112', '1.3.101.113']);

/** Curves of 224 bits or more, equivalent to RSA with 2048 bits: NIST, secp256k1, Brainpool (RFC 5480, 5639). */
const CURVES = new Set([
  '1.2.840.10045.3.1.7',
  '1.3.132.0.33',
  '1.3.132.0.34',
  '1.3.132.0.35',
  '1.3.132.0.10',
  ...Array.from({ length: 10 }, (_, i) => `1.3.36.3.3.2.8.1.1.${i + 5}`),
]);

/** The first policy violation of a verified path; undefined if there is none. */
export function violation(path: Path, role: PeerRole, policy: CertificatePolicy): PolicyViolation | undefined {
  return weakness(path, policy) ?? misuse(path, role, policy);
}

/** A weak key or signature in a path. */
export function weakness(path: Path, policy: CertificatePolicy): PolicyViolation | undefined {
  for (const [i, certificate] of path.entries()) {
    const isAnchor = i === path.length - 1;
    // An anchor is trusted by configuration, whatever its own signature.
    const weak = weakKey(certificate, policy) ?? (isAnchor ? undefined : weakSignature(certificate, policy));
    if (weak !== undefined) return { reason: 'weak-certificate', detail: `${certificate.subject.text}: ${weak}` };
  }
  return undefined;
}

function weakKey({ keyKind }: Certificate, { minRsaBits }: CertificatePolicy): string | undefined {
  if (keyKind.type === 'rsa') {
    if (keyKind.bits < minRsaBits) return `an RSA key of ${keyKind.bits} bits, less than ${minRsaBits}`;
    const isBroken = keyKind.exponent < 3n || keyKind.exponent % 2n === 0n;
    return isBroken ? `an RSA key with the exponent ${keyKind.exponent}` : undefined;
  }
  return isStrong(keyKind) ? undefined : `a key of ${keyKind.curve ?? keyKind.algorithm}, which is weak or unknown`;
}

function isStrong({ algorithm, curve }: Extract<PublicKeyKind, { type: 'other' }>): boolean {
  if (algorithm === EC_PUBLIC_KEY) return curve !== undefined && CURVES.has(curve);
  return EDWARDS.has(algorithm);
}

function weakSignature({ signed }: Certificate, { sha1Signatures }: CertificatePolicy): string | undefined {
  const isSha1 = hashOf(signed) === 'sha1';
  return isSha1 && sha1Signatures === 'refuse' ? 'a signature over SHA-1' : undefined;
}

/** A certificate in the path that must not be used for this purpose. */
export function misuse(
  path: Path,
  role: PeerRole,
  { extendedKeyUsage }: CertificatePolicy,
): PolicyViolation | undefined {
  const [leaf] = path;
  if (!leaf) return { reason: 'purpose', detail: 'no certificate' };
  const name = NAMES[role];
  const purpose = PURPOSES[role];
  const detail = (certificate: Certificate, why: string) => `${certificate.subject.text}: ${why}`;
  if (leaf.extendedKeyUsage === undefined && extendedKeyUsage === 'required') {
    return { reason: 'purpose', detail: detail(leaf, `it has no extendedKeyUsage, and should have ${name}`) };
  }
  if (leaf.extendedKeyUsage && !leaf.extendedKeyUsage.includes(purpose)) {
    return { reason: 'purpose', detail: detail(leaf, `its extendedKeyUsage lacks ${name}`) };
  }
  // A CA that is limited to some purposes cannot grant others.
  const limited = path
    .slice(1)
    .find(({ extendedKeyUsage: of }) => of && !of.includes(purpose) && !of.includes(ANY_PURPOSE));
  return limited && { reason: 'purpose', detail: detail(limited, `it may not issue certificates for ${name}`) };
}
