import { hash } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { BoundedMap } from '../../protocol/bytes/bounded-map.js';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import type { Refusal } from '../../protocol/eap/refusal.js';
import type { VerifiedPeer } from '../../protocol/eap/verified-peer.js';
import { type Certificate, readCertificate } from '../../protocol/x509/certificate.js';
import type { Revocation } from './certificates/revocation.js';
import { type Path, type PathFailure, type Trust, validity } from './certificates/trust.js';
import { certificateOf } from './session-certificate.js';

export interface CertificateRefusal {
  readonly reason: Refusal;
  readonly detail: string;
}

export type Judgement = { readonly peer: VerifiedPeer } | CertificateRefusal;

/** Maximum number of verified paths kept for resumptions. */
const MAX_KEPT_PATHS = 20_000;

/** Maximum number of names of one certificate that are looked up. */
export const MAX_NAMES = 64;

/** Maximum number of certificates used from the peer's chain, without the leaf. */
const MAX_CHAIN = 8;

const REASONS: Readonly<Record<string, Refusal>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  INVALID_PURPOSE: 'purpose',
};

/** What decides whether a peer's certificate is accepted. */
export interface PeerJudgeOptions {
  readonly trust: Trust;
  /** Undefined: certificates are not checked for revocation. */
  readonly revocation?: Revocation | undefined;
  /** The last check of an otherwise valid path. Returns why it is refused. */
  readonly policy?: ((path: Path) => CertificateRefusal | undefined) | undefined;
  /** Called with the CAs of a verified path when one of them was new or its CRL became verifiable. */
  readonly onLearned?: ((authorities: readonly Certificate[]) => void) | undefined;
}

/**
 * Verifies the peer's certificate after full and resumed handshakes alike. In a resumed session the engine only has the
 * leaf and its earlier verdict. Paths of full handshakes are therefore kept by leaf; without one, the path is searched
 * among configured and learned certificates.
 */
export class PeerJudge {
  #options: PeerJudgeOptions;
  readonly #kept = new BoundedMap<string, Path>(MAX_KEPT_PATHS);

  constructor(options: PeerJudgeOptions) {
    this.#options = options;
  }

  /** Includes CAs learned since it was configured. */
  get trust(): Trust {
    return this.#options.trust;
  }

  get revocation(): Revocation | undefined {
    return this.#options.revocation;
  }

  /**
   * Replaces the options. Keeps learned certificates if the CAs are the same. Throws CrlSignatureError, in which case
   * nothing has changed.
   */
  reload(options: PeerJudgeOptions): void {
    const isSame = options.trust.id === this.trust.id;
    const trust = isSame ? this.trust : options.trust;
    options.revocation?.verify(options.trust.authorities);
    // A CRL may also belong to a CA whose certificate a client has sent. Unlike a configured CA, such a CA never causes
    // the CRL to be refused.
    options.revocation?.learn(trust.authorities);
    if (!isSame) this.#kept.clear();
    this.#options = { ...options, trust };
  }

  /** Remembers the CAs of verified paths. Returns whether one of them is new, or its CRL became verifiable. */
  learn(authorities: readonly Certificate[]): boolean {
    const { trust, revocation } = this.#options;
    const learned = trust.add(authorities).length > 0;
    return revocation?.learn(authorities) || learned;
  }

  /** `now`: milliseconds since 1970, UTC. */
  judge(socket: TLSSocket, now: number): Judgement {
    const raw = certificateOf(socket);
    if (raw === undefined) return { reason: 'no-certificate', detail: 'the peer sent no certificate' };
    if (socket.authorized !== true) {
      const code = String(socket.authorizationError ?? 'unknown');
      return { reason: REASONS[code] ?? 'other-ca', detail: `${subjectOf(raw)}: ${code}` };
    }
    const leaf = this.#leafOf(raw);
    if (!leaf) return { reason: 'other-ca', detail: 'the certificate is not valid DER (RFC 5280)' };
    const resumed = socket.isSessionReused();
    const paths = resumed ? this.#known(leaf, now) : this.#pathsOf(leaf, socket, now);
    if ('reason' in paths) return paths;
    return this.#choose(paths, now);
  }

