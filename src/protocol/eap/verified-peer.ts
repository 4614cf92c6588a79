import type { Certificate } from '../x509/certificate.js';

/** What the certificate of the other end proves. */
export interface VerifiedPeer {
  /** Names in the order in which they are looked up: SAN rfc822Name, UPN, dNSName, then CN. */
  readonly peerIds: readonly string[];
  /** dNSNames of the subjectAltName. */
  readonly dnsNames: readonly string[];
  /** Hexadecimal, lower case, without leading zeros. A serial number is unique within its issuer only. */
  readonly serial: string;
  /** Name and key of the issuer, see Certificate.issuerId; of the certificate itself if it is a trust anchor. */
  readonly issuerId: string;
  readonly fingerprint256: string;
  /** Milliseconds since 1970, UTC: when the first certificate of the path expires. */
  readonly notAfter: number;
  readonly subject: string;
  /** From the leaf to the trust anchor, verified. */
  readonly path: readonly Certificate[];
}

/** A certificate as the store keeps it with a session. */
export function certificateKey({ issuerId, serial }: Pick<VerifiedPeer, 'issuerId' | 'serial'>): string {
  return `${issuerId}:${serial}`;
}
