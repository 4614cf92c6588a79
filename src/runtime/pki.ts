import 'reflect-metadata';
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as x509 from '@peculiar/x509';
import forge from 'node-forge';

x509.cryptoProvider.set(
  webcrypto as unknown as Parameters<(crypto: Parameters<typeof x509.cryptoProvider.set>[0]) => void>[0],
);

/** RSA certificates are made with node-forge; it knows no EC, which @peculiar/x509 makes, and no CRL. */
export type KeyKind = 'rsa' | 'p256';

export const DAY = 86_400_000;
const RSA_BITS = 2048;
/** Clocks of other hosts may be behind. */
const BACKDATED = 3_600_000;

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export function validFor(days: number, now = Date.now()): Validity {
  return { notBefore: new Date(now - BACKDATED), notAfter: new Date(now + days * DAY) };
}

/** Who a certificate is for: a server by host names, a client by its NAI. */
export type CertificateSubject =
  | { readonly kind: 'server'; readonly hosts: readonly string[] }
  | { readonly kind: 'client'; readonly nai: string };

/** PEM texts; the key is PKCS #8. */
export interface Issued {
  readonly certificatePem: string;
  readonly keyPem: string;
}

const generate = promisify(generateKeyPair);

async function newKey(kind: KeyKind): Promise<KeyObject> {
  const options =
    kind === 'rsa' ? generate('rsa', { modulusLength: RSA_BITS }) : generate('ec', { namedCurve: 'P-256' });
  return (await options).privateKey;
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function kindOf(key: KeyObject): KeyKind {
  if (key.asymmetricKeyType === 'rsa') return 'rsa';
  if (key.asymmetricKeyType === 'ec') return 'p256';
  throw new Error(`a CA key is RSA or P-256, not ${key.asymmetricKeyType}`);
}

/** 20 octets at most, positive (RFC 5280 4.1.2.2). */
function newSerial(): string {
  const octets = randomBytes(16);
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40;
  return octets.toString('hex');
}

/** A self-signed CA. */
export async function makeCa(name: string, kind: KeyKind, validity: Validity): Promise<Issued> {
  const key = await newKey(kind);
  const certificatePem = await sign({ commonName: name, ca: undefined, key, subject: undefined, validity });
  return { certificatePem, keyPem: pemOf(key) };
}

/** A certificate of this CA, with a key of its own, of the same kind as the CA's unless said. */
export async function issueCertificate(
  ca: Issued,
  subject: CertificateSubject,
  validity: Validity,
  kind?: KeyKind,
): Promise<Issued> {
  const caKey = createPrivateKey(ca.keyPem);
  const key = await newKey(kind ?? kindOf(caKey));
  const commonName = subject.kind === 'server' ? (subject.hosts[0] ?? '') : subject.nai;
  const certificatePem = await sign({ commonName, ca, key, subject, validity });
  return { certificatePem, keyPem: pemOf(key) };
}

interface Request {
  readonly commonName: string;
  /** Undefined: self-signed. */
  readonly ca: Issued | undefined;
  readonly key: KeyObject;
  readonly subject: CertificateSubject | undefined;
  readonly validity: Validity;
}

function sign(request: Request): Promise<string> {
  const signer = request.ca ? createPrivateKey(request.ca.keyPem) : request.key;
  const allRsa = kindOf(signer) === 'rsa' && kindOf(request.key) === 'rsa';
  return allRsa ? Promise.resolve(signWithForge(request)) : signWithX509(request, signer);
}

function signWithForge({ commonName, ca, key, subject, validity }: Request): string {
  const { pki, md } = forge;
  const privateKey = pki.privateKeyFromPem(pemOf(key));
  const certificate = pki.createCertificate();
  certificate.publicKey = pki.setRsaPublicKey(privateKey.n, privateKey.e);
  certificate.serialNumber = newSerial();
  certificate.validity.notBefore = validity.notBefore;
  certificate.validity.notAfter = validity.notAfter;
  const names = [{ name: 'commonName', value: commonName }];
  certificate.setSubject(names);
  const issuer = ca && pki.certificateFromPem(ca.certificatePem);
  certificate.setIssuer(issuer ? issuer.subject.attributes : names);
  certificate.setExtensions(forgeExtensions(subject));
  certificate.sign(ca ? pki.privateKeyFromPem(ca.keyPem) : privateKey, md.sha256.create());
  return pki.certificateToPem(certificate);
}

function forgeExtensions(subject: CertificateSubject | undefined): object[] {
  const identifier = { name: 'subjectKeyIdentifier' };
  if (!subject) {
    return [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      identifier,
    ];
  }
  const RFC822_NAME = 1;
  const DNS_NAME = 2;
  const altNames =
    subject.kind === 'server'
      ? subject.hosts.map((value) => ({ type: DNS_NAME, value }))
      : [{ type: RFC822_NAME, value: subject.nai }];
  return [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, critical: true },
    { name: 'extKeyUsage', serverAuth: subject.kind === 'server', clientAuth: true },
    { name: 'subjectAltName', altNames },
    identifier,
  ];
}

