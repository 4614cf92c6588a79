import { formatAddress } from '../../protocol/bytes/address.js';
import { esp } from './esp.js';
import { byVersion, type End, type Ends, hidden, type Inner, type Layer, other, SHORT, skipTo } from './layer.js';
import { u16, u32 } from './octets.js';

export const TCP = 6;
export const UDP = 17;
export const SCTP = 132;
export const UDP_LITE = 136;

/** The layers by IP protocol, but for the transports. */
export const IP_LAYERS = new Map<number, Layer>([
  [0, options],
  [4, byVersion],
  [41, byVersion],
  [43, options],
  [44, fragmentHeader],
  [47, gre],
  [50, esp],
  [51, authentication],
  [60, options],
  [97, skipTo(2, 'ether', 0x6558)],
  [98, byVersion],
  [137, skipTo(0, 'ether', 0x8847)],
  [139, options],
  [140, options],
  [143, skipTo(0, 'ether', 0x6558)],
]);

/** Protocols that contain neither PANA nor Diameter. */
const OTHER_PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP packets',
  2: 'IGMP packets',
  46: 'RSVP packets',
  58: 'ICMPv6 packets',
  59: 'IPv6 packets without a payload',
  88: 'EIGRP packets',
  89: 'OSPF packets',
  103: 'PIM packets',
  112: 'VRRP or CARP packets',
  135: 'Mobility Header packets (Mobile IPv6)',
  240: 'pfsync packets',
};

/** Names of protocols that may contain PANA or Diameter, and are not read. */
const UNREAD_PROTOCOLS: Readonly<Record<number, string>> = {
  33: 'DCCP',
  55: 'minimal encapsulation',
  94: 'IP-within-IP of amateur radio',
  99: 'private encryption',
  108: 'IPComp',
  115: 'L2TPv3',
};

export function ipEnd(number: number): End {
  const known = OTHER_PROTOCOLS[number];
  if (known !== undefined) return other(known);
  const name = UNREAD_PROTOCOLS[number];
  return hidden(`packets of IP protocol ${number}${name === undefined ? '' : ` (${name})`}, which is not supported`);
}

/** Limit of the address pairs whose text is kept. */
const MAX_ENDS = 4096;

const endsTexts = new Map<string, Ends>();

/** Formats source and destination, which are adjacent in both headers. Most packets have the same few pairs. */
function endsOf(octets: Uint8Array, at: number, length: number): Ends {
  const key = Buffer.from(octets.buffer, octets.byteOffset + at, 2 * length).toString('latin1');
  const known = endsTexts.get(key);
  if (known) return known;
  const ends = {
    from: formatAddress(octets.slice(at, at + length)),
    to: formatAddress(octets.slice(at + length, at + 2 * length)),
  };
  if (endsTexts.size >= MAX_ENDS) endsTexts.clear();
  endsTexts.set(key, ends);
  return ends;
}

/** The payload of an IP packet. `length`: from the header; beyond the captured octets, some are missing. */
function payloadOf(octets: Uint8Array, header: number, length: number) {
  const end = Math.min(header + length, octets.length);
  return { payload: octets.subarray(header, end), missing: Math.max(0, header + length - octets.length) };
}

/**
 * RFC 791 3.1. A total length of 0 means the rest of the frame, because the network card splits the packet into segments.
 */
export function ipv4(octets: Uint8Array): Inner | End {
  const header = ((octets[0] ?? 0) & 15) * 4;
  if (octets.length < 20 || header < 20 || octets.length < header) return SHORT;
  if ((octets[0] ?? 0) >> 4 !== 4) return hidden('frames that contain no IP packet');
  const total = u16(octets, 2);
  const length = Math.max(0, (total === 0 ? octets.length : total) - header);
  const number = octets[9] ?? 0;
  const inner = { table: 'ip', number, ends: endsOf(octets, 12, 4), ...payloadOf(octets, header, length) } as const;
  const flags = u16(octets, 6);
  if ((flags & 0x3fff) === 0) return inner;
  const fragment = { id: `4 ${u16(octets, 4)} ${number}`, offset: (flags & 0x1fff) * 8, more: (flags & 0x2000) !== 0 };
  return { ...inner, fragment };
}

