import { formatAddress } from '../../protocol/bytes/address.js';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { Reader } from '../../protocol/bytes/reader.js';
import type { Frame } from './capture.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What UDP or TCP carried in one frame. */
export interface Packet {
  readonly at: number;
  readonly protocol: 'udp' | 'tcp';
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** TCP only. */
  readonly sequence: number;
  readonly payload: Uint8Array;
}

const UDP = 17;
const TCP = 6;
const IPV6_EXTENSIONS = new Set([0, 43, 60]);

/** Octets in front of the IP header, by link type (LINKTYPE_… of tcpdump.org). */
const LINK_HEADERS: Readonly<Record<number, number>> = {
  0: 4,
  1: 14,
  12: 0,
  101: 0,
  108: 4,
  113: 16,
  228: 0,
  229: 0,
  276: 20,
};
const ETHERNET = 1;
const VLAN = 0x8100;

/** The UDP or TCP packet in a frame; undefined for anything else, fragments included. */
export function packetOf({ at, linkType, octets }: Frame): Packet | undefined {
  const header = LINK_HEADERS[linkType];
  if (header === undefined) return undefined;
  try {
    const reader = new Reader(octets);
    reader.skip(header);
    if (linkType === ETHERNET && ((octets[12] ?? 0) << 8) + (octets[13] ?? 0) === VLAN) reader.skip(4);
    return internet(at, reader);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function internet(at: number, reader: Reader): Packet | undefined {
  const first = reader.u8();
  if (first >> 4 === 4) {
    reader.skip(1);
    const total = reader.u16();
    reader.skip(2);
    const fragment = reader.u16();
    reader.skip(1);
    const protocol = reader.u8();
    reader.skip(2);
    const from = formatAddress(reader.bytes(4));
    const to = formatAddress(reader.bytes(4));
    const header = (first & 15) * 4;
    reader.skip(header - 20);
    // A later fragment has no ports.
    if (fragment & 0x1fff) return undefined;
    return transport(at, protocol, from, to, new Reader(reader.bytes(Math.min(total - header, reader.remaining))));
  }
  if (first >> 4 !== 6) return undefined;
  reader.skip(3);
  const length = reader.u16();
  let next = reader.u8();
  reader.skip(1);
  const from = formatAddress(reader.bytes(16));
  const to = formatAddress(reader.bytes(16));
  const body = new Reader(reader.bytes(Math.min(length, reader.remaining)));
  while (IPV6_EXTENSIONS.has(next)) {
    next = body.u8();
    body.skip(body.u8() * 8 + 6);
  }
  return transport(at, next, from, to, body);
}

function transport(at: number, protocol: number, from: string, to: string, reader: Reader): Packet | undefined {
  if (protocol !== UDP && protocol !== TCP) return undefined;
  const ports = [reader.u16(), reader.u16()] as const;
  const ends = { from: { address: from, port: ports[0] }, to: { address: to, port: ports[1] } };
  if (protocol === UDP) {
    const length = reader.u16();
    reader.skip(2);
    return { at, protocol: 'udp', ...ends, sequence: 0, payload: reader.bytes(Math.min(length - 8, reader.remaining)) };
  }
  const sequence = reader.u32();
  reader.skip(4);
  const header = (reader.u8() >> 4) * 4;
  reader.skip(header - 13);
  return { at, protocol: 'tcp', ...ends, sequence, payload: reader.rest() };
}

/** Segments that wait for one that is missing; more of them mean that it was never captured. */
const MAX_WAITING = 256;

/** One direction of a TCP connection put in order: what it carried so far, less what was taken. */
export class TcpStream {
  #next: number | undefined;
  readonly #waiting = new Map<number, Uint8Array>();
  #octets = new Uint8Array(0);

  /** Octets in order that were not taken yet. */
  get octets(): Uint8Array {
    return this.#octets;
  }

  push({ sequence, payload }: Packet): void {
    if (payload.length === 0) return;
    this.#next ??= sequence;
    this.#waiting.set(sequence, payload);
    if (this.#waiting.size > MAX_WAITING) this.#next = Math.min(...this.#waiting.keys());
    for (let moved = true; moved; ) {
      moved = false;
      for (const [from, segment] of this.#waiting) {
        // Sequence numbers wrap: a difference in the upper half lies behind.
        const behind = (this.#next - from) >>> 0;
        if (behind > 0x7fff_ffff) continue;
        this.#waiting.delete(from);
        if (behind >= segment.length) continue;
        const fresh = segment.subarray(behind);
        const joined = new Uint8Array(this.#octets.length + fresh.length);
        joined.set(this.#octets);
        joined.set(fresh, this.#octets.length);
        this.#octets = joined;
        this.#next = (this.#next + fresh.length) >>> 0;
        moved = true;
      }
    }
  }

  take(length: number): Uint8Array {
    const taken = this.#octets.slice(0, length);
    this.#octets = this.#octets.slice(length);
    return taken;
  }

  /** Forgets what cannot be made sense of. */
  drop(): void {
    this.#octets = new Uint8Array(0);
  }
}
