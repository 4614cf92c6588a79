import { DecodeError } from '../../protocol/bytes/decode-error.js';

/** A frame of a capture file. `at`: milliseconds since 1970. */
export interface Frame {
  readonly at: number;
  readonly linkType: number;
  readonly octets: Uint8Array;
}

/** Limit of a frame's size in octets: tcpdump's largest snapshot length. */
const MAX_FRAME = 262_144;

const PCAP_MICROSECONDS = 0xa1b2c3d4;
const PCAP_NANOSECONDS = 0xa1b23c4d;
const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE = 1;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const OPTION_RESOLUTION = 9;

/** Whether the octets begin with the magic number of a pcap or pcapng file. */
export function isCapture(octets: Uint8Array): boolean {
  if (octets.length < 24) return false;
  const view = new DataView(octets.buffer, octets.byteOffset);
  return view.getUint32(0) === SECTION_HEADER || pcapOrder(view) !== undefined;
}

/** Reads the frames of a pcap or pcapng file. Throws DecodeError. */
export function* readCapture(octets: Uint8Array): Generator<Frame> {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  if (view.getUint32(0) === SECTION_HEADER) yield* readPcapng(octets, view);
  else yield* readPcap(octets, view);
}

function pcapOrder(view: DataView): { readonly little: boolean; readonly perSecond: number } | undefined {
  for (const little of [false, true]) {
    const magic = view.getUint32(0, little);
    if (magic === PCAP_MICROSECONDS) return { little, perSecond: 1e6 };
    if (magic === PCAP_NANOSECONDS) return { little, perSecond: 1e9 };
  }
  return undefined;
}

function* readPcap(octets: Uint8Array, view: DataView): Generator<Frame> {
  const order = pcapOrder(view);
  if (!order) throw new DecodeError('bad-value', 0, 'not a capture file');
  const { little, perSecond } = order;
  const linkType = view.getUint32(20, little) & 0x0fff_ffff;
  for (let at = 24; at < octets.length; ) {
    if (at + 16 > octets.length) throw new DecodeError('truncated', at, 'a frame header');
    const seconds = view.getUint32(at, little);
    const fraction = view.getUint32(at + 4, little);
    const length = view.getUint32(at + 8, little);
    const frame = slice(octets, at + 16, length);
    yield { at: (seconds + fraction / perSecond) * 1000, linkType, octets: frame };
    at += 16 + length;
  }
}

function slice(octets: Uint8Array, at: number, length: number): Uint8Array {
  if (length > MAX_FRAME) throw new DecodeError('bad-length', at, `a frame of ${length} octets`);
  if (at + length > octets.length) throw new DecodeError('truncated', at, `a frame of ${length} octets`);
  return octets.slice(at, at + length);
}

function* readPcapng(octets: Uint8Array, view: DataView): Generator<Frame> {
  let little = false;
  let interfaces: { readonly linkType: number; readonly perSecond: number }[] = [];
  for (let at = 0; at + 12 <= octets.length; ) {
    const type = view.getUint32(at, little);
    if (type === SECTION_HEADER) {
      little = view.getUint32(at + 8, true) === BYTE_ORDER;
      interfaces = [];
    }
    const length = view.getUint32(at + 4, little);
    if (length < 12 || length % 4 !== 0 || at + length > octets.length) {
      throw new DecodeError('bad-length', at, `a block of ${length} octets`);
    }
    const body = new DataView(octets.buffer, octets.byteOffset + at + 8, length - 12);
    if (type === INTERFACE) {
      interfaces.push({ linkType: body.getUint16(0, little), perSecond: resolution(body, little) });
    } else if (type === ENHANCED_PACKET) {
      const from = interfaces[body.getUint32(0, little)] ?? { linkType: 1, perSecond: 1e6 };
      const ticks = body.getUint32(4, little) * 2 ** 32 + body.getUint32(8, little);
      const frame = slice(octets, at + 28, body.getUint32(12, little));
      yield { at: (ticks / from.perSecond) * 1000, linkType: from.linkType, octets: frame };
    } else if (type === SIMPLE_PACKET) {
      const frame = slice(octets, at + 12, Math.min(body.getUint32(0, little), length - 16));
      yield { at: 0, linkType: interfaces[0]?.linkType ?? 1, octets: frame };
    }
    at += length;
  }
}

/** Timestamp ticks per second of an interface: option if_tsresol, by default microseconds. */
function resolution(body: DataView, little: boolean): number {
  for (let at = 8; at + 4 <= body.byteLength; ) {
    const code = body.getUint16(at, little);
    const length = body.getUint16(at + 2, little);
    if (code === 0) break;
    if (code === OPTION_RESOLUTION && length === 1) {
      const value = body.getUint8(at + 4);
      return value & 0x80 ? 2 ** (value & 0x7f) : 10 ** value;
    }
    at += 4 + ((length + 3) & ~3);
  }
  return 1e6;
}