/** RFC 8200 3. A payload length of 0 is that of segmentation offload, or of a jumbogram (RFC 2675). */
export function ipv6(octets: Uint8Array): Inner | End {
  if (octets.length < 40) return SHORT;
  if ((octets[0] ?? 0) >> 4 !== 6) return hidden('frames that contain no IP packet');
  const length = u16(octets, 4);
  const number = octets[6] ?? 0;
  return {
    table: 'ip',
    number,
    ends: endsOf(octets, 8, 16),
    ...payloadOf(octets, 40, length === 0 ? octets.length - 40 : length),
  };
}

/** RFC 8200 4.2: extension headers that are a next header, a length in units of eight octets, and options. */
function options(octets: Uint8Array): Inner | End {
  const length = ((octets[1] ?? 0) + 1) * 8;
  if (octets.length < length) return SHORT;
  return { table: 'ip', number: octets[0] ?? 0, payload: octets.subarray(length) };
}

/** RFC 8200 4.5. An atomic fragment (RFC 6946) is a whole packet. */
function fragmentHeader(octets: Uint8Array): Inner | End {
  if (octets.length < 8) return SHORT;
  const inner = { table: 'ip', number: octets[0] ?? 0, payload: octets.subarray(8) } as const;
  const place = u16(octets, 2);
  if ((place & 0xfff9) === 0) return inner;
  return { ...inner, fragment: { id: `6 ${u32(octets, 4)}`, offset: place & 0xfff8, more: (place & 1) !== 0 } };
}

/** RFC 4302 2.2: the length is in units of four octets, minus two. */
function authentication(octets: Uint8Array): Inner | End {
  const length = ((octets[1] ?? 0) + 2) * 4;
  if (octets.length < length) return SHORT;
  return { table: 'ip', number: octets[0] ?? 0, payload: octets.subarray(length) };
}

/** RFC 2784, RFC 2890: checksum, key and sequence number are optional. Version 1 (RFC 2637) has an acknowledgement too. */
function gre(octets: Uint8Array): Inner | End {
  if (octets.length < 4) return SHORT;
  const flags = u16(octets, 0);
  let length = 4;
  if ((flags & 7) === 1) {
    length = 8;
    for (const flag of [0x1000, 0x0080]) if (flags & flag) length += 4;
  } else {
    // The offset of RFC 1701 has its place if there is a checksum or routing.
    if (flags & 0xc000) length += 4;
    for (const flag of [0x2000, 0x1000]) if (flags & flag) length += 4;
  }
  if (octets.length < length) return SHORT;
  if (flags & 0x4000) return hidden('GRE packets with source routing, which is not supported');
  return { table: 'ether', number: u16(octets, 2), payload: octets.subarray(length) };
}

/** Protocols over UDP that contain packets, by destination port. Undefined: the datagram is none of them. */
export function tunnel(port: number, octets: Uint8Array): Inner | End | undefined {
  switch (port) {
    case 4789:
    case 8472:
      // RFC 7348 5: flags with the I bit, reserved octets, VNI.
      return octets[0] === 8 ? skipTo(8, 'ether', 0x6558)(octets) : undefined;
    case 6081: {
      // RFC 8926 3.4: version 0 and the length of the options, flags, type, VNI.
      const first = octets[0] ?? 0xff;
      return first >> 6 === 0 ? skipTo(8 + (first & 0x3f) * 4, 'ether', u16(octets, 2))(octets) : undefined;
    }
    case 2152:
      return gtp(octets);
    case 4500:
      // RFC 3948 2.2: IKE has a marker of zeros in place of the SPI, a keepalive is one octet.
      return octets.length > 4 && u32(octets, 0) !== 0 ? esp(octets) : undefined;
    default:
      return undefined;
  }
}

/** 3GPP TS 29.281 5.1: version 1 with protocol type, and message type 255 (G-PDU). */
function gtp(octets: Uint8Array): Inner | End | undefined {
  const flags = octets[0] ?? 0;
  if (flags >> 4 !== 3 || octets[1] !== 255) return undefined;
  let at = 8;
  if (flags & 7) {
    at = 12;
    let next = flags & 4 ? (octets[11] ?? 0) : 0;
    // An extension header has its length in units of four octets first, and the next type last.
    while (next !== 0) {
      const length = (octets[at] ?? 0) * 4;
      if (length === 0 || at + length > octets.length) return SHORT;
      at += length;
      next = octets[at - 1] ?? 0;
    }
  }
  return at < octets.length ? byVersion(octets.subarray(at)) : SHORT;
}
