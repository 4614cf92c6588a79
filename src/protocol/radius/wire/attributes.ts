import { DecodeError } from '../../bytes/decode-error.js';
import { concat, decodeUtf8, encodeUtf8 } from '../../bytes/octets.js';
import { Reader } from '../../bytes/reader.js';
import { Secret } from '../../bytes/secret.js';
import { Writer } from '../../bytes/writer.js';
import { type Attribute, MAX_VALUE, type RadiusPacket, readAttributes, writeAttributes } from './codec.js';
import { ATTRIBUTES, type AttributeName, type AttributeSpec, type RadiusType } from './dictionary.js';
import { hideSalted, revealSalted } from './hidden.js';

const VENDOR_SPECIFIC = ATTRIBUTES['Vendor-Specific'].type;

/** A network prefix of up to 128 bits. `address` has 16 octets; those after the prefix are zero. */
export interface Ipv6Prefix {
  readonly length: number;
  readonly address: Uint8Array;
}

interface TypeValues {
  text: string;
  string: Uint8Array;
  concat: Uint8Array;
  /** A decoded key is a copy that the caller wipes. Encoding does not take ownership. */
  key: Secret;
  integer: number;
  enum: number;
  /** Milliseconds since 1970, UTC. */
  time: number;
  integer64: bigint;
  ipv4addr: Uint8Array;
  ipv6addr: Uint8Array;
  ipv6prefix: Ipv6Prefix;
  ifid: Uint8Array;
}

export type ValueOf<N extends AttributeName> = TypeValues[(typeof ATTRIBUTES)[N]['format']];

/** What hides keys: the shared secret and the authenticator of the request. */
export interface Hiding {
  readonly secret: Secret;
  readonly requestAuthenticator: Uint8Array;
}

/** Reads the attributes of a packet by their names in the dictionary. */
export class AttributeReader {
  readonly #attributes: readonly Attribute[];
  readonly #hiding: Hiding | undefined;
  /** Sub-attributes of vendors. */
  #vendors: readonly VendorAttribute[] | undefined;

  /** `hiding`: required to read keys. */
  constructor({ attributes }: Pick<RadiusPacket, 'attributes'>, hiding?: Hiding) {
    this.#attributes = attributes;
    this.#hiding = hiding;
  }

  /** All values of an attribute, in their order. Throws DecodeError. */
  all<N extends AttributeName>(name: N): ValueOf<N>[] {
    const spec: AttributeSpec = ATTRIBUTES[name];
    const found = this.#valuesOf(spec);
    if (spec.format === 'concat') return (found.length > 0 ? [concat(...found)] : []) as ValueOf<N>[];
    return found.map((value) => this.#decode(name, spec.format, value)) as ValueOf<N>[];
  }

  /** The value of an attribute that a packet has once at most. Throws DecodeError, also for a second one. */
  one<N extends AttributeName>(name: N): ValueOf<N> | undefined {
    const [value, second] = this.all(name);
    if (second !== undefined) throw new DecodeError('too-many', 0, `more than one ${name}`);
    return value;
  }

  #valuesOf({ type, vendorId }: AttributeSpec): Uint8Array[] {
    if (vendorId === undefined) return this.#attributes.flatMap((own) => (own.type === type ? [own.value] : []));
    this.#vendors ??= this.#attributes.flatMap(readVendor);
    return this.#vendors.flatMap((own) => (own.type === type && own.vendorId === vendorId ? [own.value] : []));
  }

