import { hash } from 'node:crypto';
import { DecodeError } from '../bytes/decode-error.js';
import { concat, encodeUtf8, toHex } from '../bytes/octets.js';
import {
  context,
  type DerReader,
  type Element,
  readBitOctets,
  readBits,
  readBoolean,
  readInteger,
  readOid,
  readSmallInteger,
  readTime,
  TAG,
  whole,
  within,
} from './der.js';
import { type AlternativeNames, type DistinguishedName, readAlternativeNames, readName } from './name.js';

/** Maximum size of a certificate in octets. */
const MAX_CERTIFICATE = 64 * 1024;

/** OIDs of the extensions (RFC 5280 4.2) that this reader evaluates. */
export const EXTENSION = {
  SUBJECT_KEY_IDENTIFIER: '2.5.29.14',
  KEY_USAGE: '2.5.29.15',
  SUBJECT_ALT_NAME: '2.5.29.17',
  BASIC_CONSTRAINTS: '2.5.29.19',
  CRL_NUMBER: '2.5.29.20',
  DELTA_CRL_INDICATOR: '2.5.29.27',
  ISSUING_DISTRIBUTION_POINT: '2.5.29.28',
  CERTIFICATE_ISSUER: '2.5.29.29',
  AUTHORITY_KEY_IDENTIFIER: '2.5.29.35',
  EXTENDED_KEY_USAGE: '2.5.29.37',
} as const;

/** Bits of keyUsage (RFC 5280 4.2.1.3), as readBits numbers them. */
export const KEY_USAGE = { DIGITAL_SIGNATURE: 1 << 0, KEY_CERT_SIGN: 1 << 5, CRL_SIGN: 1 << 6 } as const;

export interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/**
 * The signed octets, the algorithm and the signature of a certificate or CRL. `parameters`: the algorithm's parameters
 * as DER, if any.
 */
export interface Signed {
  readonly tbs: Uint8Array;
  readonly algorithm: string;
  readonly parameters: Uint8Array | undefined;
  readonly signature: Uint8Array;
}

/** Kind of a public key (RFC 3279): for RSA its size and exponent, otherwise the OIDs of algorithm and curve. */
export type PublicKeyKind =
  | { readonly type: 'rsa'; readonly bits: number; readonly exponent: bigint }
  | { readonly type: 'other'; readonly algorithm: string; readonly curve: string | undefined };