async function signWithX509({ commonName, ca, key, subject, validity }: Request, signer: KeyObject): Promise<string> {
  const certificateKey = await publicKeyOf(key);
  const signingKey = await signingKeyOf(signer);
  const issuer = ca ? new x509.X509Certificate(ca.certificatePem).subject : `CN=${commonName}`;
  const { KeyUsageFlags, ExtendedKeyUsage } = x509;
  const extensions: x509.Extension[] = subject
    ? [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(
          subject.kind === 'server'
            ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]
            : [ExtendedKeyUsage.clientAuth],
        ),
        new x509.SubjectAlternativeNameExtension(
          subject.kind === 'server'
            ? subject.hosts.map((value) => ({ type: 'dns' as const, value }))
            : [{ type: 'email' as const, value: subject.nai }],
        ),
      ]
    : [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ];
  extensions.push(await x509.SubjectKeyIdentifierExtension.create(certificateKey));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: `CN=${commonName}`,
    issuer,
    ...validity,
    publicKey: certificateKey,
    signingKey,
    signingAlgorithm: algorithmOf(signer),
    extensions,
  });
  return `${certificate.toString('pem')}\n`;
}

function algorithmOf(key: KeyObject) {
  return kindOf(key) === 'rsa'
    ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
    : { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
}

function signingKeyOf(key: KeyObject) {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, algorithmOf(key), false, ['sign']);
}

async function publicKeyOf(key: KeyObject) {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', der, algorithmOf(key), true, ['verify']);
}

/** A CRL of this CA; `serials` in hexadecimal. */
export async function makeCrl(
  ca: Issued,
  serials: readonly string[],
  thisUpdate: Date,
  nextUpdate: Date,
): Promise<string> {
  const key = createPrivateKey(ca.keyPem);
  const crl = await x509.X509CrlGenerator.create({
    issuer: new x509.X509Certificate(ca.certificatePem).subject,
    thisUpdate,
    nextUpdate,
    entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: thisUpdate })),
    signingKey: await signingKeyOf(key),
    signingAlgorithm: algorithmOf(key),
  });
  // The label that OpenSSL reads (RFC 7468 6).
  return `${crl.toString('pem').replaceAll(/(BEGIN|END) CRL/g, '$1 X509 CRL')}\n`;
}

/** The serial number of a certificate, hexadecimal. */
export function serialOf(certificatePem: string): string {
  return new X509Certificate(certificatePem).serialNumber.toLowerCase();
}

// -------------------------------------------------------------------------------------------------- a PKI in a folder

/** Days that a CRL is good for. */
export const CRL_DAYS = 30;

/** A bad wish of the operator's: shown as it is, without a stack. */
export class PkiError extends Error {
  override readonly name = 'PkiError';
  readonly code = 'ERR_PKI';
}

/**
 * A small CA in a folder: ca.pem, ca-key.pem, crl.pem, and NAME.pem with NAME-key.pem for each certificate. Keys have
 * mode 0600.
 */
export class PkiFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async init(name: string, kind: KeyKind, days: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    if ((await this.#read('ca.pem')) !== undefined) throw new PkiError(`${this.#folder} already holds a CA (ca.pem)`);
    const ca = await makeCa(name, kind, validFor(days));
    await this.#write('ca', ca);
    await this.#writeCrl(ca, []);
  }

  /** Writes NAME.pem and NAME-key.pem; returns the path of the first. */
  async issue(name: string, subject: CertificateSubject, validity: Validity, kind?: KeyKind): Promise<string> {
    if (!/^[a-zA-Z0-9][a-zA-Z0-9._@+-]{0,63}$/.test(name)) {
      throw new PkiError(`"${name}" cannot be a file name: letters, digits and . _ @ + -, a letter or digit first`);
    }
    if (name === 'ca' || name === 'crl') throw new PkiError(`"${name}" is the CA's own name`);
    if ((await this.#read(`${name}.pem`)) !== undefined)
      throw new PkiError(`${join(this.#folder, name)}.pem is already there`);
    await this.#write(name, await issueCertificate(await this.#ca(), subject, validity, kind));
    return join(this.#folder, `${name}.pem`);
  }

  /** Puts a certificate on the CRL. */
  async revoke(name: string): Promise<void> {
    const certificatePem = await this.#read(`${name}.pem`);
    if (certificatePem === undefined) throw new PkiError(`no certificate ${join(this.#folder, name)}.pem`);
    const old = await this.#read('crl.pem');
    const serials = old === undefined ? [] : new x509.X509Crl(old).entries.map(({ serialNumber }) => serialNumber);
    const serial = serialOf(certificatePem);
    await this.#writeCrl(await this.#ca(), serials.includes(serial) ? serials : [...serials, serial]);
  }

  async #ca(): Promise<Issued> {
    const [certificatePem, keyPem] = await Promise.all([this.#read('ca.pem'), this.#read('ca-key.pem')]);
    if (certificatePem === undefined || keyPem === undefined) {
      throw new PkiError(`no CA in ${this.#folder}: begin with "pana-mip6 pki init --dir ${this.#folder}"`);
    }
    return { certificatePem, keyPem };
  }

  async #writeCrl(ca: Issued, serials: readonly string[]): Promise<void> {
    const now = Date.now();
    const crl = await makeCrl(ca, serials, new Date(now - BACKDATED), new Date(now + CRL_DAYS * DAY));
    await this.#replace('crl.pem', crl, 0o644);
  }

  async #write(name: string, { certificatePem, keyPem }: Issued): Promise<void> {
    await this.#replace(`${name}-key.pem`, keyPem, 0o600);
    await this.#replace(`${name}.pem`, certificatePem, 0o644);
  }

  async #read(file: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#folder, file), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #replace(file: string, text: string, mode: number): Promise<void> {
    const path = join(this.#folder, file);
    const temporary = `${path}.${process.pid}.new`;
    await rm(temporary, { force: true });
    await writeFile(temporary, text, { mode, flag: 'wx' });
    await rename(temporary, path);
  }
}
