import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  certifyKey,
  type Issued,
  issueCertificate,
  makeCa,
  makeCrl,
  serialOf,
} from '../../src/pki/certificate-authority.js';

/** Valid for the real clock, which the TLS engine uses, and for the clocks of worlds. */
const VALIDITY = { notBefore: new Date(Date.UTC(2020, 0, 1)), notAfter: new Date(Date.UTC(2049, 0, 1)) };

/** The certificates of a node, which presents one at a time. */
export const CERTIFICATES = ['own', 'second', 'stranger'] as const;
export type CertificateChoice = (typeof CERTIFICATES)[number];

export const naiOf = (node: number) => `mn${node}@home.example`;

/** The certificates of all worlds in this process. RSA, so that signatures have a constant length. */
export class Credentials {
  readonly ca: Issued;
  readonly server: Issued;
  readonly #client: Issued;
  readonly #certificates = new Map<string, string>();

  private constructor(ca: Issued, server: Issued, client: Issued) {
    this.ca = ca;
    this.server = server;
    this.#client = client;
  }

  static async make(): Promise<Credentials> {
    const ca = await makeCa('World CA', 'rsa', VALIDITY);
    const server = await issueCertificate(ca, { kind: 'server', hosts: ['home.example'] }, VALIDITY);
    const client = await issueCertificate(ca, { kind: 'client', nai: naiOf(0) }, VALIDITY);
    return new Credentials(ca, server, client);
  }

  get clientKey(): string {
    return this.#client.keyPem;
  }

  /** Issues the certificates of these nodes for one key, because generating keys takes long. */
  async prepare(nodes: number): Promise<void> {
    const key = createPublicKey(createPrivateKey(this.#client.keyPem));
    for (let node = 1; node <= nodes; node += 1) {
      for (const choice of CERTIFICATES) {
        const name = `${node} ${choice}`;
        if (this.#certificates.has(name)) continue;
        const nai = choice === 'stranger' ? `stranger${node}@home.example` : naiOf(node);
        this.#certificates.set(name, await certifyKey(this.ca, { kind: 'client', nai }, VALIDITY, key));
      }
    }
  }

  /** A prepared certificate. */
  certificateOf(node: number, choice: CertificateChoice): string {
    const made = this.#certificates.get(`${node} ${choice}`);
    if (made === undefined) throw new Error(`node ${node} has no certificate`);
    return made;
  }

  /** A CRL without an end of validity in any world. */
  revoke(certificates: readonly string[], number: number): Promise<string> {
    const { notBefore, notAfter } = VALIDITY;
    return makeCrl(this.ca, certificates.map(serialOf), notBefore, notAfter, BigInt(number));
  }
}

let made: Promise<Credentials> | undefined;

export function credentials(): Promise<Credentials> {
  made ??= Credentials.make();
  return made;
}

/** Writes files of a world; returns their paths. */
export function writeFiles(folder: string, files: Readonly<Record<string, string>>): Record<string, string> {
  mkdirSync(folder, { recursive: true });
  const paths: Record<string, string> = {};
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    paths[name] = path;
  }
  return paths;
}
