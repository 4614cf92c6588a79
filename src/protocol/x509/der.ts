import { DecodeError } from '../bytes/decode-error.js';

/** Universal tags (X.690 8.1.2) as encoded in DER; SEQUENCE and SET include the constructed bit. */
export const TAG = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OBJECT_IDENTIFIER: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  SEQUENCE: 0x30,
  SET: 0x31,
  NUMERIC_STRING: 0x12,
  PRINTABLE_STRING: 0x13,
  TELETEX_STRING: 0x14,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  VISIBLE_STRING: 0x1a,
  UNIVERSAL_STRING: 0x1c,
  BMP_STRING: 0x1e,
} as const;

/** Context-specific tag `[n]`. */
export const context = (n: number, constructed: boolean): number => 0x80 | (constructed ? 0x20 : 0) | n;

/** Maximum number of octets in a length. No certificate or CRL needs more. */
const MAX_LENGTH_OCTETS = 4;

/** One element: its tag octet, its content and the whole encoding. `content` and `whole` are views of the input. */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
  /** Offset of the element in the outermost buffer. */
  readonly at: number;
}

/**
 * Reads DER (X.690 10) element by element. It returns views, so the caller must not change the octets afterwards. It
 * creates few objects, because a CRL of 100,000 entries has 400,000 elements.
 */
export class DerReader {
  readonly #octets: Uint8Array;
  readonly #base: number;
  #at = 0;

  constructor(octets: Uint8Array, base = 0) {
    this.#octets = octets;
    this.#base = base;
  }

  /** Offset of the next element in the outermost buffer. */
  get at(): number {
    return this.#base + this.#at;
  }

  get hasMore(): boolean {
    return this.#at < this.#octets.length;
  }

  /** Tag of the next element; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#octets[this.#at];
  }

  /** Reads the next element. `tag`: the required tag. Throws DecodeError. */
  element(tag?: number): Element {
    const start = this.#at;
    const octets = this.#octets;
    const found = octets[start];
    if (found === undefined) throw new DecodeError('truncated', this.at, 'missing element');
    if (tag !== undefined && found !== tag) {
      throw new DecodeError('bad-value', this.at, `tag ${found.toString(16)} instead of ${tag.toString(16)}`);
    }
    if ((found & 0x1f) === 0x1f) throw new DecodeError('bad-value', this.at, 'multi-octet tag');
    let at = start + 1;
    let length = octets[at++];
    if (length === undefined) throw new DecodeError('truncated', this.#base + at, 'missing length');
    if (length >= 0x80) {
      const count = length & 0x7f;
      // Zero marks the indefinite form, which DER excludes (X.690 10.1).
      if (count === 0 || count > MAX_LENGTH_OCTETS)
        throw new DecodeError('bad-length', this.at, 'unsupported form of length');
      length = 0;
      for (let i = 0; i < count; i += 1) {
        const octet = octets[at++];
        if (octet === undefined) throw new DecodeError('truncated', this.#base + at, 'truncated length');
        length = length * 0x100 + octet;
      }
      const shortest = length < 0x80 ? 0 : Math.ceil(Math.log2(length + 1) / 8);
      if (count !== shortest) throw new DecodeError('bad-length', this.at, 'length not in its shortest form');
    }
    if (length > octets.length - at) {
      throw new DecodeError('truncated', this.at, `${length} octets required, ${octets.length - at} available`);
    }
    this.#at = at + length;
    return {
      tag: found,
      content: octets.subarray(at, at + length),
      whole: octets.subarray(start, at + length),
      at: this.#base + start,
    };
  }

  /** Reads the next element if it has this tag. */
  optional(tag: number): Element | undefined {
    return this.nextTag === tag ? this.element(tag) : undefined;
  }

  /** Reads the next element, which must be constructed and have this tag, and returns a reader of its content. */
  inside(tag: number): DerReader {
    return within(this.element(tag));
  }

  /** Throws DecodeError if octets remain. */
  done(): void {
    if (this.hasMore) throw new DecodeError('leftover', this.at, `${this.#octets.length - this.#at} octets`);
  }
}

/** Returns a reader of the content of an element. */
export function within({ content, at, whole }: Element): DerReader {
  return new DerReader(content, at + whole.length - content.length);
}

/** Reads one element that must fill all octets. */
export function whole(octets: Uint8Array, tag: number): Element {
  const reader = new DerReader(octets);
  const element = reader.element(tag);
  reader.done();
  return element;
}

/** Dotted form of an OBJECT IDENTIFIER (X.690 8.19). */
export function readOid({ content, at }: Element): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const [i, octet] of content.entries()) {
    if (arc > Number.MAX_SAFE_INTEGER / 0x100) throw new DecodeError('bad-value', at, 'OID component too large');
    arc = arc * 0x80 + (octet & 0x7f);
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0;
    } else if (i === content.length - 1) {
      throw new DecodeError('truncated', at, 'truncated OID component');
    }
  }
  const [first] = arcs;
  if (first === undefined) throw new DecodeError('bad-length', at, 'empty OID');
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...arcs.slice(1)].join('.');
}

