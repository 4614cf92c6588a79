import { DecodeError } from '../bytes/decode-error.js';
import { Reader } from '../bytes/reader.js';
import { Writer } from '../bytes/writer.js';

/** RFC 5216 3.1: flags. */
const LENGTH_INCLUDED = 0x80;
const MORE_FRAGMENTS = 0x40;
const START = 0x20;

/** Type-Data of an EAP-TLS packet, RFC 5216 3.1 and 3.2. `total`: TLS Message Length in octets. */
export interface EapTlsData {
  readonly start: boolean;
  readonly more: boolean;
  readonly total: number | undefined;
  readonly fragment: Uint8Array;
}

/** A packet without data, which acknowledges a fragment or the last flight. */
export const ACKNOWLEDGEMENT: EapTlsData = { start: false, more: false, total: undefined, fragment: new Uint8Array(0) };

/*
 *  +---------------+-----------------------------------------------+
 *  |L M S R R R R R|  TLS Message Length, four octets, only with L |
 *  +---------------+-----------------------------------------------+
 *  |  TLS records ...
 */
export function decodeEapTls(octets: Uint8Array): EapTlsData {
  const reader = new Reader(octets);
  const flags = reader.u8();
  const total = flags & LENGTH_INCLUDED ? reader.u32() : undefined;
  const fragment = reader.rest();
  if (total !== undefined && total < fragment.length)
    throw new DecodeError('bad-length', 1, `TLS Message Length ${total}`);
  return { start: (flags & START) !== 0, more: (flags & MORE_FRAGMENTS) !== 0, total, fragment };
}

export function encodeEapTls(data: EapTlsData): Uint8Array {
  const { start, more, total, fragment } = data;
  const length = total === undefined ? 0 : LENGTH_INCLUDED;
  const writer = new Writer(fragment.length + 5).u8(length | (more ? MORE_FRAGMENTS : 0) | (start ? START : 0));
  if (total !== undefined) writer.u32(total);
  return writer.bytes(fragment).finish();
}
