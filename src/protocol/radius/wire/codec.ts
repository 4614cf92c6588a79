import { DecodeError } from '../../bytes/decode-error.js';
import { Reader } from '../../bytes/reader.js';
import { Writer } from '../../bytes/writer.js';

export const HEADER_LENGTH = 20;
export const AUTHENTICATOR_LENGTH = 16;
/** Offset of the authenticator in a packet. */
export const AUTHENTICATOR_AT = 4;

/** Maximum length of a packet in octets, RFC 2865 3. It limits the number of attributes, too. */
export const MAX_PACKET = 4096;

/** Maximum length of the value of an attribute in octets. */
export const MAX_VALUE = 253;

/** Octets that contain the length of a packet. */
export const LENGTH_END = 4;

/** RFC 2865 3, RFC 2866 3, RFC 5176 2.3, RFC 5997 3. */
export const CODE = {
  'Access-Request': 1,
  'Access-Accept': 2,
  'Access-Reject': 3,
  'Accounting-Request': 4,
  'Accounting-Response': 5,
  'Access-Challenge': 11,
  'Status-Server': 12,
  'Disconnect-Request': 40,
  'Disconnect-ACK': 41,
  'Disconnect-NAK': 42,
  'CoA-Request': 43,
  'CoA-ACK': 44,
  'CoA-NAK': 45,
} as const;

/** The name of a code. */
export function codeName(code: number): string {
  return Object.entries(CODE).find(([, own]) => own === code)?.[0] ?? `code ${code}`;
}

/** An attribute as it is in the packet, RFC 2865 5. */
export interface Attribute {
  readonly type: number;
  /** Up to 253 octets. */
  readonly value: Uint8Array;
}

export interface RadiusPacket {
  readonly code: number;
  readonly identifier: number;
  /** 16 octets. */
  readonly authenticator: Uint8Array;
  readonly attributes: readonly Attribute[];
}

/** Length in the header at the start of these octets; undefined if there are fewer than four. */
export function packetLength(octets: Uint8Array): number | undefined {
  if (octets.length < LENGTH_END) return undefined;
  return new DataView(octets.buffer, octets.byteOffset).getUint16(2);
}

/*
 *  +---------------+---------------+-------------------------------+
 *  |     Code      |  Identifier   |      Length, with header      |
 *  +---------------+---------------+-------------------------------+
 *  |                                                               |
 *  |                    Authenticator, 16 octets                   |
 *  |                                                               |
 *  +---------------+---------------+-------------------------------+
 *  |     Type      |    Length     |  Value, 0 to 253 octets ...
 */

/**
 * Decodes a packet, RFC 2865 3 and 5. Octets after its length are padding and not read. The values are copies. Throws
 * DecodeError.
 */
export function decodeRadius(octets: Uint8Array): RadiusPacket {
  const reader = new Reader(octets);
  const code = reader.u8();
  const identifier = reader.u8();
  const length = reader.u16();
  if (length < HEADER_LENGTH || length > MAX_PACKET) throw new DecodeError('bad-length', 2, `Length ${length}`);
  const authenticator = reader.bytes(AUTHENTICATOR_LENGTH);
  const attributes = reader.block(length - HEADER_LENGTH, readAttributes);
  return { code, identifier, authenticator, attributes };
}

/** Reads attributes up to the end of the reader. */
export function readAttributes(reader: Reader): Attribute[] {
  const attributes: Attribute[] = [];
  while (reader.remaining > 0) {
    const { at } = reader;
    const type = reader.u8();
    const length = reader.u8();
    if (length < 2) throw new DecodeError('bad-length', at, `an attribute of Length ${length}`);
    attributes.push({ type, value: reader.bytes(length - 2) });
  }
  return attributes;
}

/** Encoded length of a packet in octets. */
export function lengthOf({ attributes }: Pick<RadiusPacket, 'attributes'>): number {
  return attributes.reduce((sum, { value }) => sum + 2 + value.length, HEADER_LENGTH);
}

/** Encodes a packet. Throws RangeError if it is longer than 4096 octets, or one of its values longer than 253. */
export function encodeRadius({ code, identifier, authenticator, attributes }: RadiusPacket): Uint8Array {
  const length = lengthOf({ attributes });
  if (length > MAX_PACKET) throw new RangeError(`a RADIUS packet of ${length} octets`);
  if (authenticator.length !== AUTHENTICATOR_LENGTH) {
    throw new RangeError(`an authenticator of ${authenticator.length} octets`);
  }
  const writer = new Writer(length).u8(code).u8(identifier).u16(length).bytes(authenticator);
  writeAttributes(writer, attributes);
  return writer.finish();
}

/** Throws RangeError for a value of more than 253 octets. */
export function writeAttributes(writer: Writer, attributes: readonly Attribute[]): void {
  for (const { type, value } of attributes) {
    if (value.length > MAX_VALUE) throw new RangeError(`attribute ${type} of ${value.length} octets`);
    writer
      .u8(type)
      .u8(value.length + 2)
      .bytes(value);
  }
}
