import { concat, fromHex } from '../../src/protocol/bytes/octets.js';

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

export function u32(value: number): Uint8Array {
  return concat(u16(value >>> 16), u16(value & 0xffff));
}

export const FROM = new Uint8Array(16).fill(0x20);
export const TO = new Uint8Array(16).fill(0x30);

export function ipv6(protocol: number, payload: Uint8Array, from: Uint8Array = FROM, to: Uint8Array = TO): Uint8Array {
  return concat(fromHex('60000000'), u16(payload.length), Uint8Array.of(protocol, 64), from, to, payload);
}

export function ipv4(protocol: number, payload: Uint8Array): Uint8Array {
  const header = concat(
    fromHex('4500'),
    u16(20 + payload.length),
    fromHex('00000000'),
    Uint8Array.of(64, protocol),
    u16(0),
  );
  return concat(header, Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 2), payload);
}

export function udp(payload: Uint8Array, port = 716): Uint8Array {
  return concat(u16(5000), u16(port), u16(payload.length + 8), u16(0), payload);
}

export interface TcpHeader {
  readonly from?: number;
  readonly to?: number;
  readonly flags?: number;
  readonly acknowledged?: number;
}

export const SYN = 2;
const PSH_ACK = 0x18;

export function tcp(sequence: number, payload: Uint8Array, header: TcpHeader = {}): Uint8Array {
  const { from = 5000, to = 3868, flags = PSH_ACK, acknowledged = 0 } = header;
  const numbers = concat(u16(from), u16(to), u32(sequence), u32(acknowledged));
  return concat(numbers, Uint8Array.of(5 << 4, flags), u16(0), u32(0), payload);
}

/** A DATA chunk of SCTP (RFC 9260 3.3.1); `flags`: 2 first fragment, 1 last. */
export function dataChunk(tsn: number, payload: Uint8Array, flags = 3): Uint8Array {
  const head = concat(Uint8Array.of(0, flags), u16(16 + payload.length), u32(tsn), u16(0), u16(0), u32(46));
  return concat(head, payload, new Uint8Array(-payload.length & 3));
}

/** An I-DATA chunk (RFC 8260 2.1): the fragment `part` of the message `number`. */
export function iDataChunk(tsn: number, number: number, part: number, payload: Uint8Array, flags = 3): Uint8Array {
  const place = concat(u16(0), u16(0), u32(number), u32(part === 0 ? 46 : part));
  const head = concat(Uint8Array.of(64, flags), u16(20 + payload.length), u32(tsn), place);
  return concat(head, payload, new Uint8Array(-payload.length & 3));
}

export function sctp(...chunks: readonly Uint8Array[]): Uint8Array {
  return concat(u16(3868), u16(3868), u32(1), u32(0), ...chunks);
}

export function ethernet(type: number, payload: Uint8Array): Uint8Array {
  return concat(new Uint8Array(12), u16(type), payload);
}

/** A pcap file, big-endian. */
export function pcap(linkType: number, frames: readonly Uint8Array[]): Uint8Array {
  const head = concat(u32(0xa1b2c3d4), u16(2), u16(4), u32(0), u32(0), u32(65_535), u32(linkType));
  return concat(
    head,
    ...frames.map((frame, i) => concat(u32(i), u32(500_000), u32(frame.length), u32(frame.length), frame)),
  );
}
