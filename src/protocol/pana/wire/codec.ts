import { DecodeError } from '../../bytes/decode-error.js';
import { Reader } from '../../bytes/reader.js';
import { Writer } from '../../bytes/writer.js';

/** Message flags, RFC 5191 6.2, and E of RFC 5873. */
export const FLAG = { R: 0x8000, S: 0x4000, C: 0x2000, A: 0x1000, P: 0x0800, I: 0x0400, E: 0x0200 } as const;

/** Message types, RFC 5191 7 and RFC 6345 4.1. */
export const MESSAGE_TYPE = { PCI: 1, AUTH: 2, TERMINATION: 3, NOTIFICATION: 4, RELAY: 5 } as const;

export const HEADER_LENGTH = 16;

/** Maximum number of AVPs in a message. Otherwise a message of 65,535 octets could hold 8,190 empty ones. */
export const MAX_AVPS = 128;

const AVP_VENDOR_FLAG = 0x8000;

/** An encoded AVP, RFC 5191 6.3. `flags`: all bits except V, which is set if there is a Vendor-Id. */
export interface PanaAvp {
  readonly code: number;
  readonly flags: number;
  readonly vendorId: number | undefined;
  readonly value: Uint8Array;
}

/** A PANA message, RFC 5191 6.2. All numbers are unsigned; `flags` and `type` have 16 bits, the others 32. */
export interface PanaMessage {
  readonly flags: number;
  readonly type: number;
  readonly sessionId: number;
  readonly sequence: number;
  readonly avps: readonly PanaAvp[];
}

/*
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-------------------------------+-------------------------------+
 *  |        Reserved (0)           |  Message Length, with padding |
 *  +-------------------------------+-------------------------------+
 *  |R S C A P I E r r r r r r r r r|         Message Type          |
 *  +-------------------------------+-------------------------------+
 *  |                      Session Identifier                       |
 *  +---------------------------------------------------------------+
 *  |                       Sequence Number                         |
 *  +---------------------------------------------------------------+
 *  |  AVPs ...
 */

/**
 * Decodes a message that fills these octets exactly. Reserved fields are ignored (RFC 5191 6.2). Throws DecodeError.
 */
export function decodePana(octets: Uint8Array): PanaMessage {
  const reader = new Reader(octets);
  reader.skip(2);
  const length = reader.u16();
  const flags = reader.u16();
  const type = reader.u16();
  const sessionId = reader.u32();
  const sequence = reader.u32();
  if (length < HEADER_LENGTH) throw new DecodeError('bad-length', 2, `Message Length ${length}`);
  const avps = reader.block(length - HEADER_LENGTH, readAvps);
  reader.done();
  return { flags, type, sessionId, sequence, avps };
}

/** Reads AVPs up to the end of the reader, RFC 5191 6.3. */
export function readAvps(reader: Reader): PanaAvp[] {
  const avps: PanaAvp[] = [];
  while (reader.remaining > 0) {
    if (avps.length === MAX_AVPS) throw new DecodeError('too-many', reader.at, `more than ${MAX_AVPS} AVPs`);
    avps.push(readAvp(reader, reader.u16()));
  }
  return avps;
}

/** Reads AVPs that are padded with zeros to the end of the reader: no AVP has the code 0. */
export function readAvpsBeforeZeros(reader: Reader): PanaAvp[] {
  const avps: PanaAvp[] = [];
  while (reader.remaining > 0) {
    const { at } = reader;
    const code = reader.u16();
    if (code === 0) {
      if (reader.rest().some((octet) => octet !== 0)) throw new DecodeError('leftover', at, 'padding that is not zero');
      break;
    }
    if (avps.length === MAX_AVPS) throw new DecodeError('too-many', at, `more than ${MAX_AVPS} AVPs`);
    avps.push(readAvp(reader, code));
  }
  return avps;
}

/*
 *  +-------------------------------+-------------------------------+
 *  |           AVP Code            |V r r r r r r r r r r r r r r r|
 *  +-------------------------------+-------------------------------+
 *  |  AVP Length, of Value alone   |         Reserved (0)          |
 *  +-------------------------------+-------------------------------+
 *  |                 Vendor-Id, only with V                        |
 *  +---------------------------------------------------------------+
 *  |  Value, padded to a multiple of four octets ...
 */
function readAvp(reader: Reader, code: number): PanaAvp {
  const flags = reader.u16();
  const length = reader.u16();
  reader.skip(2);
  const vendorId = flags & AVP_VENDOR_FLAG ? reader.u32() : undefined;
  const value = reader.bytes(length);
  reader.skip(-length & 3);
  return { code, flags: flags & ~AVP_VENDOR_FLAG, vendorId, value };
}

/** Maximum size of a message in octets. The 16-bit length allows more, but a UDP datagram over IPv4 does not. */
export const MAX_MESSAGE = 65_507;

/** Encoded length of these AVPs in octets. */
export function lengthOf(avps: readonly PanaAvp[]): number {
  let length = 0;
  for (const { vendorId, value } of avps) length += (vendorId === undefined ? 8 : 12) + ((value.length + 3) & ~3);
  return length;
}

/** Encodes a message whose size is known to fit. Throws RangeError if it exceeds MAX_MESSAGE; see `tryEncodePana`. */
export function encodePana(message: PanaMessage): Uint8Array {
  const octets = tryEncodePana(message);
  if (!octets) throw new RangeError(`a PANA message of more than ${MAX_MESSAGE} octets`);
  return octets;
}

/** Encodes a message; undefined if it exceeds MAX_MESSAGE. */
function tryEncodePana(message: PanaMessage): Uint8Array | undefined {
  if (HEADER_LENGTH + lengthOf(message.avps) > MAX_MESSAGE) return undefined;
  const writer = new Writer();
  writer.u16(0).u16(0).u16(message.flags).u16(message.type).u32(message.sessionId).u32(message.sequence);
  for (const avp of message.avps) writeAvp(writer, avp);
  return writer.patchU16(2, writer.length).finish();
}

export function writeAvp(writer: Writer, avp: PanaAvp): void {
  const { vendorId, value } = avp;
  writer.u16(avp.code).u16(avp.flags | (vendorId === undefined ? 0 : AVP_VENDOR_FLAG));
  writer.u16(value.length).u16(0);
  if (vendorId !== undefined) writer.u32(vendorId);
  writer.bytes(value).pad4();
}
