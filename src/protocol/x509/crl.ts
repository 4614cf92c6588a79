import { hash } from 'node:crypto';
import { CodedError } from '../../errors/coded-error.js';
import { DecodeError } from '../bytes/decode-error.js';
import {
  authorityKeyIdOf,
  EXTENSION,
  type Extension,
  readExtensions,
  readSigned,
  type Signed,
  sameAlgorithm,
} from './certificate.js';
import {
  context,
  type DerReader,
  readInteger,
  readOid,
  readSmallInteger,
  readTime,
  TAG,
  whole,
  within,
} from './der.js';
import { type DistinguishedName, readName } from './name.js';

/** A complete CRL of one issuer, decoded from DER (RFC 5280 5.1). Times are milliseconds since 1970, UTC. */
export interface CertificateList {
  readonly der: Uint8Array;
  /** SHA-256 of the DER, lower-case hexadecimal. */
  readonly fingerprint256: string;
  readonly issuer: DistinguishedName;
  readonly authorityKeyId: string | undefined;
  /** cRLNumber (RFC 5280 5.2.3). */
  readonly number: bigint | undefined;
  readonly thisUpdate: number;
  /** Undefined: the CRL does not announce a successor. */
  readonly nextUpdate: number | undefined;
  /** Serial numbers, lower-case hexadecimal without leading zeros. */
  readonly serials: ReadonlySet<string>;
  readonly signed: Signed;
}

/** A well-formed CRL of a kind that is not supported. Treating it as a complete CRL would miss revocations. */
export class CrlKindError extends CodedError<'ERR_CRL_KIND'> {
  override readonly name = 'CrlKindError';

  constructor(message: string) {
    super('ERR_CRL_KIND', message);
  }
}

const KNOWN = new Set<string>([EXTENSION.AUTHORITY_KEY_IDENTIFIER, EXTENSION.CRL_NUMBER]);
const REASON_CODE = '2.5.29.21';
const INVALIDITY_DATE = '2.5.29.24';
const KNOWN_IN_ENTRIES = new Set<string>([REASON_CODE, INVALIDITY_DATE]);

/** Decodes a CRL. Throws DecodeError if the octets are not a CRL, CrlKindError if its kind is not supported. */
export function readCrl(der: Uint8Array): CertificateList {
  const { tbs, signed } = readSigned(der);
  const version = tbs.optional(TAG.INTEGER);
  if (version && readSmallInteger(version) !== 1) throw new DecodeError('bad-version', version.at, 'CRL version');
  sameAlgorithm(tbs.element(TAG.SEQUENCE), signed);
  const issuer = readName(tbs.element(TAG.SEQUENCE));
  const thisUpdate = readTime(tbs.element());
  const hasNext = tbs.nextTag === TAG.UTC_TIME || tbs.nextTag === TAG.GENERALIZED_TIME;
  const nextUpdate = hasNext ? readTime(tbs.element()) : undefined;
  const entries = tbs.optional(TAG.SEQUENCE);
  const extensionElement = tbs.optional(context(0, true));
  tbs.done();
  const extensions = extensionElement ? readExtensions(within(extensionElement)) : new Map<string, Extension>();
  refuseKinds(extensions, issuer.text);
  const number = extensions.get(EXTENSION.CRL_NUMBER);
  return {
    der,
    fingerprint256: hash('sha256', der),
    issuer,
    authorityKeyId: authorityKeyIdOf(extensions),
    number: number && readNumber(number.value),
    thisUpdate,
    nextUpdate,
    serials: entries ? readEntries(within(entries), issuer.text) : new Set(),
    signed,
  };
}

function readNumber(value: Uint8Array): bigint {
  const hex = readInteger(whole(value, TAG.INTEGER));
  if (hex.startsWith('-')) throw new DecodeError('bad-value', 0, 'negative CRL number');
  return BigInt(`0x${hex}`);
}

function refuseKinds(extensions: ReadonlyMap<string, Extension>, issuer: string): void {
  if (extensions.has(EXTENSION.DELTA_CRL_INDICATOR)) {
    throw new CrlKindError(`the CRL of ${issuer} is a delta CRL: only complete CRLs are accepted`);
  }
  const distribution = extensions.get(EXTENSION.ISSUING_DISTRIBUTION_POINT);
  if (distribution) refuseParts(distribution.value, issuer);
  for (const [oid, { critical }] of extensions) {
    const known = KNOWN.has(oid) || oid === EXTENSION.ISSUING_DISTRIBUTION_POINT;
    if (critical && !known) throw new CrlKindError(`the CRL of ${issuer} has an unknown critical extension: ${oid}`);
  }
}

/**
 * RFC 5280 5.2.5: rejects a CRL that covers only a part of the certificates. An issuingDistributionPoint without
 * content means a complete CRL.
 */
function refuseParts(value: Uint8Array, issuer: string): void {
  const parts = within(whole(value, TAG.SEQUENCE));
  while (parts.hasMore) {
    const { tag, content } = parts.element();
    const n = tag & 0x1f;
    if (n === 4 && content[0] !== 0) {
      throw new CrlKindError(
        `the CRL of ${issuer} is an indirect CRL: only CRLs of the certificates' own issuer are accepted`,
      );
    }
    const isFlag = n === 1 || n === 2 || n === 5;
    if (!isFlag && n !== 4) {
      throw new CrlKindError(
        `the CRL of ${issuer} covers only one distribution point: only complete CRLs are accepted`,
      );
    }
    if (isFlag && content[0] !== 0) {
      const of = n === 1 ? 'of end entities' : n === 2 ? 'of CAs' : 'of attributes';
      throw new CrlKindError(`the CRL of ${issuer} covers only certificates ${of}: only complete CRLs are accepted`);
    }
  }
}

function readEntries(entries: DerReader, issuer: string): Set<string> {
  const serials = new Set<string>();
  while (entries.hasMore) {
    const entry = entries.inside(TAG.SEQUENCE);
    serials.add(readInteger(entry.element(TAG.INTEGER)));
    // The revocation date is not evaluated: every certificate on the list counts as revoked.
    entry.element();
    if (!entry.hasMore) continue;
    const extensions = entry.inside(TAG.SEQUENCE);
    entry.done();
    while (extensions.hasMore) {
      const extension = extensions.inside(TAG.SEQUENCE);
      const oid = readOid(extension.element(TAG.OBJECT_IDENTIFIER));
      const critical = (extension.optional(TAG.BOOLEAN)?.content[0] ?? 0) !== 0;
      if (oid === EXTENSION.CERTIFICATE_ISSUER) {
        throw new CrlKindError(`the CRL of ${issuer} has entries of another issuer: indirect CRLs are not accepted`);
      }
      if (critical && !KNOWN_IN_ENTRIES.has(oid)) {
        throw new CrlKindError(`an entry of the CRL of ${issuer} has an unknown critical extension: ${oid}`);
      }
    }
  }
  return serials;
}

/**
 * Whether CRL `one` is newer than CRL `other` of the same issuer. Compares the CRL numbers (RFC 5280 5.2.3); if they
 * do not differ or one is absent, the dates.
 */
export function isNewer(one: CertificateList, other: CertificateList): boolean {
  if (one.number !== undefined && other.number !== undefined && one.number !== other.number) {
    return one.number > other.number;
  }
  return one.thisUpdate > other.thisUpdate;
}