/**
 * Reads a BOOLEAN. All octets except zero mean true: DER requires 0xff, but some certificates in use have other values.
 */
export function readBoolean({ content, at }: Element): boolean {
  if (content.length !== 1) throw new DecodeError('bad-length', at, 'BOOLEAN');
  return content[0] !== 0;
}

/**
 * Reads an INTEGER as lower-case hexadecimal without leading zeros. A negative one becomes `-` and the hexadecimal of
 * its octets.
 */
export function readInteger({ content, at }: Element): string {
  if (content.length === 0) throw new DecodeError('bad-length', at, 'empty INTEGER');
  const hex = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('hex');
  if ((content[0] ?? 0) >= 0x80) return `-${hex}`;
  // A fast path for CRLs: most serial numbers do not start with a zero.
  return hex.charCodeAt(0) === 0x30 ? hex.replace(/^0+(?=.)/, '') : hex;
}

/** Reads a small INTEGER, such as a version or a path length. */
export function readSmallInteger(element: Element): number {
  const value = Number.parseInt(readInteger(element), 16);
  if (!(value >= 0 && value <= 0x7fff_ffff)) throw new DecodeError('bad-value', element.at, 'INTEGER out of range');
  return value;
}

/** Reads a BIT STRING that consists of whole octets. */
export function readBitOctets({ content, at }: Element): Uint8Array {
  if (content[0] !== 0) throw new DecodeError('bad-value', at, 'BIT STRING with unused bits');
  return content.subarray(1);
}

/** Reads a named BIT STRING of at most 32 bits as a number. Bit 0 of the string is the lowest bit. */
export function readBits({ content, at }: Element): number {
  if (content.length === 0 || content.length > 5) throw new DecodeError('bad-length', at, 'BIT STRING');
  let bits = 0;
  for (let i = 0; i < (content.length - 1) * 8; i += 1) {
    if (((content[1 + (i >> 3)] ?? 0) & (0x80 >> (i & 7))) !== 0) bits |= 1 << i;
  }
  return bits;
}

/** Reads UTCTime or GeneralizedTime as milliseconds since 1970, UTC. RFC 5280 4.1.2.5 requires seconds and `Z`. */
export function readTime({ tag, content, at }: Element): number {
  const text = Buffer.from(content).toString('latin1');
  const form = tag === TAG.UTC_TIME ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : undefined;
  const general = tag === TAG.GENERALIZED_TIME ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : undefined;
  const match = (form ?? general)?.exec(text);
  if (!match) throw new DecodeError('bad-value', at, 'invalid time');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  // RFC 5280 4.1.2.5.1: two digits mean a year from 1950 to 2049.
  const full = form ? year + (year < 50 ? 2000 : 1900) : year;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) {
    throw new DecodeError('bad-value', at, 'invalid time');
  }
  return ((daysBefore(full, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000;
}

/** Days from 1970-01-01 to a date of the Gregorian calendar. */
function daysBefore(year: number, month: number, day: number): number {
  // If a year begins in March, its leap day is the last one.
  const marchYear = month > 2 ? year : year - 1;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}
