import { DecodeError } from '../bytes/decode-error.js';
import { type Certificate, readCertificate } from './certificate.js';

/** Maximum number of certificates that a client may send, including its own and a root. */
export const MAX_CHAIN = 8;

/**
 * Limits of RSA keys, because the cost of verifying a signature grows with the square of the size. Larger keys are
 * rejected before any signature is verified.
 */
export const MAX_RSA_BITS = 8192;
const MAX_RSA_EXPONENT = 0xffff_ffffn;

/** Algorithm of public keys on elliptic curves, RFC 5480 2.1.1. */
export const EC_PUBLIC_KEY = '1.2.840.10045.2.1';

/**
 * Why a chain of certificates (DER) is not verified: the work would be too expensive, or a certificate cannot be
 * decoded. Undefined if the chain may be verified.
 */
export function chainProblem(chain: readonly Uint8Array[]): string | undefined {
  if (chain.length > MAX_CHAIN) return `${chain.length} certificates; ${MAX_CHAIN} at most`;
  for (const der of chain) {
    const certificate = read(der);
    if (!certificate) return 'a certificate is not valid DER (RFC 5280)';
    const problem = costly(certificate);
    if (problem) return `${certificate.subject.text}: ${problem}`;
  }
  return undefined;
}

function costly({ keyKind }: Certificate): string | undefined {
  if (keyKind.type === 'rsa') {
    if (keyKind.bits > MAX_RSA_BITS) return `an RSA key of ${keyKind.bits} bits; ${MAX_RSA_BITS} at most`;
    if (keyKind.exponent > MAX_RSA_EXPONENT) return 'an RSA key with a public exponent of more than 32 bits';
    return undefined;
  }
  // RFC 5480 2.1.1: only named curves are allowed.
  if (keyKind.algorithm === EC_PUBLIC_KEY && keyKind.curve === undefined) return 'a curve without a name';
  return undefined;
}

function read(der: Uint8Array): Certificate | undefined {
  try {
    return readCertificate(der);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return undefined;
  }
}
