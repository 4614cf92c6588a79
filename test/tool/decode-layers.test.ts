import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex } from '../../src/protocol/bytes/octets.js';
import type { Frame } from '../../src/tool/decode/capture.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { Dissector } from '../../src/tool/decode/dissector.js';
import { vector } from '../protocol/diameter/wire/vectors.js';
import { runs } from '../seed.js';
import { ethernet, FROM, ipv4, ipv6, pcap, TO, tcp, u16, u32, udp } from './frames.js';
import { esp, gtp, PCI, STACKS, tlv, V4, V6, wlan } from './stacks.js';

const NONE = new Uint8Array(0);

function decode(linkType: number, frames: readonly Uint8Array[]) {
  const decoder = new Decoder(32473);
  const found = [...decoder.decode(pcap(linkType, frames))];
  const texts = found.map(({ text }) => text.split('\n')[1] ?? '');
  return { texts, ok: found.every(({ ok }) => ok), skipped: decoder.skipped, others: decoder.others };
}

const IS_PCI = ['PANA PCI  session 00000000  sequence 0  flags -'];

describe('Layers around IP', () => {
  it.each(STACKS)('are decoded: %s', (_what, linkType, frame) => {
    expect(decode(linkType, [frame])).toEqual({ texts: IS_PCI, ok: true, skipped: [], others: [] });
  });

  it.each<[string, number, Uint8Array, string]>([
    ['EtherType', 1, ethernet(0x88b5, V6), '1 frame of EtherType 0x88b5, which is not supported'],
    ['IP protocol', 101, ipv6(115, V6), '1 packet of IP protocol 115 (L2TPv3), which is not supported'],
    ['PPP protocol', 9, concat(u16(0x003d), V6), '1 PPP packet of protocol 0x003d (Multilink), which is not supported'],
    [
      'encrypted MACsec',
      1,
      ethernet(0x88e5, concat(fromHex('2c0000000001'), V6)),
      '1 MACsec frame, which is encrypted',
    ],
    ['encrypted IEEE 802.11', 105, wlan(0x41, V6), '1 IEEE 802.11 frame, which is encrypted'],
    ['ESP in UDP', 101, ipv4(17, udp(concat(u32(7), PCI), 4500)), '1 ESP packet, which is encrypted'],
    ['ESP with wrong padding', 101, ipv6(50, esp(17, udp(PCI)).with(-20, 9)), '1 ESP packet, which is encrypted'],
    ['ESP of a wrong inner length', 101, ipv6(50, esp(17, udp(PCI).with(5, 9))), '1 ESP packet, which is encrypted'],
    ['ESP with a cut TCP header', 101, ipv6(50, esp(6, fromHex('00'.repeat(12)))), '1 ESP packet, which is encrypted'],
    ['short header', 101, V6.subarray(0, 30), '1 frame that ends within a header'],
    ['no IP', 101, fromHex('00112233'), '1 frame that contains no IP packet'],
    [
      'TLS',
      101,
      ipv6(6, tcp(1, fromHex('1603010005aabbccddee'), { to: 5868 })),
      '1 segment of TLS on TCP port 5868, which is encrypted',
    ],
    [
      'no Diameter',
      101,
      ipv6(6, tcp(1, fromHex('474554202f0d0a'))),
      '1 segment on TCP port 3868 that begins no Diameter message',
    ],
  ])('are named if they hide what is in them: %s', (_what, linkType, frame, text) => {
    expect(decode(linkType, [frame])).toEqual({ texts: [], ok: true, skipped: [text], others: [] });
  });

  it.each<[string, number, Uint8Array, string]>([
    ['ARP', 1, ethernet(0x0806, NONE), '1 ARP packet'],
    ['ICMPv6', 101, ipv6(58, V6), '1 ICMPv6 packet'],
    ['Mobility Header', 101, ipv6(135, NONE), '1 Mobility Header packet (Mobile IPv6)'],
    [
      'spanning tree',
      1,
      concat(new Uint8Array(12), u16(4), fromHex('42420300')),
      '1 IEEE 802.2 frame without an EtherType',
    ],
    ['UDP', 101, ipv6(17, udp(NONE, 53)), '1 packet on UDP port 53'],
    ['TLS', 101, ipv6(6, tcp(1, fromHex('1703030005aabbccddee'), { to: 443 })), '1 segment on TCP port 443 (TLS)'],
  ])('are counted if they contain neither PANA nor Diameter: %s', (_what, linkType, frame, text) => {
    expect(decode(linkType, [frame])).toEqual({ texts: [], ok: true, skipped: [], others: [text] });
  });

  it('are read within ESP without encryption over TCP, while ciphertext is not', () => {
    const message = vector('CER');
    const plain = [0, 1].map((i) => ipv6(50, esp(6, tcp(1 + i * message.length, message))));
    expect(decode(101, plain).texts).toHaveLength(2);
    const ciphertext = Array.from({ length: 2_000 }, (_, i) => {
      const octets = createHash('shake256', { outputLength: 120 }).update(`${i}`).digest();
      return ipv6(50, new Uint8Array(octets));
    });
    expect(decode(101, ciphertext).skipped).toEqual(['2000 ESP packets, which are encrypted']);
  });

  it('may be nested in any order', () => {
    type Wrap = (inner: Uint8Array) => Uint8Array;
    const isV4 = (ip: Uint8Array) => (ip[0] ?? 0) >> 4 === 4;
    const type = (ip: Uint8Array) => u16(isV4(ip) ? 0x0800 : 0x86dd);
    const ether = (ip: Uint8Array) => concat(new Uint8Array(12), type(ip), ip);
    /** From an IP packet to an IP packet. */
    const tunnels: readonly Wrap[] = [
      (ip) => ipv4(isV4(ip) ? 4 : 41, ip),
      (ip) => ipv6(isV4(ip) ? 4 : 41, ip),
      (ip) => ipv6(47, concat(u16(0), type(ip), ip)),
      (ip) => ipv4(47, concat(u16(0x2000), type(ip), u32(7), ip)),
      (ip) => ipv6(47, concat(fromHex('00006558'), ether(ip))),
      (ip) => ipv6(51, concat(Uint8Array.of(isV4(ip) ? 4 : 41, 4), new Uint8Array(22), ip)),
      (ip) => ipv4(50, esp(isV4(ip) ? 4 : 41, ip, 12)),
      (ip) => ipv6(0, concat(Uint8Array.of(isV4(ip) ? 4 : 41, 0), new Uint8Array(6), ip)),
      (ip) => ipv6(44, concat(Uint8Array.of(isV4(ip) ? 4 : 41, 0, 0, 0), u32(9), ip)),
      (ip) => ipv4(137, concat(fromHex('00010140'), ip)),
      (ip) => ipv4(17, udp(concat(fromHex('0800000000000700'), ether(ip)), 4789)),
      (ip) => ipv6(17, udp(gtp(ip), 2152)),
    ];
    /** From an IP packet to a frame of a link type. */
    const links: readonly (readonly [number, Wrap])[] = [
      [1, ether],
      [1, (ip) => ethernet(0x88a8, concat(u16(1), u16(0x8100), u16(2), type(ip), ip))],
      [1, (ip) => ethernet(0x8864, concat(fromHex('110000010000'), u16(isV4(ip) ? 0x21 : 0x57), ip))],
      [1, (ip) => ethernet(0x8847, concat(fromHex('00010040'), fromHex('00010140'), ip))],
      [101, (ip) => ip],
      [113, (ip) => concat(new Uint8Array(14), type(ip), ip)],
      [276, (ip) => concat(type(ip), new Uint8Array(18), ip)],
      [239, (ip) => concat(u32(0), tlv(9, ip))],
      [117, (ip) => concat(Uint8Array.of(61), new Uint8Array(63), ip)],
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(V6, V4),
        fc.array(fc.constantFrom(...tunnels), { maxLength: 6 }),
        fc.constantFrom(...links),
        (inner, wraps, [linkType, link]) => {
          const frame = link(wraps.reduce((ip, wrap) => wrap(ip), inner));
          const whole: Frame = { at: 0, linkType, octets: frame, missing: 0 };
          expect(new Dissector().read(whole)).toMatchObject([
            { protocol: 'udp', to: { port: 716 }, payload: PCI, cut: 0 },
          ]);
        },
      ),
      { numRuns: runs(2000) },
    );
  });

  it('never end otherwise than with a packet or a name, whatever the octets are', () => {
    const linkTypes = [0, 1, 8, 9, 50, 51, 101, 104, 105, 109, 113, 117, 127, 138, 166, 192, 204, 228, 229, 239, 276];
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300, size: 'max' }),
      fc.uint8Array({ maxLength: 100, size: 'max' }).map((tail) => concat(V6.subarray(0, 40), tail)),
    );
    const dissector = new Dissector();
    let at = 0;
    fc.assert(
      fc.property(fc.constantFrom(...linkTypes), bytes, fc.nat(70_000), (linkType, octets, later) => {
        at += later;
        for (const found of dissector.read({ at, linkType, octets, missing: 0 })) {
          if ('end' in found) expect(found.end).toMatch(/^[ -~]+$/);
          else expect(found.payload.length).toBeLessThanOrEqual(65_535);
        }
      }),
      { numRuns: runs(20_000) },
    );
  });
});

