import { certificateKey } from '../protocol/eap/verified-peer.js';
import type { ServerJudge } from '../runtime/eap/engine.js';

/** Certificates by which sessions of the store are found. */
export interface RevokedCertificates {
  /** As the store keeps them with a session, see certificateKey. */
  readonly certificates: readonly string[];
  /** Issuers whose own certificate is revoked: all certificates that they have issued count as revoked. */
  readonly issuers: readonly string[];
}

/** Finds newly revoked certificates: compares the CRLs with those at the last look. */
export class RevokedSessions {
  #serials: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  #issuers: ReadonlySet<string> = new Set();

  /** Certificates and issuers that are revoked now and were not at the last look. */
  look(judge: ServerJudge, now: number): RevokedCertificates {
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
