import { certificateKey } from '../protocol/eap/verified-peer.js';
import type { ServerJudge } from '../runtime/eap/engine.js';

/** Certificates and issuers whose sessions are to be terminated. */
export interface RevokedCertificates {
  /** In the form of certificateKey, in which the store keeps them. */
  readonly certificates: readonly string[];
  /** Issuers whose own certificate is revoked. All certificates that they issued count as revoked. */
  readonly issuers: readonly string[];
}

/** Finds newly revoked certificates by comparing the CRLs with those of the last call. */
export class RevokedSessions {
  #serials: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  #issuers: ReadonlySet<string> = new Set();

  /** Certificates and issuers that are revoked now and were not at the last call. */
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
