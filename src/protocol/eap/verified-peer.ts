import type { Certificate } from '../x509/certificate.js';

/** Properties of the remote end that its certificate proves. */
export interface PeerIdentity {
  /** Names in lookup order: SAN rfc822Name, UPN, dNSName, then CN. */
  readonly peerIds: readonly string[];
  /** dNSNames of the subjectAltName. */
  readonly dnsNames: readonly string[];
  /** Lower-case hexadecimal without leading zeros. A serial number is unique only within its issuer. */
  readonly serial: string;
  /**
   * Identifies the issuer by name and key, see Certificate.issuerId. For a trust anchor, identifies the certificate
   * itself.
   */
  readonly issuerId: string;
  readonly fingerprint256: string;
  /** Milliseconds since 1970, UTC: the earliest expiry of the certificates in the path. */
  readonly notAfter: number;
  readonly subject: string;
}

/** A remote end with the certificates that prove its identity. */
export interface VerifiedPeer extends PeerIdentity {
  /** The verified path, from the leaf to the trust anchor. */
  readonly path: readonly Certificate[];
}

/** Key by which the store identifies the certificate of a session. */
export function certificateKey({ issuerId, serial }: Pick<PeerIdentity, 'issuerId' | 'serial'>): string {
  return `${issuerId}:${serial}`;
}
