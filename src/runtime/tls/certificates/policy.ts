import type { Certificate, PublicKeyKind } from '../../../protocol/x509/certificate.js';
import { hashOf } from './signature.js';
import type { Path } from './trust.js';

/** What certificates of the other end have to be, beside signed and valid. */
export interface CertificatePolicy {
  /** Bits of the smallest RSA key. */
  readonly minRsaBits: number;
  /** Signatures over SHA-1, which can be forged (RFC 9155, NIST SP 800-131A). */
  readonly sha1Signatures: 'refuse' | 'allow';
  /** Whether a certificate without extendedKeyUsage is good for everything, as RFC 5280 4.2.1.12 has it. */
  readonly extendedKeyUsage: 'required' | 'if-present';
}

export const DEFAULT_POLICY: CertificatePolicy = {
  minRsaBits: 2048,
  sha1Signatures: 'refuse',
  extendedKeyUsage: 'required',
};

/** What the other end is to us. */
export type PeerRole = 'client' | 'server';

/** Why a path is not good enough; reasons are stable, for logs and counters. */
export interface PolicyViolation {
  readonly reason: 'weak-certificate' | 'purpose';
  readonly detail: string;
}

/** id-kp-clientAuth and id-kp-serverAuth, RFC 5280 4.2.1.12. */
const PURPOSES: Readonly<Record<PeerRole, string>> = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' };
const NAMES: Readonly<Record<PeerRole, string>> = { client: 'clientAuth', server: 'serverAuth' };
const ANY_PURPOSE = '2.5.29.37.0';

const EC_PUBLIC_KEY = '1.2.840.10045.2.1';

/** Ed25519 and Ed448. */
const EDWARDS = new Set(['1.3.101.112', '1.3.101.113']);

/** Curves of 224 bits and more, which are worth an RSA key of 2048: NIST, secp256k1, Brainpool (RFC 5480, 5639). */
const CURVES = new Set([
  ...['1.2.840.10045.3.1.7', '1.3.132.0.33', '1.3.132.0.34', '1.3.132.0.35', '1.3.132.0.10'],
  ...Array.from({ length: 10 }, (_, i) => `1.3.36.3.3.2.8.1.1.${i + 5}`),
]);

/** What is wrong with a verified path; undefined if nothing is. */
export function violation(path: Path, role: PeerRole, policy: CertificatePolicy): PolicyViolation | undefined {
  return weakness(path, policy) ?? misuse(path, role, policy);
}

/** A key or signature of a path that is worth too little. */
export function weakness(path: Path, policy: CertificatePolicy): PolicyViolation | undefined {
  for (const [i, certificate] of path.entries()) {
    const isAnchor = i === path.length - 1;
    // That an anchor is trusted was configured, whatever its own signature is worth.
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

/** A path that is for something else. */
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
  // A CA that is limited to purposes cannot give others.
  const limited = path
    .slice(1)
    .find(({ extendedKeyUsage: of }) => of && !of.includes(purpose) && !of.includes(ANY_PURPOSE));
  return limited && { reason: 'purpose', detail: detail(limited, `it may not issue certificates for ${name}`) };
}