/** A certificate, decoded from DER (RFC 5280 4.1). Times are milliseconds since 1970, UTC. */
export interface Certificate {
  readonly der: Uint8Array;
  /** SHA-256 of the DER, lower-case hexadecimal. */
  readonly fingerprint256: string;
  /** Lower-case hexadecimal without leading zeros. */
  readonly serial: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  readonly notBefore: number;
  readonly notAfter: number;
  /** SubjectPublicKeyInfo as DER. */
  readonly publicKey: Uint8Array;
  readonly keyKind: PublicKeyKind;
  /**
   * Identifies an issuer by its name and public key, whichever certificate contains them. 32 lower-case hexadecimal
   * digits.
   */
  readonly issuerId: string;
  readonly signed: Signed;
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  /** Undefined: the extension is absent, so that all uses are allowed. */
  readonly keyUsage: number | undefined;
  /** OIDs; undefined: the extension is absent. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly subjectKeyId: string | undefined;
  readonly authorityKeyId: string | undefined;
  readonly alternativeNames: AlternativeNames;
  readonly extensions: ReadonlyMap<string, Extension>;
}

/** Decodes a certificate. The result refers to `der` and does not copy it. Throws DecodeError. */
export function readCertificate(der: Uint8Array): Certificate {
  if (der.length > MAX_CERTIFICATE) throw new DecodeError('bad-length', 0, 'certificate too large');
  const { tbs, signed } = readSigned(der);
  const version = tbs.optional(context(0, true));
  if (version) readSmallInteger(within(version).element(TAG.INTEGER));
  const serial = readInteger(tbs.element(TAG.INTEGER));
  sameAlgorithm(tbs.element(TAG.SEQUENCE), signed);
  const issuer = readName(tbs.element(TAG.SEQUENCE));
  const validity = tbs.inside(TAG.SEQUENCE);
  const notBefore = readTime(validity.element());
  const notAfter = readTime(validity.element());
  const subjectElement = tbs.element(TAG.SEQUENCE);
  const subject = readName(subjectElement);
  const keyElement = tbs.element(TAG.SEQUENCE);
  tbs.optional(context(1, false));
  tbs.optional(context(2, false));
  const extensionElement = tbs.optional(context(3, true));
  tbs.done();
  const extensions = extensionElement ? readExtensions(within(extensionElement)) : new Map<string, Extension>();
  const constraints = readBasicConstraints(extensions.get(EXTENSION.BASIC_CONSTRAINTS)?.value);
  const alternativeNames = extensions.get(EXTENSION.SUBJECT_ALT_NAME)?.value;
  return {
    der,
    fingerprint256: hash('sha256', der),
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey: keyElement.whole,
    keyKind: readKeyKind(keyElement),
    issuerId: hash('sha256', concat(encodeUtf8(subject.key), Uint8Array.of(0), keyElement.whole)).slice(0, 32),
    signed,
    ...constraints,
    keyUsage: readOptional(extensions, EXTENSION.KEY_USAGE, (value) => readBits(whole(value, TAG.BIT_STRING))),
    extendedKeyUsage: readOptional(extensions, EXTENSION.EXTENDED_KEY_USAGE, readOids),
    subjectKeyId: readOptional(extensions, EXTENSION.SUBJECT_KEY_IDENTIFIER, (value) =>
      toHex(whole(value, TAG.OCTET_STRING).content),
    ),
    authorityKeyId: authorityKeyIdOf(extensions),
    alternativeNames: alternativeNames
      ? readAlternativeNames(alternativeNames)
      : { emails: [], upns: [], dnsNames: [] },
    extensions,
  };
}

/** Reads SEQUENCE { toBeSigned, algorithm, signature } (RFC 5280 4.1, 5.1) and returns a reader of toBeSigned. */
export function readSigned(der: Uint8Array): { readonly tbs: DerReader; readonly signed: Signed } {
  const parts = within(whole(der, TAG.SEQUENCE));
  const tbs = parts.element(TAG.SEQUENCE);
  const algorithm = readAlgorithm(parts.element(TAG.SEQUENCE));
  const signature = readBitOctets(parts.element(TAG.BIT_STRING));
  parts.done();
  return { tbs: within(tbs), signed: { tbs: tbs.whole, ...algorithm, signature } };
}

/** RFC 5280 4.1.1.2, 5.1.1.2: the algorithm inside the signed part must equal the one outside. */
export function sameAlgorithm(element: Element, { algorithm, parameters }: Signed): void {
  const inside = readAlgorithm(element);
  const hex = (octets: Uint8Array | undefined) => octets && toHex(octets);
  if (inside.algorithm !== algorithm || hex(inside.parameters) !== hex(parameters)) {
    throw new DecodeError('bad-value', element.at, 'signature algorithms differ');
  }
}

function readAlgorithm(element: Element): { readonly algorithm: string; readonly parameters: Uint8Array | undefined } {
  const reader = within(element);
  const algorithm = readOid(reader.element(TAG.OBJECT_IDENTIFIER));
  const parameters = reader.hasMore ? reader.element().whole : undefined;
  reader.done();
  return { algorithm, parameters };
}

/** Reads extensions by OID. A repeated extension is an error (RFC 5280 4.2). `reader`: positioned at their SEQUENCE. */
export function readExtensions(reader: DerReader): Map<string, Extension> {
  const found = new Map<string, Extension>();
  for (const list = reader.inside(TAG.SEQUENCE); list.hasMore; ) {
    const at = list.at;
    const extension = list.inside(TAG.SEQUENCE);
    const oid = readOid(extension.element(TAG.OBJECT_IDENTIFIER));
    const critical = extension.optional(TAG.BOOLEAN);
    const value = extension.element(TAG.OCTET_STRING).content;
    extension.done();
    if (found.has(oid)) throw new DecodeError('bad-value', at, `repeated extension ${oid}`);
    found.set(oid, { critical: critical !== undefined && readBoolean(critical), value });
  }
  reader.done();
  return found;
}

/** The keyIdentifier of the authorityKeyIdentifier extension (RFC 5280 4.2.1.1), hexadecimal. */
export function authorityKeyIdOf(extensions: ReadonlyMap<string, Extension>): string | undefined {
  return readOptional(extensions, EXTENSION.AUTHORITY_KEY_IDENTIFIER, (value) => {
    const id = within(whole(value, TAG.SEQUENCE)).optional(context(0, false));
    return id && toHex(id.content);
  });
}

function readOptional<T>(
  extensions: ReadonlyMap<string, Extension>,
  oid: string,
  read: (value: Uint8Array) => T,
): T | undefined {
  const extension = extensions.get(oid);
  return extension && read(extension.value);
}

function readBasicConstraints(value: Uint8Array | undefined): Pick<Certificate, 'isCa' | 'pathLength'> {
  if (!value) return { isCa: false, pathLength: undefined };
  const reader = within(whole(value, TAG.SEQUENCE));
  const ca = reader.optional(TAG.BOOLEAN);
  const length = reader.optional(TAG.INTEGER);
  reader.done();
  return { isCa: ca !== undefined && readBoolean(ca), pathLength: length && readSmallInteger(length) };
}

function readOids(value: Uint8Array): string[] {
  const oids: string[] = [];
  for (const list = within(whole(value, TAG.SEQUENCE)); list.hasMore; ) {
    oids.push(readOid(list.element(TAG.OBJECT_IDENTIFIER)));
  }
  return oids;
}

const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
/** Algorithm of keys and signatures, RFC 4055 3. */
export const RSASSA_PSS = '1.2.840.113549.1.1.10';

function readKeyKind(element: Element): PublicKeyKind {
  const info = within(element);
  const { algorithm, parameters } = readAlgorithm(info.element(TAG.SEQUENCE));
  const key = info.element(TAG.BIT_STRING);
  info.done();
  if (algorithm !== RSA_ENCRYPTION && algorithm !== RSASSA_PSS) {
    const named = parameters?.[0] === TAG.OBJECT_IDENTIFIER;
    return { type: 'other', algorithm, curve: named ? readOid(whole(parameters, TAG.OBJECT_IDENTIFIER)) : undefined };
  }
  const numbers = within(whole(readBitOctets(key), TAG.SEQUENCE));
  const modulus = readInteger(numbers.element(TAG.INTEGER));
  const exponent = readInteger(numbers.element(TAG.INTEGER));
  if (modulus.startsWith('-') || exponent.startsWith('-'))
    throw new DecodeError('bad-value', key.at, 'negative number in an RSA key');
  const top = Number.parseInt(modulus.slice(0, 1), 16);
  const bits = (modulus.length - 1) * 4 + (32 - Math.clz32(top));
  return { type: 'rsa', bits, exponent: BigInt(`0x${exponent}`) };
}
