import { DecodeError } from '../bytes/decode-error.js';
import { Reader } from '../bytes/reader.js';
import { Writer } from '../bytes/writer.js';

/** RFC 3748 4: Code. */
export const EAP_CODE = { REQUEST: 1, RESPONSE: 2, SUCCESS: 3, FAILURE: 4 } as const;

/** RFC 3748 5, RFC 5216: Type. */
export const EAP_TYPE = { IDENTITY: 1, NOTIFICATION: 2, NAK: 3, EAP_TLS: 13, EXPANDED: 254 } as const;

/** An EAP packet, RFC 3748 4. Code and type may be unknown values. */
export type EapPacket =
  | { readonly code: 1 | 2; readonly identifier: number; readonly type: number; readonly data: Uint8Array }
  | { readonly code: number; readonly identifier: number; readonly type: undefined; readonly data: Uint8Array };

/*
 *  +---------------+---------------+-------------------------------+
 *  |     Code      |  Identifier   |            Length             |
 *  +---------------+---------------+-------------------------------+
 *  |     Type      |  Type-Data ...   with Request and Response only
 */

/**
 * Decodes the packet at the start of the octets. Octets after its Length are padding of the lower layer (RFC 3748 4.1).
 * Throws DecodeError.
 */
export function decodeEap(octets: Uint8Array): EapPacket {
  const reader = new Reader(octets);
  const code = reader.u8();
  const identifier = reader.u8();
  const length = reader.u16();
  if (length < 4) throw new DecodeError('bad-length', 2, `EAP Length ${length}`);
  if (length > octets.length) throw new DecodeError('truncated', 2, `EAP Length ${length} of ${octets.length}`);
  if (code === EAP_CODE.REQUEST || code === EAP_CODE.RESPONSE) {
    if (length < 5) throw new DecodeError('bad-length', 2, 'no EAP Type');
    const type = reader.u8();
    return { code, identifier, type, data: reader.bytes(length - 5) };
  }
  if ((code === EAP_CODE.SUCCESS || code === EAP_CODE.FAILURE) && length !== 4) {
    throw new DecodeError('bad-length', 2, `Success or Failure of ${length} octets`);
  }
  return { code, identifier, type: undefined, data: reader.bytes(length - 4) };
}

export function encodeEap(packet: EapPacket): Uint8Array {
  const { code, identifier, type, data } = packet;
  const length = data.length + (type === undefined ? 4 : 5);
  if (length > 0xffff) throw new RangeError(`an EAP packet of ${length} octets: 65535 at most`);
  const writer = new Writer(length).u8(code).u8(identifier).u16(length);
  if (type !== undefined) writer.u8(type);
  return writer.bytes(data).finish();
}
