import 'reflect-metadata';
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { promisify } from 'node:util';
import * as x509 from '@peculiar/x509';
import forge from 'node-forge';
import { OperatorError } from '../runtime/system/failure.js';
import { systemHost } from '../runtime/system/host.js';

x509.cryptoProvider.set(
  webcrypto as unknown as Parameters<(crypto: Parameters<typeof x509.cryptoProvider.set>[0]) => void>[0],
);

/**
 * RSA with 2048 bits, signed by node-forge, or ECDSA with P-256, which node-forge does not support and @peculiar/x509
 * signs.
 */
export type KeyKind = 'rsa' | 'p256';

export const DAY = 86_400_000;
const RSA_BITS = 2048;
/** How long before its issue a certificate becomes valid, in milliseconds; clocks of other hosts may be slow. */
export const BACKDATED = 3_600_000;

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whether it may end earlier, with the CA. Otherwise it is an error to end later than the CA. */
  readonly mayShorten?: boolean;
}

/** The latest time that a certificate or CRL can contain (RFC 5280 4.1.2.5), in milliseconds since 1970. */
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59);

/** A validity period that ends in this many days and began an hour ago. Throws OperatorError like `endAfter`. */
export function validFor(days: number, now = systemHost.wall()): Validity {
  return { notBefore: new Date(now - BACKDATED), notAfter: endAfter(days, now) };
}

/** The validity of a certificate of this CA. Throws OperatorError: no certificate can be used longer than that of its CA. */
export function within({ certificatePem }: Issued, validity: Validity): Validity {
  const end = new Date(new X509Certificate(certificatePem).validTo);
  const day = end.toISOString().slice(0, 10);
  if (end.getTime() <= systemHost.wall())
    throw new OperatorError(`the CA expired on ${day}: renew it with "pana-mip6 pki renew ca"`);
  if (validity.notAfter <= end) return validity;
  // Days are whole days: what ends with the CA but for some hours ends with it.
  const excess = validity.notAfter.getTime() - end.getTime();
  if (validity.mayShorten || excess < DAY) return { ...validity, notAfter: end };
  const days = Math.ceil((end.getTime() - systemHost.wall()) / DAY);
  throw new OperatorError(
    `the CA expires on ${day}: --days must be at most ${days}, unless you first renew the CA with "pana-mip6 pki renew ca"`,
  );
}

/** The time in this many days. Throws OperatorError if a certificate or CRL cannot contain it. */
export function endAfter(days: number, now: number): Date {
  const end = now + days * DAY;
  if (end <= LATEST) return new Date(end);
  const most = Math.floor((LATEST - now) / DAY);
  throw new OperatorError(`${days} days end after the year 9999: at most ${most}`);
}

/** The subject of a certificate: a server with host names, or a client with its NAI. */
export type CertificateSubject =
  | { readonly kind: 'server'; readonly hosts: readonly string[] }
  | { readonly kind: 'client'; readonly nai: string };

/** A certificate and its key in PEM; the key is PKCS #8. */
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
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === 'prime256v1') return 'p256';
  throw new OperatorError(`a CA key must be RSA or P-256, not ${curve ?? key.asymmetricKeyType}`);
}

/** A random positive serial number of at most 20 octets (RFC 5280 4.1.2.2). */
function newSerial(): string {
  const octets = systemHost.random(16);
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(octets).toString('hex');
}

/** Creates a self-signed CA with a new key. */
export async function makeCa(name: string, kind: KeyKind, validity: Validity): Promise<Issued> {
  const key = await newKey(kind);
  const { KeyUsageFlags } = x509;
  const certificatePem = await sign({
    name: nameOf(name),
    ca: undefined,
    key,
    publicKey: createPublicKey(key),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(await publicKeyOf(createPublicKey(key))),
    ],
    validity,
  });
  return { certificatePem, keyPem: pemOf(key) };
}

const AUTHORITY_KEY_IDENTIFIER = '2.5.29.35';

/**
 * Issues a new certificate, in PEM, for the same CA. Name, key and extensions do not change, so issued certificates
 * remain valid. Throws OperatorError for a CA that another CA certified.
 */
