import { CERTIFICATES, type CertificateChoice, naiOf } from './credentials.js';
import { StandInAuthority, type StandInCertificate } from './stand-in-eap.js';

/** Certificates of a world without TLS. */
export class StandInMaterial {
  readonly authority = new StandInAuthority(new Uint8Array(32).fill(1));
  readonly #certificates = new Map<string, StandInCertificate>();

  constructor(nodes: number) {
    for (let node = 1; node <= nodes; node += 1) {
      for (const choice of CERTIFICATES) {
        const nai = choice === 'stranger' ? `stranger${node}@home.example` : naiOf(node);
        this.#certificates.set(`${node} ${choice}`, this.authority.issue([nai]));
      }
    }
  }

  certificateOf(node: number, choice: CertificateChoice): StandInCertificate {
    const issued = this.#certificates.get(`${node} ${choice}`);
    if (!issued) throw new Error(`node ${node} has no certificate`);
    return issued;
  }

  /** Revokes exactly these certificates. */
  revokeOnly(certificates: readonly StandInCertificate[]): void {
    this.authority.revoked = new Set(certificates.map(({ serial }) => serial));
  }
}
