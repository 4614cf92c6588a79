import { DecodeError } from '../../bytes/decode-error.js';
import { Reader } from '../../bytes/reader.js';
import { Writer } from '../../bytes/writer.js';

/** Command flags, RFC 6733 3: request, proxiable, error, potentially retransmitted. */
export const FLAG = { R: 0x80, P: 0x40, E: 0x20, T: 0x10 } as const;

/** AVP flags, RFC 6733 4.1: vendor, mandatory, protected. */
export const AVP_FLAG = { V: 0x80, M: 0x40, P: 0x20 } as const;

export const HEADER_LENGTH = 20;
const VERSION = 1;

/** Maximum number of AVPs in a message or group; a DER or DEA has about 20. */
export const MAX_AVPS = 512;

/** An encoded AVP. `flags`: all bits except V, which is set if there is a Vendor-Id. */
export interface Avp {
  readonly code: number;
  readonly flags: number;
  readonly vendorId: number | undefined;
  readonly data: Uint8Array;
}

export interface DiameterHeader {
  readonly flags: number;
  readonly commandCode: number;
  readonly applicationId: number;
  readonly hopByHop: number;
  readonly endToEnd: number;
}

export interface DiameterMessage extends DiameterHeader {
  readonly avps: readonly Avp[];
}

/** Message Length in the header at the start of these octets; undefined if there are fewer than four. */
export function messageLength(octets: Uint8Array): number | undefined {
  if (octets.length < 4) return undefined;
  return new DataView(octets.buffer, octets.byteOffset).getUint32(0) & 0xff_ffff;
}

/*
 *  +---------------+-----------------------------------------------+
 *  |  Version = 1  |          Message Length, with padding         |
 *  +---------------+-----------------------------------------------+
 *  |R P E T r r r r|                 Command Code                  |
 *  +---------------+-----------------------------------------------+
 *  |                        Application-ID                         |
 *  +---------------------------------------------------------------+
 *  |                     Hop-by-Hop Identifier                     |
 *  +---------------------------------------------------------------+
 *  |                     End-to-End Identifier                     |
 *  +---------------------------------------------------------------+
 *  |  AVPs ...
 */

function readHeader(octets: Uint8Array): DiameterHeader & { readonly version: number; readonly length: number } {
  const reader = new Reader(octets);
  const version = reader.u8();
  const length = reader.u24();
  const flags = reader.u8();
  const commandCode = reader.u24();
  const applicationId = reader.u32();
  const hopByHop = reader.u32();
  const endToEnd = reader.u32();
  return { version, length, flags, commandCode, applicationId, hopByHop, endToEnd };
}

/**
 * Decodes a message that fills these octets exactly, RFC 6733 3 and 4. The octets are copied once; the AVPs are views
 * of this copy, not of the receive buffer. Padding is dropped and is zero when encoded. Throws DecodeError.
 */
export function decodeDiameter(octets: Uint8Array): DiameterMessage {
  const { version, length, ...header } = readHeader(octets);
  if (version !== VERSION) throw new DecodeError('bad-version', 0, `version ${version}`);
  if (length < HEADER_LENGTH || length % 4 !== 0) throw new DecodeError('bad-length', 1, `Message Length ${length}`);
  if (length > octets.length) throw new DecodeError('truncated', 1, `Message Length ${length} of ${octets.length}`);
  if (length < octets.length) throw new DecodeError('leftover', length, `${octets.length - length} octets`);
  const own = new Uint8Array(octets).subarray(HEADER_LENGTH);
  return { ...header, avps: readAvps(new Reader(own, HEADER_LENGTH)) };
}

/** The readable part of a message that cannot be decoded. */
export interface Salvage {
  readonly header: DiameterHeader;
  /** AVPs before the error. */
  readonly avps: readonly Avp[];
  readonly fault: DecodeError;
  /** The AVP with a wrong length, without data. */
  readonly faultyAvp: Avp | undefined;
}

/**
 * Extracts what is needed to answer a malformed message (RFC 6733 7). Undefined: it has no complete header, or is not
 * malformed.
 */