export function renewCa({ certificatePem, keyPem }: Issued, validity: Validity): Promise<string> {
  const old = new X509Certificate(certificatePem);
  const isSelfSigned = old.issuer === old.subject && old.verify(old.publicKey);
  if (!isSelfSigned) throw new OperatorError('ca.pem was issued by another CA, which must renew it');
  const { subjectName, extensions } = new x509.X509Certificate(certificatePem);
  const key = createPrivateKey(keyPem);
  return sign({
    name: subjectName,
    ca: undefined,
    key,
    publicKey: createPublicKey(key),
    // Omitted: it may identify the old certificate by its serial number, and a self-signed certificate does not need
    // it.
    extensions: extensions.filter(({ type }) => type !== AUTHORITY_KEY_IDENTIFIER),
    validity,
  });
}

/** Issues a certificate with a new key, by default of the same kind as the CA's. */
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

/** Issues a certificate, in PEM, for an existing key. */
export async function certifyKey(
  ca: Issued,
  subject: CertificateSubject,
  validity: Validity,
  publicKey: KeyObject,
): Promise<string> {
  const { KeyUsageFlags, ExtendedKeyUsage } = x509;
  const [names, purposes] =
    subject.kind === 'server'
      ? [
          subject.hosts.map((value) => ({ type: 'dns' as const, value })),
          [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth],
        ]
      : [[{ type: 'email' as const, value: subject.nai }], [ExtendedKeyUsage.clientAuth]];
  return sign({
    name: nameOf(subject.kind === 'server' ? (subject.hosts[0] ?? '') : subject.nai),
    ca,
    key: createPrivateKey(ca.keyPem),
    publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(purposes),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.SubjectKeyIdentifierExtension.create(await publicKeyOf(publicKey)),
      ...authorityKeyIdentifierOf(ca.certificatePem),
    ],
    validity,
  });
}

/** A name that consists of one common name with any characters. */
function nameOf(commonName: string): x509.Name {
  return new x509.Name([{ CN: [{ utf8String: commonName }] }]);
}

/** The subject of a certificate issued by this program; undefined for any other certificate. */
export function subjectOf(certificatePem: string): CertificateSubject | undefined {
  const names = new x509.X509Certificate(certificatePem).getExtension(x509.SubjectAlternativeNameExtension)?.names;
  const of = (type: string) => (names?.items ?? []).flatMap((name) => (name.type === type ? [name.value] : []));
  const hosts = of('dns');
  const [nai] = of('email');
  if (hosts.length > 0) return { kind: 'server', hosts };
  return nai === undefined ? undefined : { kind: 'client', nai };
}

interface Request {
  readonly name: x509.Name;
  /** Undefined: self-signed. */
  readonly ca: Issued | undefined;
  /** The key of the CA. */
  readonly key: KeyObject;
  readonly publicKey: KeyObject;
  readonly extensions: x509.Extension[];
  readonly validity: Validity;
}

function sign(request: Request): Promise<string> {
  const isRsa = kindOf(request.key) === 'rsa' && request.publicKey.asymmetricKeyType === 'rsa';
  return isRsa ? Promise.resolve(signWithForge(request)) : signWithX509(request);
}

/** Positions of fields in a TBSCertificate (RFC 5280 4.1). */
const ISSUER = 3;
const SUBJECT = 5;
const EXTENSIONS_TAG = 3;

