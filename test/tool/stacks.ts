import { concat, fromHex } from '../../src/protocol/bytes/octets.js';
import { ethernet, ipv4, ipv6, u16, u32, udp } from './frames.js';

export const PCI = fromHex('00000010000000010000000000000000');
export const V6 = ipv6(17, udp(PCI));
export const V4 = ipv4(17, udp(PCI));

/** A TLV of nflog, in the byte order of the file. */
export const tlv = (type: number, value: Uint8Array) => concat(u16(4 + value.length), u16(type), value);

const geneve = (payload: Uint8Array) => concat(fromHex('0100655800000700'), u32(0), payload);
export const gtp = (payload: Uint8Array) =>
  concat(fromHex('34ff'), u16(payload.length + 8), u32(1), fromHex('00000085'), fromHex('01000500'), payload);
/** An IEEE 802.11 data frame with QoS to an access point. */
export const wlan = (flags: number, payload: Uint8Array) =>
  concat(Uint8Array.of(0x88, flags), new Uint8Array(24), fromHex('aaaa03000000'), u16(0x86dd), payload);

/** ESP without encryption (RFC 2410): with an IV, and padding to a multiple of four octets. The ICV is `ff…`. */
export function esp(next: number, payload: Uint8Array, icv = 16, iv = 0): Uint8Array {
  const padding = Uint8Array.from({ length: (6 - (payload.length % 4)) % 4 }, (_, i) => i + 1);
  const trailer = Uint8Array.of(padding.length, next);
  return concat(u32(0xc0ffee), u32(1), new Uint8Array(iv), payload, padding, trailer, new Uint8Array(icv).fill(0xff));
}

/** A PCI inside layers: what they are, the link type, the frame. */
export const STACKS: readonly (readonly [what: string, linkType: number, frame: Uint8Array])[] = [
  ['three VLAN tags', 1, ethernet(0x88a8, concat(u16(1), u16(0x8100), u16(2), u16(0x9100), u16(3), u16(0x86dd), V6))],
  ['a VLAN tag in Linux cooked', 113, concat(new Uint8Array(14), u16(0x8100), u16(9), u16(0x86dd), V6)],
  ['a VLAN tag in Linux cooked v2', 276, concat(u16(0x8100), new Uint8Array(18), u16(9), u16(0x0800), V4)],
  ['LLC with SNAP', 1, concat(new Uint8Array(12), u16(8 + V6.length), fromHex('aaaa03000000'), u16(0x86dd), V6)],
  [
    'a PPPoE session with a VLAN tag',
    1,
    ethernet(0x8100, concat(u16(7), u16(0x8864), fromHex('11000001'), u16(2 + V4.length), u16(0x21), V4)),
  ],
  ['PPP with MPLS', 9, concat(fromHex('ff030281'), fromHex('00010140'), V6)],
  ['PPP in HDLC of Cisco', 50, concat(fromHex('0f00'), u16(0x86dd), V6)],
  ['HDLC of Cisco', 104, concat(fromHex('8f00'), u16(0x0800), V4)],
  ['PPP with a direction', 204, concat(fromHex('00ff030021'), V4)],
  [
    'an Ethernet pseudowire over MPLS',
    1,
    ethernet(0x8847, concat(fromHex('00010140'), fromHex('005056000001005056000002'), u16(0x86dd), V6)),
  ],
  ['a pseudowire with a control word', 1, ethernet(0x8847, concat(fromHex('00010140'), u32(0), ethernet(0x86dd, V6)))],
  [
    'MACsec without encryption',
    1,
    ethernet(0x88e5, concat(fromHex('200000000001'), new Uint8Array(8), u16(0x86dd), V6)),
  ],
  ['GRE with checksum, key and number', 101, ipv4(47, concat(fromHex('b00086dd'), new Uint8Array(12), V6))],
  ['GRE of PPTP', 101, ipv4(47, concat(fromHex('3081880b'), new Uint8Array(12), fromHex('ff030021'), V4))],
  ['ERSPAN', 101, ipv4(47, concat(fromHex('100088be00000001'), fromHex('1001000000000000'), ethernet(0x0800, V4)))],
  ['Ethernet in GRE', 101, ipv6(47, concat(fromHex('00006558'), ethernet(0x86dd, V6)))],
  ['EtherIP', 101, ipv4(97, concat(fromHex('3000'), ethernet(0x86dd, V6)))],
  ['MPLS in IP', 101, ipv6(137, concat(fromHex('00010140'), V4))],
  ['VXLAN', 101, ipv4(17, udp(concat(fromHex('0800000000000700'), ethernet(0x86dd, V6)), 4789))],
  ['Geneve with an option', 101, ipv6(17, udp(geneve(ethernet(0x0800, V4)), 6081))],
  ['GTP-U with an extension header', 101, ipv4(17, udp(gtp(V6), 2152))],
  ['IPv4 in IPv6', 101, ipv6(4, V4)],
  ['IPv6 in IPv6 in IPv4', 101, ipv4(41, ipv6(41, V6))],
  ['AH, then a tunnel', 101, ipv6(51, concat(Uint8Array.of(41, 4), new Uint8Array(22), V6))],
  [
    'AH in IPv4 with a Routing Header in IPv6',
    101,
    ipv4(
      51,
      concat(
        Uint8Array.of(41, 4),
        new Uint8Array(22),
        ipv6(43, concat(fromHex('1102020100000000'), new Uint8Array(16), udp(PCI))),
      ),
    ),
  ],
  ['ESP with NULL encryption', 101, ipv6(50, esp(17, udp(PCI)))],
  ['ESP with NULL encryption and an ICV of 96 bits', 101, ipv4(50, esp(41, V6, 12))],
  ['ESP with GMAC', 101, ipv6(50, esp(4, V4, 16, 8))],
  ['ESP with NULL encryption and HMAC-SHA-384-192', 101, ipv4(50, esp(4, V4, 24))],
  ['ESP with NULL encryption and HMAC-SHA-512-256', 101, ipv6(50, esp(17, concat(udp(PCI)), 32))],
  ['ESP with NULL encryption in UDP', 101, ipv4(17, udp(esp(41, V6), 4500))],
  ['a Home Address option', 101, ipv6(60, concat(fromHex('110201020000c910'), new Uint8Array(16), udp(PCI)))],
  ['nflog with a prefix', 239, concat(fromHex('0a000000'), tlv(10, fromHex('70610000')), tlv(9, V6))],
  ['PPI', 192, concat(fromHex('0000080001000000'), ethernet(0x86dd, V6))],
  ['radiotap, IEEE 802.11', 127, concat(fromHex('0000080000000000'), wlan(1, V6))],
  ['IEEE 802.11', 105, wlan(2, V6)],
  ['FireWire', 138, concat(new Uint8Array(16), u16(0x86dd), V6)],
  ['a link type with the length of a frame check sequence', 0x1400_0001, concat(ethernet(0x86dd, V6), u32(0))],
  ['padding of Ethernet', 1, concat(ethernet(0x0800, V4), new Uint8Array(2))],
  ['UDP with length 0, as with segmentation offload', 101, ipv6(17, concat(u16(5000), u16(716), u32(0), PCI))],
];
