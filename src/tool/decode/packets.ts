import { formatAddress } from '../../protocol/bytes/address.js';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { Reader } from '../../protocol/bytes/reader.js';
import type { Frame } from './capture.js';
import { behindType, ipOf } from './link.js';
import { type SctpData, sctpData } from './sctp.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** The payload of UDP, TCP or SCTP in one frame. */
export type Packet = {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly payload: Uint8Array;
  /** Octets at the end of the payload that were not captured. */
  readonly cut: number;
} & (
  | { readonly protocol: 'udp' }
  | {
      readonly protocol: 'tcp';
      readonly sequence: number;
      readonly acknowledged: number | undefined;
      readonly syn: boolean;
    }
  | { readonly protocol: 'sctp'; readonly data: readonly SctpData[] }
);

/** Why a frame is skipped. `undefined`: its protocol carries neither PANA nor Diameter. */
export interface Skipped {
  readonly skipped: string | undefined;
}

const HOP_BY_HOP = 0;
const IPV4 = 4;
const TCP = 6;
const UDP = 17;
const IPV6 = 41;
const ROUTING = 43;
const FRAGMENT = 44;
const GRE = 47;
const ESP = 50;
const AH = 51;
const DESTINATION = 60;
const SCTP = 132;

/** Maximum nesting of tunnels. */
const MAX_DEPTH = 4;

const OTHER: Skipped = { skipped: undefined };
const FRAGMENTED: Skipped = { skipped: 'fragments of IP packets, which are not reassembled' };
const ENCRYPTED: Skipped = { skipped: 'ESP packets, which are encrypted' };

/** Returns the packet in a frame, or why the frame is skipped. */
export function packetOf(frame: Frame): Packet | Skipped {
  try {
    const ip = ipOf(frame);
    if (typeof ip === 'string') return { skipped: `frames of ${ip}, which is not supported` };
    return ip ? internet(frame.at, ip, 0) : OTHER;
  } catch (error) {
    if (error instanceof DecodeError) return OTHER;
    throw error;
  }
}

/** A body, and how many of its octets were not captured. */
interface Body {
  readonly reader: Reader;
  readonly cut: number;
}

/**
 * Reads a body. `length`: from the header. 0 means the rest of the frame, because the network card splits the packet
 * into segments.
 */
function bodyOf(reader: Reader, length: number): Body {
  const whole = length === 0 ? reader.remaining : length;
  const there = Math.min(whole, reader.remaining);
  return { reader: new Reader(reader.bytes(there)), cut: whole - there };
}

function internet(at: number, reader: Reader, depth: number): Packet | Skipped {
  if (depth > MAX_DEPTH) return OTHER;
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
    if (fragment & 0x3fff) return FRAGMENTED;
    return behind(at, protocol, { from, to }, bodyOf(reader, total === 0 ? 0 : Math.max(0, total - header)), depth);
  }
  if (first >> 4 !== 6) return OTHER;
  reader.skip(3);
  const length = reader.u16();
  const next = reader.u8();
  reader.skip(1);
  const from = formatAddress(reader.bytes(16));
  const to = formatAddress(reader.bytes(16));
  return behind(at, next, { from, to }, bodyOf(reader, length), depth);
}

interface Ends {
  readonly from: string;
  readonly to: string;
}

/** Reads what follows an IP header: extension headers, tunnels, and finally a transport. */
function behind(at: number, protocol: number, ends: Ends, body: Body, depth: number): Packet | Skipped {
  const { reader, cut } = body;
  switch (protocol) {
    case HOP_BY_HOP:
    case ROUTING:
    case DESTINATION: {
      const next = reader.u8();
      reader.skip(reader.u8() * 8 + 6);
      return behind(at, next, ends, body, depth);
    }
    case FRAGMENT: {
      const next = reader.u8();
      reader.skip(1);
      // Offset and M flag (RFC 8200 4.5). An atomic fragment has neither.
      const isPart = (reader.u16() & 0xfff9) !== 0;
      reader.skip(4);
      return isPart ? FRAGMENTED : behind(at, next, ends, body, depth);
    }
    case AH: {
      const next = reader.u8();
      // Length in units of four octets, minus two (RFC 4302 2.2).
      reader.skip((reader.u8() + 2) * 4 - 2);
      return behind(at, next, ends, body, depth);
    }
    case IPV4:
    case IPV6:
      return internet(at, reader, depth + 1);
    case GRE: {
      const flags = reader.u16();
      const type = reader.u16();
      // Checksum, key and sequence number (RFC 2784, RFC 2890).
      for (const flag of [0x8000, 0x2000, 0x1000]) if (flags & flag) reader.skip(4);
      const inner = behindType(type, reader);
      return inner ? internet(at, inner, depth + 1) : OTHER;
    }
    case ESP:
      return ENCRYPTED;
    case UDP:
    case TCP:
    case SCTP:
      return transport(at, protocol, ends, reader, cut);
    default:
      return OTHER;
  }
}

function transport(at: number, protocol: number, ends: Ends, reader: Reader, cut: number): Packet {
  const from = { address: ends.from, port: reader.u16() };
  const to = { address: ends.to, port: reader.u16() };
  if (protocol === UDP) {
    const length = Math.max(0, reader.u16() - 8);
    reader.skip(2);
    const payload = reader.bytes(Math.min(length, reader.remaining));
    return { at, protocol: 'udp', from, to, payload, cut: Math.min(cut, length - payload.length) };
  }
  if (protocol === SCTP) {
    reader.skip(8);
    const { data, missing } = sctpData(reader);
    return { at, protocol: 'sctp', from, to, payload: new Uint8Array(0), cut: missing, data };
  }
  const sequence = reader.u32();
  const acknowledgment = reader.u32();
  const header = (reader.u8() >> 4) * 4;
  const flags = reader.u8();
  reader.skip(header - 14);
  const acknowledged = flags & 0x10 ? acknowledgment : undefined;
  return { at, protocol: 'tcp', from, to, sequence, acknowledged, syn: (flags & 2) !== 0, payload: reader.rest(), cut };
}