  /**
   * Whether a session of this certificate (DER) may be resumed: its path is known or can be found, and is valid. Called
   * before the engine resumes the session, because with TLS 1.2 it sends Finished before the certificate is verified.
   */
  canResume(der: Uint8Array, now: number): boolean {
    const leaf = this.#leafOf(der);
    const paths = leaf && this.#known(leaf, now);
    if (!paths || 'reason' in paths) return false;
    return paths.some((path) => this.#problem(path, now) === undefined);
  }

  /**
   * Why a path that was accepted under this trust is now refused; undefined if it is still accepted. A client that
   * resumes a session receives no certificate and only has the path of the full handshake.
   */
  again(path: Path, now: number): CertificateRefusal | undefined {
    for (const certificate of path) {
      const outdated = validity(certificate, now);
      if (outdated) return outdated;
    }
    return this.#problem(path, now);
  }

  /** Reads a certificate, unless a path of it is kept: one that resumes or comes again is read once. */
  #leafOf(der: Uint8Array): Certificate | undefined {
    const [known] = this.#kept.get(hash('sha256', der)) ?? [];
    return known ?? read(der);
  }

  #problem(path: Path, now: number): CertificateRefusal | undefined {
    const { revocation, policy } = this.#options;
    return revocation?.judge(path, now) ?? policy?.(path);
  }

  /** Issuers (as Certificate.issuerId) of which every known CA certificate is revoked. */
  revokedIssuers(now: number): string[] {
    const { trust, revocation } = this.#options;
    if (!revocation) return [];
    const good = new Set<string>();
    const revoked = new Set<string>();
    for (const authority of trust.authorities) {
      const paths = trust.paths(authority, [], now, true);
      if ('reason' in paths) continue;
      const isRevoked = paths.every((path) => revocation.judge(path, now)?.reason === 'revoked');
      (isRevoked ? revoked : good).add(authority.issuerId);
    }
    return [...revoked].filter((issuerId) => !good.has(issuerId));
  }

  /** Paths of a full handshake: first among known certificates, which is cheap, then including the peer's chain. */
  #pathsOf(leaf: Certificate, socket: TLSSocket, now: number): readonly Path[] | PathFailure {
    const { trust } = this.#options;
    const known = trust.paths(leaf, [], now, true);
    return 'reason' in known ? trust.paths(leaf, chainOf(socket), now, true) : known;
  }

  /** Paths of a resumed handshake: the one that was verified, otherwise one of known certificates. */
  #known(leaf: Certificate, now: number): readonly Path[] | CertificateRefusal {
    const kept = this.#kept.get(leaf.fingerprint256);
    if (kept?.every((certificate) => validity(certificate, now) === undefined)) return [kept];
    const found = this.#options.trust.paths(leaf, [], now, false);
    if (!('reason' in found)) return found;
    const outdated = validity(leaf, now);
    return outdated ?? { reason: 'resumption', detail: `a full handshake is needed: ${found.detail}` };
  }

  #choose(paths: readonly Path[], now: number): Judgement {
    let refusal: CertificateRefusal | undefined;
    for (const path of paths) {
      // Also learn from revoked paths, since sessions of other certificates may depend on them.
      const authorities = path.slice(1);
      if (this.learn(authorities)) this.#options.onLearned?.(authorities);
      const problem = this.#problem(path, now);
      if (!problem) return { peer: this.#keep(path) };
      refusal ??= problem;
    }
    return refusal ?? { reason: 'other-ca', detail: 'no path' };
  }

  #keep(path: Path): VerifiedPeer {
    const [leaf, issuer] = path;
    if (!leaf) throw new Error('a path without a leaf');
    this.#kept.set(leaf.fingerprint256, path);
    const { emails, upns, dnsNames } = leaf.alternativeNames;
    return {
      peerIds: [...emails, ...upns, ...dnsNames, ...leaf.subject.commonNames].slice(0, MAX_NAMES),
      dnsNames,
      serial: leaf.serial,
      issuerId: (issuer ?? leaf).issuerId,
      fingerprint256: leaf.fingerprint256,
      notAfter: Math.min(...path.map(({ notAfter }) => notAfter)),
      subject: leaf.subject.text,
      path,
    };
  }
}

/** The peer's certificate chain, as far as the engine keeps it. */
function chainOf(socket: TLSSocket): Certificate[] {
  const found: Certificate[] = [];
  let one = socket.getPeerCertificate(true);
  while (found.length < MAX_CHAIN) {
    const issuer = one.issuerCertificate;
    // A self-signed certificate is its own issuer.
    if (issuer === undefined || issuer === one) break;
    const certificate = read(issuer.raw);
    if (certificate) found.push(certificate);
    one = issuer;
  }
  return found;
}

function read(raw: Uint8Array): Certificate | undefined {
  try {
    return readCertificate(new Uint8Array(raw));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function subjectOf(raw: Uint8Array): string {
  return read(raw)?.subject.text ?? 'a certificate that cannot be read';
}
