import { NO_LINK_TYPE } from './capture.js';
import { type End, hex16, hidden, type Inner, type Layer, other, SHORT, skipTo, skipToIp } from './layer.js';
import { u16, u16le, u24, u32 } from './octets.js';

/** The link layers that are read, by link type (LINKTYPE_… of tcpdump.org). */
export const LINK_LAYERS = new Map<number, Layer>([
  [0, skipToIp(4)],
  [1, ethernet],
  [8, skipToIp(16)],
  [9, ppp],
  [12, skipToIp(0)],
  [14, skipToIp(0)],
  [50, pppOrHdlc],
  [51, pppoe],
  [101, skipToIp(0)],
  [104, hdlc],
  [105, wlan],
  [108, skipToIp(4)],
  [109, skipToIp(12)],
  [113, byTypeAt(14, 16)],
  [117, pflog],
  [127, radiotap],
  [138, byTypeAt(16, 18)],
  [166, pppd],
  [192, ppi],
  [204, skipTo(1, 'link', 9)],
  [228, skipTo(0, 'ether', 0x0800)],
  [229, skipTo(0, 'ether', 0x86dd)],
  [239, nflog],
  [276, byTypeAt(0, 20)],
]);

/** Names of link types that are not read. */
const OTHER_LINKS: Readonly<Record<number, string>> = {
  3: 'AX.25',
  6: 'Token Ring',
  7: 'ARCNET',
  10: 'FDDI',
  11: 'ATM',
  107: 'Frame Relay',
  119: 'Prism',
  122: 'IP over Fibre Channel',
  123: 'SunATM',
  163: 'AVS',
  187: 'Bluetooth',
  189: 'USB',
  195: 'IEEE 802.15.4',
  201: 'Bluetooth',
  220: 'USB',
  227: 'CAN',
  230: 'IEEE 802.15.4',
  249: 'USB',
  252: 'exported PDUs',
  253: 'netlink',
};

/** Names a link type that is not read. */
export function linkEnd(number: number): End {
  if (number === NO_LINK_TYPE) return hidden('frames of an interface that the file does not describe');
  const name = OTHER_LINKS[number];
  return hidden(`frames of link type ${number}${name === undefined ? '' : ` (${name})`}, which is not supported`);
}

/** The layers by EtherType. GRE, VXLAN and Linux's cooked captures use the same numbers. */
export const ETHER_LAYERS = new Map<number, Layer>([
  [0x0004, llc],
  [0x6558, ethernet],
  [0x8100, vlan],
  [0x8847, mpls],
  [0x8848, mpls],
  [0x8864, pppoe],
  [0x880b, ppp],
  [0x88a8, vlan],
  [0x88be, erspan],
  [0x88e5, macsec],
  [0x88e7, skipTo(16, 'ether', 0x6558)],
  [0x893f, (octets) => byType(octets, 6, 8)],
  [0x8926, (octets) => byType(octets, 4, 6)],
  [0x9100, vlan],
  [0x9200, vlan],
]);

/** Protocols that contain neither PANA nor Diameter, by EtherType. */
const OTHER_ETHERS: Readonly<Record<number, string>> = {
  1: 'IEEE 802.3 frames',
  2054: 'ARP packets',
  2114: 'Wake-on-LAN frames',
  8192: 'CDP frames',
  32821: 'RARP packets',
  32923: 'AppleTalk frames',
  33079: 'IPX packets',
  34824: 'Ethernet flow control frames',
  34825: 'LACP frames',
  34915: 'PPPoE discovery frames',
  34958: 'EAPOL frames',
  35020: 'LLDP frames',
  35063: 'PTP frames',
  35074: 'CFM frames',
  36864: 'Ethernet loopback frames',
};

export function etherEnd(number: number): End {
  const name = OTHER_ETHERS[number];
  return name === undefined ? hidden(`frames of EtherType ${hex16(number)}, which is not supported`) : other(name);
}

/** RFC 1661: the protocols of PPP. */
export const PPP_LAYERS = new Map<number, Layer>([
  [0x21, skipTo(0, 'ether', 0x0800)],
  [0x57, skipTo(0, 'ether', 0x86dd)],
  [0x31, bridged],
  [0x281, mpls],
  [0x283, mpls],
]);

