import { DecodeError } from '../bytes/decode-error.js';
import { toHex } from '../bytes/octets.js';
import { DerReader, type Element, readOid, TAG, within } from './der.js';

const COMMON_NAME = '2.5.4.3';

/** Short names of common attributes (RFC 4514 3, RFC 4519, RFC 2985). */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  [COMMON_NAME]: 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
};

/** A distinguished name (RFC 5280 4.1.2.4). */
export interface DistinguishedName {
  /** Equal for names that RFC 5280 7.1 considers equal: string type, case and extra blanks are ignored. */
  readonly key: string;
  /** For display; different names may have the same text. */
  readonly text: string;
  readonly commonNames: readonly string[];
}

/** Decodes a Name. A value of an unknown string type is compared by its octets. Throws DecodeError. */
export function readName(element: Element): DistinguishedName {
  const keys: string[] = [];
  const texts: string[] = [];
  const commonNames: string[] = [];
  for (const names = within(element); names.hasMore; ) {
    const values: { readonly key: string; readonly text: string }[] = [];
    for (const one = names.inside(TAG.SET); one.hasMore; ) {
      const attribute = one.inside(TAG.SEQUENCE);
      const oid = readOid(attribute.element(TAG.OBJECT_IDENTIFIER));
      const value = attribute.element();
      attribute.done();
      const text = readString(value);
      if (oid === COMMON_NAME && text !== undefined) commonNames.push(text);
      const hex = toHex(value.whole);
      values.push({
        key: `${oid}=${text === undefined ? `#${hex}` : JSON.stringify(normal(text))}`,
        text: `${SHORT_NAMES[oid] ?? oid}=${text ?? `#${hex}`}`,
      });
    }
    keys.push(
      values
        .map(({ key }) => key)
        .sort()
        .join('+'),
    );
    texts.push(values.map(({ text }) => text).join(' + '));
  }
  return { key: keys.join(','), text: texts.join(', '), commonNames };
}

/**
 * Normalizes a text as OpenSSL does for comparison: ASCII letters to lower case, blanks at the ends removed, runs of
 * blanks to one.
 */
function normal(text: string): string {
  return text
    .replace(/[ \t\n\v\f\r]+/g, ' ')
    .replace(/^ | $/g, '')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * Text of a DER string of any type. Undefined if the element is not a string or contains octets that its type does not
 * allow.
 */
function readString({ tag, content }: Element): string | undefined {
  const octets = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  switch (tag) {
    case TAG.UTF8_STRING:
      return utf8(content);
    case TAG.PRINTABLE_STRING:
    case TAG.IA5_STRING:
    case TAG.VISIBLE_STRING:
    case TAG.NUMERIC_STRING:
      return ascii(content);
    case TAG.TELETEX_STRING:
      // By the standard this is T.61; in practice certificates contain Latin-1.
      return octets.toString('latin1');
    case TAG.BMP_STRING:
      return content.length % 2 === 0 ? Buffer.from(octets).swap16().toString('utf16le') : undefined;
    case TAG.UNIVERSAL_STRING:
      return universal(content);
    default:
      return undefined;
  }
}

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(octets: Uint8Array): string | undefined {
  try {
    return utf8Decoder.decode(octets);
  } catch {
    return undefined;
  }
}

/** Decodes ASCII; undefined if an octet is not ASCII. */
function ascii(octets: Uint8Array): string | undefined {
  if (octets.some((octet) => octet >= 0x80)) return undefined;
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');
}

function universal(octets: Uint8Array): string | undefined {
  if (octets.length % 4 !== 0) return undefined;
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const points = Array.from({ length: octets.length / 4 }, (_, i) => view.getUint32(i * 4));
  return points.every((point) => point <= 0x10_ffff) ? String.fromCodePoint(...points) : undefined;
}

/** Names of a subjectAltName by type (RFC 5280 4.2.1.6). The text is exactly as encoded. */
export interface AlternativeNames {
  readonly emails: readonly string[];
  /** userPrincipalName, an otherName with the OID 1.3.6.1.4.1.311.20.2.3. */
  readonly upns: readonly string[];
  readonly dnsNames: readonly string[];
}

const UPN = '1.3.6.1.4.1.311.20.2.3';
const OTHER_NAME = 0xa0;
const RFC822_NAME = 0x81;
const DNS_NAME = 0x82;

/**
 * Decodes GeneralNames. Names that contain a NUL are ignored, because software disagrees on where they end. Throws
 * DecodeError.
 */
export function readAlternativeNames(octets: Uint8Array): AlternativeNames {
  const outer = new DerReader(octets);
  const names = outer.inside(TAG.SEQUENCE);
  outer.done();
  const found = { emails: [] as string[], upns: [] as string[], dnsNames: [] as string[] };
  const keep = (list: string[], text: string | undefined) => {
    if (text !== undefined && !text.includes('\0')) list.push(text);
  };
  while (names.hasMore) {
    const name = names.element();
    if (name.tag === RFC822_NAME) keep(found.emails, ascii(name.content));
    else if (name.tag === DNS_NAME) keep(found.dnsNames, ascii(name.content));
    else if (name.tag === OTHER_NAME) keep(found.upns, readUpn(name));
    else if ((name.tag & 0xc0) !== 0x80) throw new DecodeError('bad-value', name.at, 'GeneralName');
  }
  return found;
}

function readUpn(name: Element): string | undefined {
  const other = within(name);
  const oid = readOid(other.element(TAG.OBJECT_IDENTIFIER));
  const value = other.element();
  other.done();
  if (oid !== UPN || value.tag !== 0xa0) return undefined;
  const inside = within(value);
  const text = readString(inside.element());
  inside.done();
  return text;
}