export function salvageDiameter(octets: Uint8Array): Salvage | undefined {
  if (octets.length < HEADER_LENGTH) return undefined;
  const { version, length, ...header } = readHeader(octets);
  const broken = (fault: DecodeError): Salvage => ({ header, avps: [], fault, faultyAvp: undefined });
  if (version !== VERSION) return broken(new DecodeError('bad-version', 0, `version ${version}`));
  if (length !== octets.length || length % 4 !== 0) {
    return broken(new DecodeError('bad-length', 1, `Message Length ${length}`));
  }
  const reader = new Reader(new Uint8Array(octets).subarray(HEADER_LENGTH), HEADER_LENGTH);
  const avps: Avp[] = [];
  while (reader.remaining > 0) {
    const start = reader.at;
    try {
      if (avps.length === MAX_AVPS) throw tooMany(start);
      avps.push(readAvp(reader));
    } catch (fault) {
      if (!(fault instanceof DecodeError)) throw fault;
      return { header, avps, fault, faultyAvp: avps.length === MAX_AVPS ? undefined : readAvpHeader(octets, start) };
    }
  }
  return undefined;
}

function readAvpHeader(octets: Uint8Array, at: number): Avp | undefined {
  if (octets.length - at < 8) return undefined;
  const reader = new Reader(octets.subarray(at), at);
  const code = reader.u32();
  const flags = reader.u8();
  reader.u24();
  const vendorId = flags & AVP_FLAG.V && reader.remaining >= 4 ? reader.u32() : undefined;
  return { code, flags: flags & ~AVP_FLAG.V, vendorId, data: new Uint8Array(0) };
}

function tooMany(at: number): DecodeError {
  return new DecodeError('too-many', at, `more than ${MAX_AVPS} AVPs`);
}

/** Reads AVPs up to the end of the reader, as views of its octets. */
export function readAvps(reader: Reader): Avp[] {
  const avps: Avp[] = [];
  while (reader.remaining > 0) {
    if (avps.length === MAX_AVPS) throw tooMany(reader.at);
    avps.push(readAvp(reader));
  }
  return avps;
}

/*
 *  +---------------------------------------------------------------+
 *  |                           AVP Code                            |
 *  +---------------+-----------------------------------------------+
 *  |V M P r r r r r|    AVP Length, with header, without padding   |
 *  +---------------+-----------------------------------------------+
 *  |                   Vendor-Id, only with V                      |
 *  +---------------------------------------------------------------+
 *  |  Data, padded to a multiple of four octets ...
 */
function readAvp(reader: Reader): Avp {
  const { at } = reader;
  const code = reader.u32();
  const flags = reader.u8();
  const length = reader.u24();
  const header = flags & AVP_FLAG.V ? 12 : 8;
  if (length < header) throw new DecodeError('bad-length', at, `AVP Length ${length}`);
  const vendorId = flags & AVP_FLAG.V ? reader.u32() : undefined;
  const data = reader.view(length - header);
  reader.skip(-length & 3);
  return { code, flags: flags & ~AVP_FLAG.V, vendorId, data };
}

/** Encoded length of a message in octets. */
export function lengthOf({ avps }: Pick<DiameterMessage, 'avps'>): number {
  let length = HEADER_LENGTH;
  for (const { vendorId, data } of avps) length += (vendorId === undefined ? 8 : 12) + ((data.length + 3) & ~3);
  return length;
}

/**
 * Encodes a message whose size is known to fit, see `lengthOf`. Throws RangeError if the size exceeds the 24-bit
 * length.
 */
export function encodeDiameter(message: DiameterMessage): Uint8Array {
  // The exact size avoids a copy of the octets, which may hold a key.
  const writer = new Writer(lengthOf(message));
  writer.u8(VERSION).u24(0).u8(message.flags).u24(message.commandCode).u32(message.applicationId);
  writer.u32(message.hopByHop).u32(message.endToEnd);
  for (const avp of message.avps) writeAvp(writer, avp);
  if (writer.length > 0xff_ffff) throw new RangeError(`a Diameter message of ${writer.length} octets`);
  return writer.patchU24(1, writer.length).finish();
}

export function writeAvp(writer: Writer, avp: Avp): void {
  const { vendorId, data } = avp;
  const vendor = vendorId === undefined ? 0 : AVP_FLAG.V;
  writer
    .u32(avp.code)
    .u8(avp.flags | vendor)
    .u24(data.length + (vendor ? 12 : 8));
  if (vendorId !== undefined) writer.u32(vendorId);
  writer.bytes(data).pad4();
}

/** Encodes the members of a group with their padding. */
export function encodeGroup(avps: readonly Avp[]): Uint8Array {
  // As in encodeDiameter, the exact size avoids copies.
  const writer = new Writer(lengthOf({ avps }) - HEADER_LENGTH);
  for (const avp of avps) writeAvp(writer, avp);
  return writer.finish();
}