/** Protocols below 0xc000 without the high bit carry network packets; the others are control protocols. */
export function pppEnd(number: number): End {
  const names: Readonly<Record<number, string>> = {
    45: 'compressed TCP/IP',
    61: 'Multilink',
    83: 'encrypted',
    253: 'compressed',
  };
  if (number >= 0x8000) return other('PPP control packets');
  const name = names[number];
  return hidden(
    `PPP packets of protocol ${hex16(number)}${name === undefined ? '' : ` (${name})`}, which is not supported`,
  );
}

function byType(octets: Uint8Array, at: number, length: number): Inner | End {
  if (octets.length < length) return SHORT;
  return { table: 'ether', number: u16(octets, at), payload: octets.subarray(length) };
}

/** A header of `length` octets with an EtherType at offset `at`. */
function byTypeAt(at: number, length: number): Layer {
  return (octets) => byType(octets, at, length);
}

/** IEEE 802.3: below 0x0600 the type is the length of an LLC frame. */
function ethernet(octets: Uint8Array): Inner | End {
  if (octets.length < 14) return SHORT;
  const type = u16(octets, 12);
  if (type < 0x600) return llc(octets.subarray(14, 14 + type));
  return { table: 'ether', number: type, payload: octets.subarray(14) };
}

/** IEEE 802.2 with SNAP (RFC 1042), which has an EtherType. */
function llc(octets: Uint8Array): Inner | End {
  if (octets.length < 3) return SHORT;
  const isSnap = octets[0] === 0xaa && octets[1] === 0xaa && octets[2] === 3;
  if (!isSnap) return other('IEEE 802.2 frames without an EtherType');
  const organization = u24(octets, 3);
  if (organization !== 0 && organization !== 0xf8) return other('IEEE 802.2 frames of an organization');
  return byType(octets, 6, 8);
}

/** IEEE 802.1Q: priority and VLAN, then the next type. */
function vlan(octets: Uint8Array): Inner | End {
  if (octets.length < 4) return SHORT;
  const type = u16(octets, 2);
  return type < 0x600 ? llc(octets.subarray(4)) : { table: 'ether', number: type, payload: octets.subarray(4) };
}

/** RFC 3032 2.1: labels up to the one with the S bit. What follows has no type: IP, or a pseudowire (RFC 4448). */
function mpls(octets: Uint8Array): Inner | End {
  let at = 0;
  while (at + 4 <= octets.length && (u24(octets, at) & 1) === 0) at += 4;
  at += 4;
  if (at >= octets.length) return SHORT;
  const payload = octets.subarray(at);
  const version = (payload[0] ?? 0) >> 4;
  if (version === 4) return { table: 'ether', number: 0x0800, payload };
  if (version === 6) return { table: 'ether', number: 0x86dd, payload };
  // RFC 4385 3: a control word begins with 0, as some addresses do. The type behind both tells.
  const hasWord = version === 0 && ETHER_LAYERS.has(u16(payload, 16));
  return { table: 'ether', number: 0x6558, payload: hasWord ? payload.subarray(4) : payload };
}

/** RFC 1661, RFC 1662: address and control may be absent, and the protocol may have one octet. */
function ppp(octets: Uint8Array): Inner | End {
  return pppAt(octets, octets[0] === 0xff && octets[1] === 3 ? 2 : 0);
}

function pppAt(octets: Uint8Array, at: number): Inner | End {
  if (octets.length < at + 2) return SHORT;
  const first = octets[at] ?? 0;
  if (first & 1) return { table: 'ppp', number: first, payload: octets.subarray(at + 1) };
  return { table: 'ppp', number: u16(octets, at), payload: octets.subarray(at + 2) };
}

/** The direction is in place of the address. */
function pppd(octets: Uint8Array): Inner | End {
  return octets[1] === 3 ? pppAt(octets, 2) : ppp(octets);
}

