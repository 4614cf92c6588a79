import 'reflect-metadata';
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { X509Crl } from '@peculiar/x509';

/** Why a conversation was refused; stable, for logs and counters. */
export type Refusal =
  | 'expired'
  | 'not-yet-valid'
  | 'other-ca'
  | 'revoked'
  | 'crl'
  | 'no-certificate'
  | 'name'
  | 'no-subscriber'
  | 'disabled'
  | 'other-certificate'
  | 'second-session'
  | 'too-many-failures'
  | 'unavailable'
  | 'tls-alert'
  | 'fragments'
  | 'too-many-rounds'
  | 'no-common-method'
  | 'protocol';

/** What the client proved. `peerIds` in the order in which they are looked up: SAN rfc822Name, UPN, dNSName, then CN. */
export interface VerifiedPeer {
  readonly peerIds: readonly string[];
  /** Hexadecimal, lower case, without leading zeros. */
  readonly serial: string;
  readonly fingerprint256: string;
  /** Milliseconds since 1970, UTC. */
  readonly notAfter: number;
  readonly subject: string;
}

/** A CRL as the engine wants it, and its serial numbers for handshakes in which the engine does not look at it. */
export interface RevocationList {
  readonly pem: string;
  readonly serials: ReadonlySet<string>;
  /** Milliseconds since 1970, UTC. */
  readonly thisUpdate: number;
  /** Milliseconds since 1970, UTC; undefined: never out of date. */
  readonly nextUpdate: number | undefined;
  /** What to do when the list itself is out of date. */
  readonly expired: 'refuse' | 'ignore';
}

/** Reads a CRL; throws if it is none. */
export function readRevocationList(pem: string, expired: RevocationList['expired']): RevocationList {
  const crl = new X509Crl(pem);
  return {
    pem,
    serials: new Set(crl.entries.map(({ serialNumber }) => plainSerial(serialNumber))),
    thisUpdate: crl.thisUpdate.getTime(),
    nextUpdate: crl.nextUpdate?.getTime(),
    expired,
  };
}

function plainSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}

const REASONS: Readonly<Record<string, Refusal>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  CERT_REVOKED: 'revoked',
  CRL_HAS_EXPIRED: 'crl',
  CRL_NOT_YET_VALID: 'crl',
  UNABLE_TO_GET_CRL: 'crl',
};

/**
 * Whether the client's certificate is good, on a full handshake or a resumed one: the engine does not look at the CRL
 * when it resumes, so its word alone is not enough.
 */
export function judge(
  socket: TLSSocket,
  revocation: RevocationList | undefined,
  now: number,
): { readonly peer: VerifiedPeer } | { readonly reason: Refusal; readonly detail: string } {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return { reason: 'no-certificate', detail: 'the client sent none' };
  const peer = describe(certificate);
  if (socket.authorized !== true) {
    const code = String(socket.authorizationError ?? 'unknown');
    return { reason: REASONS[code] ?? 'other-ca', detail: `${peer.subject}: ${code}` };
  }
  if (revocation?.serials.has(peer.serial))
    return { reason: 'revoked', detail: `${peer.subject}: serial ${peer.serial}` };
  const outdated = revocation?.nextUpdate !== undefined && revocation.nextUpdate <= now;
  if (outdated && revocation.expired === 'refuse') return { reason: 'crl', detail: 'the CRL has expired' };
  if (peer.notAfter <= now) return { reason: 'expired', detail: peer.subject };
  return { peer };
}

function describe(certificate: X509Certificate): VerifiedPeer {
  const subject = certificate.subject?.replaceAll('\n', ', ') ?? '';
  return {
    peerIds: peerIdsOf(certificate),
    serial: plainSerial(certificate.serialNumber),
    fingerprint256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    notAfter: Date.parse(certificate.validTo),
    subject,
  };
}

/** RFC 5216 5.2: names of the subjectAltName, else of the Subject; here both, the alternative names first. */
function peerIdsOf(certificate: X509Certificate): string[] {
  const entries = (certificate.subjectAltName ?? '').split(', ');
  const named = (prefix: string) =>
    entries.flatMap((entry) => (entry.startsWith(prefix) ? [entry.slice(prefix.length)] : []));
  const commonNames = (certificate.subject ?? '')
    .split('\n')
    .flatMap((line) => (line.startsWith('CN=') ? [line.slice(3)] : []));
  return [
    ...named('email:'),
    ...named('othername:UPN:'),
    ...named('othername: UPN::'),
    ...named('DNS:'),
    ...commonNames,
  ];
}
