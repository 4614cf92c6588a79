import { DecodeError } from '../bytes/decode-error.js';
import { Reader } from '../bytes/reader.js';
import { Writer } from '../bytes/writer.js';

/** Command flags, RFC 6733 3: request, proxiable, error, potentially retransmitted. */
export const FLAG = { R: 0x80, P: 0x40, E: 0x20, T: 0x10 } as const;

/** AVP flags, RFC 6733 4.1: vendor, mandatory, protected. */
export const AVP_FLAG = { V: 0x80, M: 0x40, P: 0x20 } as const;

export const HEADER_LENGTH = 20;
const VERSION = 1;

/** AVPs in one message or group; a DER or DEA has about 20. */
export const MAX_AVPS = 512;
/** Groups within groups. */
export const MAX_NESTING = 8;

/** An AVP as it travels. `flags` without V, which is set when there is a Vendor-Id. */
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

/** Message Length of the header that these octets begin with; undefined if there are fewer than four. */
export function messageLength(octets: Uint8Array): number | undefined {
  if (octets.length < 4) return undefined;
  return ((octets[1] ?? 0) << 16) | ((octets[2] ?? 0) << 8) | (octets[3] ?? 0);
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

/** The header of a whole message, for those whose AVPs cannot be read. Throws DecodeError. */
export function decodeHeader(octets: Uint8Array): DiameterHeader {
  const reader = new Reader(octets);
  const version = reader.u8();
  const length = reader.u24();
  const flags = reader.u8();
  const commandCode = reader.u24();
  const applicationId = reader.u32();
  const hopByHop = reader.u32();
  const endToEnd = reader.u32();
  if (version !== VERSION) throw new DecodeError('bad-version', 0, `version ${version}`);
  if (length < HEADER_LENGTH || length % 4 !== 0) throw new DecodeError('bad-length', 1, `Message Length ${length}`);
  return { flags, commandCode, applicationId, hopByHop, endToEnd };
}

/** The message in exactly these octets, RFC 6733 3 and 4. Throws DecodeError. */
export function decodeDiameter(octets: Uint8Array): DiameterMessage {
  const header = decodeHeader(octets);
  const length = messageLength(octets) ?? 0;
  if (length > octets.length) throw new DecodeError('truncated', 1, `Message Length ${length} of ${octets.length}`);
  if (length < octets.length) throw new DecodeError('leftover', length, `${octets.length - length} octets`);
  const avps = readAvps(new Reader(octets.subarray(HEADER_LENGTH), HEADER_LENGTH));
  return { ...header, avps };
}

/** AVPs up to the end of the reader. */
export function readAvps(reader: Reader): Avp[] {
  const avps: Avp[] = [];
  while (reader.remaining > 0) {
    if (avps.length === MAX_AVPS) throw new DecodeError('too-many', reader.at, `more than ${MAX_AVPS} AVPs`);
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
  const data = reader.bytes(length - header);
  reader.skip(-length & 3);
  return { code, flags: flags & ~AVP_FLAG.V, vendorId, data };
}

/** Octets of a message. RangeError over the 24-bit length. */
export function encodeDiameter(message: DiameterMessage): Uint8Array {
  const writer = new Writer(1024);
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

/** Data of a group: its members with their padding. */
export function encodeGroup(avps: readonly Avp[]): Uint8Array {
  const writer = new Writer();
  for (const avp of avps) writeAvp(writer, avp);
  return writer.finish();
}