/** Cisco's framing has another first octet than PPP in HDLC. */
function pppOrHdlc(octets: Uint8Array): Inner | End {
  return octets[0] === 0x0f || octets[0] === 0x8f ? hdlc(octets) : ppp(octets);
}

/** Cisco HDLC: address, control, EtherType. */
function hdlc(octets: Uint8Array): Inner | End {
  return byType(octets, 2, 4);
}

/** RFC 2516 4: version, code, session, length. */
function pppoe(octets: Uint8Array): Inner | End {
  return octets.length < 6 ? SHORT : ppp(octets.subarray(6));
}

/** RFC 3518 4.2: flags, the type of MAC (1: IEEE 802.3), the frame. */
function bridged(octets: Uint8Array): Inner | End {
  if (octets[1] !== 1) return hidden('PPP packets of a bridge, which are not supported');
  return { table: 'ether', number: 0x6558, payload: octets.subarray(2) };
}

/** pf's log: the first octet is the length of the header without its padding to four octets. */
function pflog(octets: Uint8Array): Inner | End {
  const length = ((octets[0] ?? 0) + 3) & ~3;
  return skipToIp(Math.max(4, length))(octets);
}

const NFLOG_PAYLOAD = 9;

/** nflog: TLVs in the byte order of the capturing host, and addressed to a family of protocols. */
function nflog(octets: Uint8Array): Inner | End {
  for (let at = 4; at + 4 <= octets.length; ) {
    const little = isLittle(octets, at);
    const length = (little ? u16le : u16)(octets, at);
    const type = (little ? u16le : u16)(octets, at + 2);
    if (length < 4) break;
    if (type === NFLOG_PAYLOAD) return skipToIp(0)(octets.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return hidden('nflog frames without a payload');
}

/** The byte order of a TLV whose type is a small number, and whose length fits. */
function isLittle(octets: Uint8Array, at: number): boolean {
  return u16(octets, at + 2) > 0xff || u16(octets, at) > octets.length - at;
}

/** IEEE 802.11 data frames, which are readable only without encryption. */
function wlan(octets: Uint8Array): Inner | End {
  if (octets.length < 24) return SHORT;
  const control = octets[0] ?? 0;
  const flags = octets[1] ?? 0;
  const isData = (control & 0x0c) === 0x08;
  if (!isData || control & 0x40) return other('IEEE 802.11 frames without data');
  if (flags & 0x40) return hidden('IEEE 802.11 frames, which are encrypted');
  const hasQos = (control & 0x80) !== 0;
  const fourth = (flags & 3) === 3 ? 6 : 0;
  const length = 24 + fourth + (hasQos ? 2 : 0) + (hasQos && flags & 0x80 ? 4 : 0);
  if (hasQos && (octets[24 + fourth] ?? 0) & 0x80)
    return hidden('IEEE 802.11 frames with an A-MSDU, which is not supported');
  return llc(octets.subarray(length));
}

/** radiotap.org: a header of little-endian fields before an IEEE 802.11 frame. */
function radiotap(octets: Uint8Array): Inner | End {
  const length = u16le(octets, 2);
  if (length < 8 || octets.length < length) return SHORT;
  return { table: 'link', number: 105, payload: octets.subarray(length) };
}

/** Per-Packet Information: a little-endian header that names the link type. */
function ppi(octets: Uint8Array): Inner | End {
  const length = u16le(octets, 2);
  if (length < 8 || octets.length < length) return SHORT;
  return { table: 'link', number: u16le(octets, 4), payload: octets.subarray(length) };
}

/** IEEE 802.1AE 9.3: C or E says that the data is changed or encrypted; SC that the tag has a channel identifier. */
function macsec(octets: Uint8Array): Inner | End {
  const control = octets[0] ?? 0;
  if (control & 0x0c) return hidden('MACsec frames, which are encrypted');
  const length = control & 0x20 ? 14 : 6;
  return byType(octets, length, length + 2);
}

/** ERSPAN type II (draft-foschiano-erspan 4.2): eight octets before an Ethernet frame. */
function erspan(octets: Uint8Array): Inner | End {
  return skipTo(u32(octets, 0) >>> 28 === 1 ? 8 : 0, 'ether', 0x6558)(octets);
}
