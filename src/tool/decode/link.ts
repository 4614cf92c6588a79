import { Reader } from '../../protocol/bytes/reader.js';
import type { Frame } from './capture.js';

/**
 * The headers before the IP header, by link type (LINKTYPE_… of tcpdump.org): how many octets to skip, or how to find
 * the IP header.
 */
const LINKS: Readonly<Record<number, { readonly name: string; readonly ip: (frame: Reader) => Reader | undefined }>> = {
  0: { name: 'BSD loopback', ip: skip(4) },
  1: { name: 'Ethernet', ip: ethernet },
  9: { name: 'PPP', ip: ppp },
  12: { name: 'raw IP', ip: skip(0) },
  14: { name: 'raw IP', ip: skip(0) },
  50: { name: 'PPP', ip: ppp },
  51: { name: 'PPPoE', ip: pppoe },
  101: { name: 'raw IP', ip: skip(0) },
  108: { name: 'OpenBSD loopback', ip: skip(4) },
  109: { name: 'OpenBSD enc', ip: skip(12) },
  113: { name: 'Linux cooked', ip: (frame) => byType(frame, 14, 16) },
  117: { name: 'pflog', ip: pflog },
  228: { name: 'IPv4', ip: skip(0) },
  229: { name: 'IPv6', ip: skip(0) },
  239: { name: 'nflog', ip: nflog },
  276: { name: 'Linux cooked v2', ip: (frame) => byType(frame, 0, 20) },
};

/** Names of unsupported link types, for messages. */
const OTHERS: Readonly<Record<number, string>> = {
  6: 'Token Ring',
  10: 'FDDI',
  105: 'IEEE 802.11',
  119: 'Prism',
  127: 'radiotap',
  189: 'USB',
  192: 'PPI',
  195: 'IEEE 802.15.4',
  220: 'USB',
  230: 'IEEE 802.15.4',
};

const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const VLAN = new Set([0x8100, 0x88a8, 0x9100]);
const PPPOE_SESSION = 0x8864;
const MPLS = new Set([0x8847, 0x8848]);
const TRANSPARENT_ETHERNET = 0x6558;

/** Maximum nesting of VLAN tags, labels and the like. */
const MAX_TAGS = 8;

/**
 * Finds the IP packet in a frame. Returns a reader at its header, undefined for another protocol, or a text for an
 * unsupported link type. Throws DecodeError if the frame is too short.
 */
export function ipOf({ linkType, octets }: Frame): Reader | string | undefined {
  const link = LINKS[linkType];
  if (link) return link.ip(new Reader(octets));
  const name = OTHERS[linkType];
  return `link type ${linkType}${name === undefined ? '' : ` (${name})`}`;
}

/** Finds the IP packet behind the header of the protocol that an EtherType names. GRE uses the same types. */
export function behindType(type: number, reader: Reader): Reader | undefined {
  return behind(type, reader, 0);
}

function behind(type: number, reader: Reader, depth: number): Reader | undefined {
  if (depth > MAX_TAGS) return undefined;
  if (type === IPV4 || type === IPV6) return reader;
  if (type === PPPOE_SESSION) return pppoe(reader);
  if (type === TRANSPARENT_ETHERNET) return ethernet(reader);
  if (MPLS.has(type)) return mpls(reader);
  if (!VLAN.has(type)) return undefined;
  reader.skip(2);
  return behind(reader.u16(), reader, depth + 1);
}

function skip(octets: number): (frame: Reader) => Reader {
  return (frame) => {
    frame.skip(octets);
    return frame;
  };
}

function ethernet(frame: Reader): Reader | undefined {
  frame.skip(12);
  return behindType(frame.u16(), frame);
}

/** Reads a header of `length` octets with an EtherType at offset `at`. */
function byType(frame: Reader, at: number, length: number): Reader | undefined {
  frame.skip(at);
  const type = frame.u16();
  frame.skip(length - at - 2);
  return behindType(type, frame);
}

/** RFC 1661, RFC 1662: address and control may be absent, and the protocol may have one octet. */
function ppp(frame: Reader): Reader | undefined {
  let first = frame.u8();
  if (first === 0xff) {
    frame.skip(1);
    first = frame.u8();
  }
  const protocol = first & 1 ? first : first * 256 + frame.u8();
  return protocol === 0x21 || protocol === 0x57 ? frame : undefined;
}

/** RFC 2516 4: version, code, session, length. */
function pppoe(frame: Reader): Reader | undefined {
  frame.skip(6);
  return ppp(frame);
}

/** RFC 3032 2.1: labels up to the one with the S bit. */
function mpls(frame: Reader): Reader {
  while ((frame.u32() & 0x100) === 0);
  return frame;
}

/** pf's log: the first octet is the length of the header without its padding to four octets. */
function pflog(frame: Reader): Reader {
  const length = frame.u8();
  frame.skip(((length + 3) & ~3) - 1);
  return frame;
}

const NFLOG_PAYLOAD = 9;

/** nflog: TLVs in the byte order of the capturing host. */
function nflog(frame: Reader): Reader | undefined {
  frame.skip(4);
  while (frame.remaining >= 4) {
    const [length, type] = hostOrder(frame.u16(), frame.u16(), frame.remaining + 4);
    if (length < 4) return undefined;
    if (type === NFLOG_PAYLOAD) return new Reader(frame.bytes(Math.min(length - 4, frame.remaining)));
    frame.skip(Math.min((length - 4 + 3) & ~3, frame.remaining));
  }
  return undefined;
}

/** Swaps the octets of length and type if the two are implausible otherwise: a type is a small number. */
function hostOrder(length: number, type: number, room: number): readonly [number, number] {
  const turned = (value: number) => (value >> 8) | ((value & 0xff) << 8);
  return type > 0xff || length > room ? [turned(length), turned(type)] : [length, type];
}
