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
export const BACKDATED = 3_600_000;

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

/** A self-signed CA, of this key or of a new one. */
export async function makeCa(name: string, kind: KeyKind, validity: Validity, keyPem?: string): Promise<Issued> {
  const key = keyPem === undefined ? await newKey(kind) : createPrivateKey(keyPem);
  const publicKey = createPublicKey(key);
  const certificatePem = await sign({ commonName: name, ca: undefined, key, publicKey, subject: undefined, validity });
  return { certificatePem, keyPem: pemOf(key) };
}

/** A certificate of this CA, with a key of its own, of the same kind as the CA's unless said. */
export async function issueCertificate(
  ca: Issued,
  subject: CertificateSubject,
  validity: Validity,
  kind?: KeyKind,
): Promise<Issued> {
  const key = await newKey(kind ?? kindOf(createPrivateKey(ca.keyPem)));
  const certificatePem = await certifyKey(ca, subject, validity, createPublicKey(key));
  return { certificatePem, keyPem: pemOf(key) };
}

/** A certificate of this CA, in PEM, for a key that somebody has. */
export function certifyKey(
  ca: Issued,
  subject: CertificateSubject,
  validity: Validity,
  publicKey: KeyObject,
): Promise<string> {
  const commonName = subject.kind === 'server' ? (subject.hosts[0] ?? '') : subject.nai;
  return sign({ commonName, ca, key: createPrivateKey(ca.keyPem), publicKey, subject, validity });
}

/** What a certificate of ours was issued for; undefined for any other. */
export function subjectOf(certificatePem: string): CertificateSubject | undefined {
  const names = new x509.X509Certificate(certificatePem).getExtension(x509.SubjectAlternativeNameExtension)?.names;
  const of = (type: string) => (names?.items ?? []).flatMap((name) => (name.type === type ? [name.value] : []));
  const hosts = of('dns');
  const [nai] = of('email');
  if (hosts.length > 0) return { kind: 'server', hosts };
  return nai === undefined ? undefined : { kind: 'client', nai };
}

interface Request {
  readonly commonName: string;
  /** Undefined: self-signed. */
  readonly ca: Issued | undefined;
  /** Of the CA. */
  readonly key: KeyObject;
  readonly publicKey: KeyObject;
  readonly subject: CertificateSubject | undefined;
  readonly validity: Validity;
}

function sign(request: Request): Promise<string> {
  const allRsa = kindOf(request.key) === 'rsa' && kindOf(request.publicKey) === 'rsa';
  return allRsa ? Promise.resolve(signWithForge(request)) : signWithX509(request);
}

function signWithForge({ commonName, ca, key, publicKey, subject, validity }: Request): string {
  const { pki, md } = forge;
  const certificate = pki.createCertificate();
  certificate.publicKey = pki.publicKeyFromPem(publicKey.export({ type: 'spki', format: 'pem' }).toString());
  certificate.serialNumber = newSerial();
  certificate.validity.notBefore = validity.notBefore;
  certificate.validity.notAfter = validity.notAfter;
  const names = [{ name: 'commonName', value: commonName }];
  certificate.setSubject(names);
  const issuer = ca && pki.certificateFromPem(ca.certificatePem);
  certificate.setIssuer(issuer ? issuer.subject.attributes : names);
  const keyIdentifier = issuer?.generateSubjectKeyIdentifier().getBytes();
  certificate.setExtensions([
    ...forgeExtensions(subject),
    ...(keyIdentifier === undefined ? [] : [{ name: 'authorityKeyIdentifier', keyIdentifier }]),
  ]);
  certificate.sign(pki.privateKeyFromPem(pemOf(key)), md.sha256.create());
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

async function signWithX509({ commonName, ca, key, publicKey, subject, validity }: Request): Promise<string> {
  const certificateKey = await publicKeyOf(publicKey);
  const signingKey = await signingKeyOf(key);
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
  if (ca) extensions.push(...authorityKeyIdentifierOf(ca.certificatePem));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: `CN=${commonName}`,
    issuer,
    ...validity,
    publicKey: certificateKey,
    signingKey,
    signingAlgorithm: algorithmOf(key),
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
  const der = key.export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', der, algorithmOf(key), true, ['verify']);
}

/** The authorityKeyIdentifier of what this CA signs (RFC 5280 4.2.1.1); none for a CA without an identifier of its key. */
function authorityKeyIdentifierOf(caPem: string): x509.Extension[] {
  const own = new x509.X509Certificate(caPem).getExtension(x509.SubjectKeyIdentifierExtension);
  return own ? [new x509.AuthorityKeyIdentifierExtension(own.keyId)] : [];
}

/** A certificate on a CRL. `serialNumber` in hexadecimal. */
export type RevokedCertificate = Pick<
  x509.X509CrlEntryParams,
  'serialNumber' | 'revocationDate' | 'reason' | 'invalidity'
>;

/** What a CRL of ours says. `number`: cRLNumber (RFC 5280 5.2.3); undefined for a CRL that has none. */
export interface CrlContent {
  readonly entries: readonly RevokedCertificate[];
  readonly number: bigint | undefined;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
}

const CRL_NUMBER = '2.5.29.20';

/** A CRL of this CA; entries may be serial numbers in hexadecimal, revoked at `thisUpdate`. */
export async function makeCrl(
  ca: Issued,
  entries: readonly (string | RevokedCertificate)[],
  thisUpdate: Date,
  nextUpdate: Date,
  number = 1n,
): Promise<string> {
  const key = createPrivateKey(ca.keyPem);
  const crl = await x509.X509CrlGenerator.create({
    issuer: new x509.X509Certificate(ca.certificatePem).subject,
    thisUpdate,
    nextUpdate,
    entries: entries.map((entry) =>
      typeof entry === 'string' ? { serialNumber: entry, revocationDate: thisUpdate } : entry,
    ),
    extensions: [
      ...authorityKeyIdentifierOf(ca.certificatePem),
      new x509.Extension(CRL_NUMBER, false, integer(number)),
    ],
    signingKey: await signingKeyOf(key),
    signingAlgorithm: algorithmOf(key),
  });
  // The label that OpenSSL reads (RFC 7468 6).
  return `${crl.toString('pem').replaceAll(/(BEGIN|END) CRL/g, '$1 X509 CRL')}\n`;
}

/** Reads a CRL that `makeCrl` made. Throws for anything else. */
export function readCrlContent(pem: string): CrlContent {
  const { entries, extensions, thisUpdate, nextUpdate } = new x509.X509Crl(pem);
  const number = extensions.find(({ type }) => type === CRL_NUMBER);
  return {
    entries: entries.map(({ serialNumber, revocationDate, reason, invalidity }) => ({
      serialNumber,
      revocationDate,
      ...(reason === undefined ? {} : { reason }),
      ...(invalidity === undefined ? {} : { invalidity }),
    })),
    number: number && BigInt(`0x${Buffer.from(number.value).subarray(2).toString('hex')}`),
    thisUpdate,
    nextUpdate,
  };
}

/** A small positive INTEGER in DER. */
function integer(value: bigint): Uint8Array {
  const digits = value.toString(16);
  const octets = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  const content = (octets[0] ?? 0) < 0x80 ? octets : Buffer.concat([Buffer.of(0), octets]);
  return Buffer.concat([Buffer.of(2, content.length), content]);
}

/** The serial number of a certificate, hexadecimal. */
export function serialOf(certificatePem: string): string {
  return new X509Certificate(certificatePem).serialNumber.toLowerCase();
}
