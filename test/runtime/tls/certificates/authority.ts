import 'reflect-metadata';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { DAY, type Issued, validFor } from '../../../../src/pki/certificate-authority.js';
import { type Certificate, readCertificate } from '../../../../src/protocol/x509/certificate.js';
import { type CertificateList, readCrl } from '../../../../src/protocol/x509/crl.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const { KeyUsageFlags } = x509;

const signingKey = (key: KeyObject) =>
  webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), P256, false, ['sign']);
const publicKey = (key: KeyObject) =>
  webcrypto.subtle.importKey('spki', createPublicKey(key).export({ type: 'spki', format: 'der' }), P256, true, [
    'verify',
  ]);

export interface CertificateParts {
  /** RFC 4514. */
  readonly subject: string | x509.JsonName;
  readonly serial?: string;
  readonly validity?: { readonly notBefore: Date; readonly notAfter: Date };
  readonly names?: x509.JsonGeneralNames;
  readonly extensions?: readonly x509.Extension[];
}

export interface AuthorityParts extends Partial<CertificateParts> {
  readonly usage?: number;
  readonly key?: KeyObject;
  readonly pathLength?: number;
  /** Without subjectKeyIdentifier. */
  readonly anonymous?: boolean;
}

export interface CrlParts {
  readonly serials?: readonly string[];
  readonly entries?: readonly x509.X509CrlEntryParams[];
  /** At most 255. */
  readonly number?: number;
  readonly thisUpdate?: number;
  readonly nextUpdate?: number;
  readonly extensions?: readonly x509.Extension[];
  readonly withoutKeyId?: boolean;
}

const EXTENDED_KEY_USAGE = '2.5.29.37';
const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
/** Purposes of certificates unless a test sets others. */
const BOTH_PURPOSES = new x509.ExtendedKeyUsageExtension([clientAuth, serverAuth]);

let serials = 0x1000;

/** A CA for tests that issues certificates and CRLs with any content. */
export class Authority {
  readonly certificatePem: string;
  readonly key: KeyObject;
  readonly name: x509.Name;

  private constructor(certificate: x509.X509Certificate, key: KeyObject) {
    this.certificatePem = `${certificate.toString('pem')}\n`;
    this.key = key;
    this.name = certificate.subjectName;
  }

  get certificate(): Certificate {
    return certificateOf(this.certificatePem);
  }

  /** An existing CA with a P-256 key. */
  static of({ certificatePem, keyPem }: Issued): Authority {
    return new Authority(new x509.X509Certificate(certificatePem), createPrivateKey(keyPem));
  }

  static root(name: string, parts: AuthorityParts = {}): Promise<Authority> {
    return Authority.#make(name, parts, undefined);
  }

  /** A CA certified by this one. */
  sub(name: string, parts: AuthorityParts = {}): Promise<Authority> {
    return Authority.#make(name, parts, this);
  }

  static async #make(name: string, parts: AuthorityParts, issuer: Authority | undefined): Promise<Authority> {
    const { usage = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, pathLength, anonymous, extensions = [] } = parts;
    const key = parts.key ?? newKey();
    const of = await publicKey(key);
    const certificate = await sign(issuer?.key ?? key, issuer?.name, {
      ...parts,
      subject: parts.subject ?? `O=Test, CN=${name}`,
      publicKey: of,
      extensions: [
        new x509.BasicConstraintsExtension(true, pathLength, true),
        new x509.KeyUsagesExtension(usage, true),
        ...(anonymous ? [] : [await x509.SubjectKeyIdentifierExtension.create(of)]),
        ...extensions,
      ],
    });
    return new Authority(certificate, key);
  }

  async issue(parts: CertificateParts): Promise<Issued> {
    const key = newKey();
    const certificate = await sign(this.key, this.name, {
      ...parts,
      publicKey: await publicKey(key),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        ...(parts.extensions?.some(({ type }) => type === EXTENDED_KEY_USAGE) ? [] : [BOTH_PURPOSES]),
        await x509.AuthorityKeyIdentifierExtension.create(await publicKey(this.key)),
        ...(parts.names ? [new x509.SubjectAlternativeNameExtension(parts.names)] : []),
        ...(parts.extensions ?? []),
      ],
    });
    return {
      certificatePem: `${certificate.toString('pem')}\n`,
      keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  }

  /** A CRL in PEM. */
  async crl(parts: CrlParts = {}): Promise<string> {
    const { number, withoutKeyId } = parts;
    const now = Math.floor(Date.now() / 1000) * 1000;
    const revocationDate = new Date(now - DAY);
    const crl = await x509.X509CrlGenerator.create({
      issuer: this.name,
      thisUpdate: new Date(parts.thisUpdate ?? now - DAY),
      nextUpdate: new Date(parts.nextUpdate ?? now + DAY),
      entries: [
        ...(parts.serials ?? []).map((serialNumber) => ({ serialNumber, revocationDate })),
        ...(parts.entries ?? []),
      ],
      extensions: [
        ...(withoutKeyId ? [] : [await x509.AuthorityKeyIdentifierExtension.create(await publicKey(this.key))]),
        ...(number === undefined ? [] : [new x509.Extension('2.5.29.20', false, Uint8Array.of(2, 1, number).buffer)]),
        ...(parts.extensions ?? []),
      ],
      signingKey: await signingKey(this.key),
      signingAlgorithm: P256,
    });
    return `${crl.toString('pem').replaceAll(/(BEGIN|END) CRL/g, '$1 X509 CRL')}\n`;
  }
}

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

async function sign(
  key: KeyObject,
  issuer: x509.Name | undefined,
  {
    subject,
    serial,
    validity,
    publicKey: of,
    extensions,
  }: CertificateParts & { readonly publicKey: webcrypto.CryptoKey },
): Promise<x509.X509Certificate> {
  serials += 1;
  return x509.X509CertificateGenerator.create({
    serialNumber: serial ?? serials.toString(16),
    subject,
    issuer: issuer ?? subject,
    ...(validity ?? validFor(10)),
    publicKey: of,
    signingKey: await signingKey(key),
    signingAlgorithm: P256,
    extensions: [...(extensions ?? [])],
  });
}

export function derOf(pem: string): Uint8Array {
  return new Uint8Array(Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64'));
}

export function certificateOf(pem: string): Certificate {
  return readCertificate(derOf(pem));
}

export function listOf(pem: string): CertificateList {
  return readCrl(derOf(pem));
}