  #decode(name: AttributeName, format: RadiusType, value: Uint8Array): TypeValues[RadiusType] {
    if (format !== 'key') return decodeValue(name, format, value);
    if (!this.#hiding) throw new TypeError(`${name} without the secret that hides it`);
    return revealSalted(value, this.#hiding.requestAuthenticator, this.#hiding.secret);
  }
}

interface VendorAttribute extends Attribute {
  readonly vendorId: number;
}

/*
 *  +---------------------------------------------------------------+
 *  |                           Vendor-Id                           |
 *  +---------------+---------------+-------------------------------+
 *  |  Vendor type  | Vendor length |  Value ..., and further ones
 *  +---------------+---------------+-------------------------------+
 */

/** Reads the sub-attributes of a Vendor-Specific attribute in the form of RFC 2865 5.26; none if it has another form. */
export function readVendor({ type, value }: Attribute): VendorAttribute[] {
  if (type !== VENDOR_SPECIFIC || value.length < 4) return [];
  const reader = new Reader(value);
  const vendorId = reader.u32();
  try {
    return readAttributes(reader).map((own) => ({ ...own, vendorId }));
  } catch (error) {
    // The form is only recommended, and vendors use others.
    if (error instanceof DecodeError) return [];
    throw error;
  }
}

/** Encodes a sub-attribute as a Vendor-Specific attribute (RFC 2865 5.26). Throws RangeError for more than 247 octets. */
export function vendorAttribute(vendorId: number, attribute: Attribute): Attribute {
  const writer = new Writer(6 + attribute.value.length).u32(vendorId);
  writeAttributes(writer, [attribute]);
  return { type: VENDOR_SPECIFIC, value: writer.finish() };
}

/**
 * Encodes an attribute of the dictionary; an EAP-Message becomes as many as it needs (RFC 3579 3.1). Throws RangeError
 * if the value is too long.
 */
export function attribute<N extends Exclude<AttributeName, `MS-MPPE-${string}`>>(
  name: N,
  value: ValueOf<N>,
): Attribute[] {
  const { type, format }: AttributeSpec = ATTRIBUTES[name];
  const octets = encodeValue(name, format, value);
  if (format !== 'concat') return [{ type, value: octets }];
  const pieces: Attribute[] = [];
  for (let at = 0; at < octets.length; at += MAX_VALUE) {
    pieces.push({ type, value: octets.slice(at, at + MAX_VALUE) });
  }
  return pieces;
}

/**
 * The keys of an Access-Accept (RFC 2548 2.4, RFC 5216 2.3): MS-MPPE-Recv-Key is the first half of the MSK,
 * MS-MPPE-Send-Key the second one. `salt`: unpredictable; the second key has the next one.
 */
export function mppeKeys(msk: Secret, salt: number, { secret, requestAuthenticator }: Hiding): Attribute[] {
  const names = ['MS-MPPE-Recv-Key', 'MS-MPPE-Send-Key'] as const;
  return names.map((name, i) => {
    const half = msk.use((octets) => Secret.copyOf(octets.subarray(i * MPPE_KEY, (i + 1) * MPPE_KEY)));
    const value = hideSalted(half, (salt + i) & 0x7fff, requestAuthenticator, secret);
    half.wipe();
    const { type, vendorId } = ATTRIBUTES[name];
    return vendorAttribute(vendorId, { type, value });
  });
}

/** Length of each key in octets: half of an MSK. */
const MPPE_KEY = 32;

function decodeValue(name: string, format: Exclude<RadiusType, 'key'>, value: Uint8Array): TypeValues[RadiusType] {
  const length = LENGTHS[format];
  if (length !== undefined && value.length !== length) {
    throw new DecodeError('bad-length', 0, `${name} of ${value.length} octets`);
  }
  const reader = new Reader(value);
  switch (format) {
    case 'text':
      return decodeUtf8(value);
    case 'integer':
    case 'enum':
      return reader.u32();
    case 'time':
      return reader.u32() * 1000;
    case 'integer64':
      return reader.u64();
    case 'ipv6prefix':
      return readPrefix(reader, name);
    default:
      return reader.rest();
  }
}

const LENGTHS: Partial<Record<RadiusType, number>> = {
  integer: 4,
  enum: 4,
  time: 4,
  integer64: 8,
  ipv4addr: 4,
  ipv6addr: 16,
  ifid: 8,
};

/** RFC 3162 2.3: a reserved octet, the length in bits, and as many octets of the prefix as it needs, or more. */
function readPrefix(reader: Reader, name: string): Ipv6Prefix {
  reader.u8();
  const length = reader.u8();
  const octets = reader.rest();
  if (length > 128 || octets.length > 16 || octets.length * 8 < length) {
    throw new DecodeError('bad-value', 0, `${name} of ${length} bits in ${octets.length} octets`);
  }
  const address = new Uint8Array(16);
  address.set(octets);
  for (const [i, octet] of address.entries()) {
    const bits = Math.max(0, Math.min(8, length - 8 * i));
    if ((octet & (0xff >> bits)) !== 0) throw new DecodeError('bad-value', 2 + i, `${name} with bits after its length`);
  }
  return { length, address };
}

function encodeValue(name: string, format: RadiusType, value: TypeValues[RadiusType]): Uint8Array {
  if (typeof value === 'string') return encodeUtf8(value);
  if (typeof value === 'bigint') return new Writer(8).u64(value).finish();
  if (typeof value === 'number') {
    return new Writer(4).u32(format === 'time' ? Math.floor(value / 1000) : value).finish();
  }
  if (value instanceof Secret) throw new TypeError(`${name} is a key`);
  if (value instanceof Uint8Array) {
    const length = LENGTHS[format];
    if (length !== undefined && value.length !== length) throw new RangeError(`${name} of ${value.length} octets`);
    return value;
  }
  const octets = Math.ceil(value.length / 8);
  return new Writer(2 + octets).u8(0).u8(value.length).bytes(value.address.subarray(0, octets)).finish();
}
