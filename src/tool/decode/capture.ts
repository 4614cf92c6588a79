import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { OctetQueue } from './octets.js';

/** A frame of a capture file. `at`: milliseconds since 1970. `missing`: octets at its end that were not captured. */
export interface Frame {
  readonly at: number;
  readonly linkType: number;
  readonly octets: Uint8Array;
  readonly missing: number;
}

/** Limit of a frame's size in octets: tcpdump's largest snapshot length. */
const MAX_FRAME = 262_144;

/** Limit of the size of a block that describes an interface or a section. */
const MAX_BLOCK = 65_536;

/** Limit of the interfaces of a section. Frames of further interfaces have no known link type. */
const MAX_INTERFACES = 65_536;

/** The last millisecond that a Date can hold. */
const LAST_TIME = 8.64e15;

/** The link type of a frame whose interface the file does not describe. */
export const NO_LINK_TYPE = -1;

/** Magic numbers of pcap: ticks per second, and octets of a frame's header (24 in the format of A. Kuznetzov). */
const PCAP = new Map([
  [0xa1b2c3d4, { perSecond: 1e6, header: 16 }],
  [0xa1b23c4d, { perSecond: 1e9, header: 16 }],
  [0xa1b2cd34, { perSecond: 1e6, header: 24 }],
]);

const FILE_HEADER = 24;
const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE = 1;
const OLD_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BLOCK_HEADER = 8;

/** Octets of the fields before the frame in a block, including the block's header. */
const FIELDS: Readonly<Record<number, number>> = { [OLD_PACKET]: 28, [SIMPLE_PACKET]: 12, [ENHANCED_PACKET]: 28 };

const OPTION_RESOLUTION = 9;
const OPTION_OFFSET = 14;

interface Interface {
  readonly linkType: number;
  readonly snapLength: number;
  readonly perSecond: number;
  /** Seconds to add to its times. */
  readonly offset: number;
}

/** Whether the octets begin with the magic number of a pcap or pcapng file. */
export function isCapture(octets: Uint8Array): boolean {
  if (octets.length < 4) return false;
  const view = viewOf(octets);
  return view.getUint32(0) === SECTION_HEADER || pcapOf(view) !== undefined;
}

/** Reads the frames of a pcap or pcapng file. Throws DecodeError. */
export function* readCapture(octets: Uint8Array): Generator<Frame> {
  const reader = new CaptureReader();
  yield* reader.push(octets);
  reader.end();
}

type Format =
  | { readonly type: 'unknown' }
  | {
      readonly type: 'pcap';
      readonly little: boolean;
      readonly perSecond: number;
      readonly header: number;
      readonly linkType: number;
    }
  | { readonly type: 'pcapng'; little: boolean; interfaces: Interface[] };

/**
 * Reads the frames of a pcap or pcapng file that arrives in pieces. Holds at most one frame. The frames are views, valid
 * until the next piece.
 */
export class CaptureReader {
  readonly #queue = new OctetQueue();
  #format: Format = { type: 'unknown' };
  /** Octets before the queue. */
  #before = 0;
  /** Octets to ignore: the rest of a block that contains no frame. */
  #skip = 0;
  /** The time of the last frame, which a Simple Packet Block takes over, because it has none. */
  #time = 0;