describe('IP fragments', () => {
  const message = vector('CER');
  const datagram = udp(
    concat(PCI.slice(0, 2), u16(16 + 1008), PCI.slice(4), fromHex('0000000203e80000'), new Uint8Array(1000).fill(7)),
  );

  /** Fragments of an IPv6 or IPv4 packet at these offsets. */
  function fragments(
    version: 4 | 6,
    protocol: number,
    payload: Uint8Array,
    cuts: readonly number[],
    id = 1,
  ): Uint8Array[] {
    const places = [0, ...cuts, payload.length];
    return places.slice(1).map((end, i) => {
      const offset = places[i] ?? 0;
      const more = end < payload.length ? 1 : 0;
      const part = payload.slice(offset, end);
      if (version === 6) return ipv6(44, concat(Uint8Array.of(protocol, 0), u16(offset | more), u32(id), part));
      const whole = ipv4(protocol, part);
      whole.set(u16(id), 4);
      whole.set(u16((more << 13) | (offset / 8)), 6);
      return whole;
    });
  }

  const seen = (frames: readonly Uint8Array[]) => {
    const { texts, skipped } = decode(101, frames);
    return [...texts.map((text) => text.replace(/ {2}.*/, '')), ...skipped];
  };

  it.each([4, 6] as const)('of IPv%d are reassembled in any order, also if they are repeated', (version) => {
    const cut = fc.integer({ min: 1, max: Math.ceil(datagram.length / 8) - 1 }).map((units) => units * 8);
    fc.assert(
      fc.property(
        fc.uniqueArray(cut, { maxLength: 8 }),
        fc.infiniteStream(fc.nat(9)),
        fc.nat(7),
        (cuts, moves, again) => {
          const parts = fragments(
            version,
            17,
            datagram,
            cuts.sort((a, b) => a - b),
          );
          const order = parts.map((part) => ({ part, at: moves.next().value ?? 0 })).sort((a, b) => a.at - b.at);
          const frames = order.map(({ part }) => part);
          const repeated = frames[again % frames.length] ?? NONE;
          expect(seen([...frames, repeated])).toEqual(cuts.length === 0 ? ['PANA PCI', 'PANA PCI'] : ['PANA PCI']);
          expect(seen([repeated, ...frames])).toEqual(cuts.length === 0 ? ['PANA PCI', 'PANA PCI'] : ['PANA PCI']);
        },
      ),
    );
  });

  it('carry TCP segments', () => {
    const parts = fragments(6, 6, tcp(1, message), [40]);
    expect(seen(parts)).toEqual(['Diameter CER']);
  });

  it('of an inner packet of a tunnel are reassembled, and then those of the outer one', () => {
    const inner = fragments(6, 17, datagram, [512]);
    const outer = inner.flatMap((part, i) => fragments(4, 41, part, [256], 40 + i));
    expect(seen(outer)).toEqual(['PANA PCI']);
  });

  it('that overlap are named (RFC 5722), and nothing of their packet is decoded', () => {
    const [first = NONE, second = NONE] = fragments(6, 17, datagram, [512]);
    const [, other = NONE] = fragments(
      6,
      17,
      datagram.map((octet) => octet ^ 1),
      [504],
    );
    const name = '1 packet with overlapping fragments, dropped as RFC 5722 requires';
    expect(seen([first, other, second])).toEqual([name]);
    const [, changed = NONE] = fragments(
      6,
      17,
      datagram.map((octet) => octet ^ 1),
      [512],
    );
    expect(seen([changed, second, first])).toEqual([name]);
  });

  it('beyond 65,535 octets are named', () => {
    const far = ipv6(44, concat(Uint8Array.of(17, 0), u16(0xfff8 | 1), u32(1), new Uint8Array(64)));
    expect(seen([far])).toEqual(['1 packet with fragments beyond 65,535 octets']);
  });

  it('that are missing are reported with what is there', () => {
    const [first = NONE, second = NONE, third = NONE] = fragments(6, 17, datagram, [256, 512]);
    const text = (octets: number) => `PANA PCI, with IP fragments missing: ${octets} of 1024 octets were captured`;
    expect(seen([first, third])).toEqual([text(248)]);
    expect(seen([first, second])).toEqual([text(504)]);
    expect(seen([second, third])).toEqual(['1 packet with missing fragments']);
  });

  it('that are more than 60 s apart do not belong together', () => {
    const parts = fragments(6, 17, datagram, [512]);
    const dissector = new Dissector();
    const read = (at: number, octets: Uint8Array = NONE) => dissector.read({ at, linkType: 101, octets, missing: 0 });
    expect(read(0, parts[0])).toEqual([]);
    expect(read(60_001, parts[1])).toMatchObject([{ protocol: 'udp', why: 'fragments', cut: 520 }]);
    expect(read(60_002, parts[0])).toMatchObject([{ protocol: 'udp', cut: 0 }]);
  });

  it('never complete a packet of two identifications, and are bounded', () => {
    const dissector = new Dissector();
    let given = 0;
    for (let id = 0; id < 3000; id += 1) {
      const [first = NONE] = fragments(6, 17, datagram, [512], id);
      given += dissector.read({ at: 0, linkType: 101, octets: first, missing: 0 }).length;
    }
    expect(given).toBe(3000 - 1024);
    expect(dissector.end(0)).toHaveLength(1024);
  });

  it('do not mix the packets of other hosts', () => {
    const [first = NONE] = fragments(6, 17, datagram, [512]);
    const [, second = NONE] = fragments(6, 17, datagram, [512]);
    const other = concat(second.slice(0, 8), TO, FROM, second.slice(40));
    expect(seen([first, other])).toHaveLength(2);
  });
});
