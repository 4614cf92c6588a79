import { certificateKey, type PeerJudge } from '../runtime/peer-certificate.js';

/** Certificates by which sessions of the store are found. */
export interface RevokedCertificates {
  /** As the store keeps them with a session, see certificateKey. */
  readonly certificates: readonly string[];
  /** Issuers whose own certificate is revoked: whoever has one of theirs. */
  readonly issuers: readonly string[];
}

/** What CRLs revoke, from one look at them to the next. */
export class RevokedSessions {
  #serials: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  #issuers: ReadonlySet<string> = new Set();

  /** What is revoked now and was not the last time. */
  look(judge: PeerJudge, now: number): RevokedCertificates {
    const inForce = judge.revocation?.inForce(now) ?? [];
    const before = this.#serials;
    const certificates = inForce.flatMap(({ issuerId, list: { serials } }) => {
      const known = before.get(issuerId);
      if (known === serials) return [];
      return [...serials]
        .filter((serial) => known?.has(serial) !== true)
        .map((serial) => certificateKey({ issuerId, serial }));
    });
    const revoked = new Set(judge.revokedIssuers(now));
    const issuers = [...revoked].filter((issuerId) => !this.#issuers.has(issuerId));
    this.#serials = new Map(inForce.map(({ issuerId, list }) => [issuerId, list.serials]));
    this.#issuers = revoked;
    return { certificates, issuers };
  }
}