  /** Returns the frames that the piece completes. Throws DecodeError if the file is damaged. */
  *push(piece: Uint8Array): Generator<Frame> {
    this.#queue.push(piece);
    for (;;) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, this.#queue.length);
        this.#skip -= skipped;
        this.#take(skipped);
        if (this.#skip > 0) return;
      }
      const octets = this.#queue.octets;
      const used = this.#format.type === 'pcapng' ? this.#block(octets) : this.#record(octets);
      if (used === undefined) return;
      if (used.frame) yield used.frame;
      this.#take(used.length);
    }
  }

  /** Throws DecodeError if the file ends within a frame. */
  end(): void {
    if (this.#queue.length > 0 || this.#skip > 0) {
      throw new DecodeError('truncated', this.#before, 'the capture ends within a frame');
    }
  }

  #take(length: number): void {
    this.#queue.skip(length);
    this.#before += length;
  }

  #record(octets: Uint8Array): Used | undefined {
    const view = viewOf(octets);
    const format = this.#format;
    if (format.type !== 'pcap') return this.#begin(view);
    const { little, perSecond, header, linkType } = format;
    if (octets.length < header) return undefined;
    const captured = this.#length(view.getUint32(8, little));
    if (octets.length < header + captured) return undefined;
    const at = (view.getUint32(0, little) + view.getUint32(4, little) / perSecond) * 1000;
    const missing = Math.max(0, view.getUint32(12, little) - captured);
    return {
      length: header + captured,
      frame: this.#frame(at, linkType, octets.subarray(header, header + captured), missing),
    };
  }

  /** Recognizes the format. */
  #begin(view: DataView): Used | undefined {
    if (view.byteLength < 4) return undefined;
    if (view.getUint32(0) === SECTION_HEADER) {
      this.#format = { type: 'pcapng', little: false, interfaces: [] };
      return { length: 0 };
    }
    const found = pcapOf(view);
    if (!found) throw new DecodeError('bad-value', 0, 'not a capture file');
    if (view.byteLength < FILE_HEADER) return undefined;
    // The highest bits are the length of the frame check sequence.
    this.#format = { type: 'pcap', ...found, linkType: view.getUint32(20, found.little) & 0x03ff_ffff };
    return { length: FILE_HEADER };
  }

  #block(octets: Uint8Array): Used | undefined {
    const format = this.#format;
    if (format.type !== 'pcapng' || octets.length < 12) return undefined;
    const view = viewOf(octets);
    const type = view.getUint32(0, format.little);
    if (type === SECTION_HEADER) {
      const order = view.getUint32(8);
      format.little = order !== BYTE_ORDER;
      if (format.little && view.getUint32(8, true) !== BYTE_ORDER) {
        throw new DecodeError('bad-value', this.#before + 8, 'the byte order of a section');
      }
      format.interfaces = [];
    }
    const { little, interfaces } = format;
    const length = view.getUint32(4, little);
    if (length < 12 || length % 4 !== 0) throw this.#badBlock(length);
    const fields = FIELDS[type];
    if (fields === undefined && type !== INTERFACE) return this.#ignore(length);
    const end = length - 4;
    if (fields === undefined ? end > MAX_BLOCK : end > MAX_FRAME + MAX_BLOCK) throw this.#badBlock(length);
    if (octets.length < length) return undefined;
    if (fields === undefined) {
      if (end < BLOCK_HEADER + 8) throw this.#badBlock(length);
      if (interfaces.length < MAX_INTERFACES) interfaces.push(interfaceOf(view, end, little));
      return { length };
    }
    if (end < fields) throw this.#badBlock(length);
    return { length, frame: this.#packet(type, view, little, interfaces, octets.subarray(fields, end)) };
  }

  #packet(type: number, view: DataView, little: boolean, interfaces: readonly Interface[], room: Uint8Array): Frame {
    const number =
      type === ENHANCED_PACKET ? view.getUint32(8, little) : type === OLD_PACKET ? view.getUint16(8, little) : 0;
    const from = interfaces[number];
    if (type === SIMPLE_PACKET) {
      const whole = view.getUint32(8, little);
      const snapLength = from?.snapLength || whole;
      const captured = Math.min(whole, snapLength, room.length);
      return this.#frame(this.#time, linkTypeOf(from), room.subarray(0, captured), whole - captured);
    }
    const captured = this.#length(view.getUint32(20, little));
    if (captured > room.length) throw new DecodeError('bad-length', this.#before, `a frame of ${captured} octets`);
    const missing = Math.max(0, view.getUint32(24, little) - captured);
    const ticks = view.getUint32(12, little) * 2 ** 32 + view.getUint32(16, little);
    const at = (ticks / (from?.perSecond ?? 1e6) + (from?.offset ?? 0)) * 1000;
    return this.#frame(at, linkTypeOf(from), room.subarray(0, captured), missing);
  }

  #frame(at: number, linkType: number, octets: Uint8Array, missing: number): Frame {
    this.#time = Math.min(Math.max(at, -LAST_TIME), LAST_TIME);
    return { at: this.#time, linkType, octets, missing };
  }

  #ignore(length: number): Used {
    this.#skip = length;
    return { length: 0 };
  }

  #length(length: number): number {
    if (length > MAX_FRAME) throw new DecodeError('bad-length', this.#before, `a frame of ${length} octets`);
    return length;
  }

  #badBlock(length: number): DecodeError {
    return new DecodeError('bad-length', this.#before, `a block of ${length} octets`);
  }
}

interface Used {
  readonly length: number;
  readonly frame?: Frame;
}

function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}

function pcapOf(
  view: DataView,
): { readonly little: boolean; readonly perSecond: number; readonly header: number } | undefined {
  for (const little of [false, true]) {
    const found = PCAP.get(view.getUint32(0, little));
    if (found) return { little, ...found };
  }
  return undefined;
}

function linkTypeOf(from: Interface | undefined): number {
  return from ? from.linkType : NO_LINK_TYPE;
}

/** An Interface Description Block. `end`: where its options end. */
function interfaceOf(view: DataView, end: number, little: boolean): Interface {
  const linkType = view.getUint16(8, little);
  const snapLength = view.getUint32(12, little);
  let perSecond = 1e6;
  let offset = 0;
  for (let at = 16; at + 4 <= end; ) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    const value = at + 4;
    if (code === 0 || value + length > end) break;
    if (code === OPTION_RESOLUTION && length === 1) {
      const exponent = view.getUint8(value);
      perSecond = exponent & 0x80 ? 2 ** (exponent & 0x7f) : 10 ** exponent;
    } else if (code === OPTION_OFFSET && length === 8) {
      offset = Number(view.getBigInt64(value, little));
    }
    at = value + ((length + 3) & ~3);
  }
  return { linkType, snapLength, perSecond, offset };
}