/** Copies names and extensions octet for octet, because node-forge would encode them differently. */
function signWithForge({ name, ca, key, publicKey, extensions, validity }: Request): string {
  const { asn1, pki, md } = forge;
  const { CONTEXT_SPECIFIC, UNIVERSAL } = asn1.Class;
  const asn1Of = (der: ArrayBuffer) => asn1.fromDer(Buffer.from(der).toString('latin1'));
  const certificate = pki.createCertificate();
  certificate.publicKey = pki.publicKeyFromPem(publicKey.export({ type: 'spki', format: 'pem' }).toString());
  certificate.serialNumber = newSerial();
  certificate.validity.notBefore = validity.notBefore;
  certificate.validity.notAfter = validity.notAfter;
  certificate.signatureOid = certificate.siginfo.algorithmOid = pki.oids['sha256WithRSAEncryption'] ?? '';
  const whole = pki.certificateToAsn1(certificate);
  const [tbs, , signature] = whole.value as forge.asn1.Asn1[];
  if (!tbs || !signature) throw new Error('node-forge made no certificate');
  const fields = tbs.value as forge.asn1.Asn1[];
  const issuer = ca ? new x509.X509Certificate(ca.certificatePem).subjectName : name;
  fields[ISSUER] = asn1Of(issuer.toArrayBuffer());
  fields[SUBJECT] = asn1Of(name.toArrayBuffer());
  const list = extensions.map(({ rawData }) => asn1Of(rawData));
  const sequence = asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, list);
  fields.push(asn1.create(CONTEXT_SPECIFIC, EXTENSIONS_TAG as forge.asn1.Type, true, [sequence]));
  const digest = md.sha256.create().update(asn1.toDer(tbs).getBytes());
  // A BIT STRING begins with the number of unused bits.
  signature.value = `\0${pki.privateKeyFromPem(pemOf(key)).sign(digest)}`;
  const der = Buffer.from(asn1.toDer(whole).getBytes(), 'latin1');
  return `${new x509.X509Certificate(der).toString('pem')}\n`;
}

async function signWithX509({ name, ca, key, publicKey, extensions, validity }: Request): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: name,
    // Use the encoded name, not its text: it must equal the CA's name octet for octet.
    issuer: ca ? new x509.X509Certificate(ca.certificatePem).subjectName : name,
    ...validity,
    publicKey: await publicKeyOf(publicKey),
    signingKey: await signingKeyOf(key),
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

/**
 * The authorityKeyIdentifier of certificates of this CA (RFC 5280 4.2.1.1). Empty if the CA has no
 * subjectKeyIdentifier.
 */
function authorityKeyIdentifierOf(caPem: string): x509.Extension[] {
  const own = new x509.X509Certificate(caPem).getExtension(x509.SubjectKeyIdentifierExtension);
  return own ? [new x509.AuthorityKeyIdentifierExtension(own.keyId)] : [];
}

/** An entry of a CRL. `serialNumber` in hexadecimal. */
export type RevokedCertificate = Pick<
  x509.X509CrlEntryParams,
  'serialNumber' | 'revocationDate' | 'reason' | 'invalidity'
>;

/** The content of a CRL. `number`: cRLNumber (RFC 5280 5.2.3); undefined if the CRL has none. */
export interface CrlContent {
  readonly entries: readonly RevokedCertificate[];
  readonly number: bigint | undefined;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date | undefined;
}

const CRL_NUMBER = '2.5.29.20';

/** Creates a CRL of this CA. An entry may be just a serial number in hexadecimal, revoked at `thisUpdate`. */
export async function makeCrl(
  ca: Issued,
  entries: readonly (string | RevokedCertificate)[],
  thisUpdate: Date,
  nextUpdate: Date,
  number = 1n,
): Promise<string> {
  const key = createPrivateKey(ca.keyPem);
  const crl = await x509.X509CrlGenerator.create({
    issuer: new x509.X509Certificate(ca.certificatePem).subjectName,
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
  // node-forge writes another label than the one that OpenSSL reads (RFC 7468 6).
  return `${crl.toString('pem').replaceAll(/(BEGIN|END) CRL/g, '$1 X509 CRL')}\n`;
}

/** Reads a CRL that `makeCrl` created. Throws for any other. */
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

/** Encodes a small positive INTEGER in DER. */
function integer(value: bigint): Uint8Array {
  const digits = value.toString(16);
  const octets = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  const content = (octets[0] ?? 0) < 0x80 ? octets : Buffer.concat([Buffer.of(0), octets]);
  return Buffer.concat([Buffer.of(2, content.length), content]);
}

/** The serial number of a certificate in hexadecimal. */
export function serialOf(certificatePem: string): string {
  return new X509Certificate(certificatePem).serialNumber.toLowerCase();
}
