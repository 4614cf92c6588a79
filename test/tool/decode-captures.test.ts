import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, encodeUtf8, fromHex, toHex } from '../../src/protocol/bytes/octets.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { run } from '../daemons/program.js';
import { vector } from '../protocol/diameter/wire/vectors.js';
import {
  dataChunk,
  ethernet,
  iDataChunk,
  ipv4,
  ipv6,
  pcap,
  SYN,
  sctp,
  type TcpHeader,
  tcp,
  u16,
  u32,
  udp,
} from './frames.js';

const PCI = fromHex('00000010000000010000000000000000');
const NONE = new Uint8Array(0);

/** Device-Watchdog-Requests with distinct Hop-by-Hop Identifiers. */
const DWR = [1, 2, 3, 4, 5].map((number) => {
  const octets = vector('DWR').slice();
  octets.set(u32(number), 12);
  return octets;
});
const LENGTH = DWR[0]?.length ?? 0;

/** One line for each decoded message: its Hop-by-Hop Identifier, or the text if it has none. */
function seen(input: Uint8Array): string[] {
  return [...new Decoder(32473).decode(input)].map(({ ok, text }) => {
    const [, what = ''] = text.split('\n');
    return ok ? (/hop-by-hop 0x0*([0-9a-f]+)/.exec(text)?.[1] ?? what) : what;
  });
}

const segments = (list: readonly (readonly [sequence: number, payload: Uint8Array, header?: TcpHeader])[]) =>
  pcap(
    101,
    list.map(([sequence, payload, header]) => ipv6(6, tcp(sequence, payload, header))),
  );

const dwr = (number: number) => DWR[number - 1] ?? NONE;

describe('Decoding of a TCP connection', () => {
  it('starts at the SYN even if another segment was captured first', () => {
    const swapped = segments([
      [99, NONE, { flags: SYN }],
      [100 + LENGTH, dwr(2)],
      [100, dwr(1)],
      [100 + 2 * LENGTH, dwr(3)],
    ]);
    expect(seen(swapped)).toEqual(['1', '2', '3']);
  });

  it('accepts data in the SYN (RFC 7413) and a keep-alive octet', () => {
    expect(
      seen(
        segments([
          [99, dwr(1), { flags: SYN }],
          [100 + LENGTH, dwr(2)],
        ]),
      ),
    ).toEqual(['1', '2']);
    const alive = segments([
      [99, NONE, { flags: SYN }],
      [99, Uint8Array.of(0)],
      [100, dwr(1)],
      [100 + LENGTH, dwr(2)],
    ]);
    expect(seen(alive)).toEqual(['1', '2']);
    expect(
      seen(
        segments([
          [99, Uint8Array.of(0)],
          [100, dwr(1)],
          [100 + LENGTH, dwr(2)],
        ]),
      ),
    ).toEqual(['1', '2']);
  });

  it.each([500_000, 7])('starts a new connection at a SYN with another sequence number, such as %d', (number) => {
    const twice = segments([
      [99_999, NONE, { flags: SYN }],
      [100_000, dwr(1)],
      // An incomplete message ends with its connection.
      [100_000 + LENGTH, dwr(2).subarray(0, 10)],
      [number, NONE, { flags: SYN }],
      [number, NONE, { flags: SYN }],
      [number + 1, dwr(3)],
      [number + 1 + LENGTH, dwr(4)],
    ]);
    expect(seen(twice)).toEqual(['1', '3', '4']);
  });

  it('reports a segment that was not captured and continues after it', () => {
    const missing = `a segment of ${LENGTH} octets was not captured`;
    const lost = segments([
      [100, dwr(1)],
      [100 + 2 * LENGTH, dwr(3)],
      [100 + 3 * LENGTH, dwr(4)],
    ]);
    expect(seen(lost)).toEqual(['1', missing, '3', '4']);
    // The gap is certain once the other end has acknowledged octets beyond it.
    const back = { from: 3868, to: 5000, acknowledged: 100 + 3 * LENGTH };
    const acknowledged = pcap(101, [
      ipv6(6, tcp(100, dwr(1))),
      ipv6(6, tcp(100 + 2 * LENGTH, dwr(3))),
      ipv6(6, tcp(700, dwr(5), back), new Uint8Array(16).fill(0x30), new Uint8Array(16).fill(0x20)),
      ipv6(6, tcp(100 + 3 * LENGTH, dwr(4))),
    ]);
    expect(seen(acknowledged)).toEqual(['1', missing, '3', '5', '4']);
  });

  it('names a message of which a part is missing, and decodes the messages after it', () => {
    const whole = concat(...DWR);
    const cuts = segments([
      [100, whole.subarray(0, LENGTH + 30)],
      // Octets 30 to 40 of the second message were not captured.
      [100 + LENGTH + 40, whole.subarray(LENGTH + 40)],
    ]);
    expect(seen(cuts)).toEqual([
      '1',
      `Diameter DWR, with a segment missing: 30 of ${LENGTH} octets are present`,
      '3',
      '4',
      '5',
    ]);
  });

  it('reports messages cut by the snapshot length', () => {
    const cut = (frame: Uint8Array) => frame.subarray(0, 40 + 20 + 42);
    const frames = DWR.map((octets, i) => cut(ipv6(6, tcp(100 + i * LENGTH, octets))));
    const line = `Diameter DWR, cut by the snapshot length: 42 of ${LENGTH} octets are present`;
    expect(seen(pcap(101, frames))).toEqual(Array(5).fill(line));
    const pana = ipv6(17, udp(concat(PCI, new Uint8Array(20)))).subarray(0, 60);
    expect(seen(pcap(101, [pana]))).toEqual([
      'a PANA message, cut by the snapshot length: 12 of 36 octets were captured',
    ]);
  });

  it('yields the same messages for any segmentation, repetition and reordering', () => {
    const stream = concat(...DWR);
    const cut = fc.integer({ min: 1, max: stream.length - 1 });
    fc.assert(
      fc.property(
        fc.uniqueArray(cut, { maxLength: 12, size: 'max' }),
        fc.integer(),
        fc.infiniteStream(fc.nat(3)),
        (cuts, seed, moves) => {
          const begin = seed >>> 0;
          const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
          const parts = places
            .slice(1)
            .map((end, i) => [(begin + 1 + (places[i] ?? 0)) >>> 0, stream.slice(places[i], end)] as const);
          const order = parts
            .map((part, i) => ({ part, at: i + (moves.next().value ?? 0) }))
            .sort((a, b) => a.at - b.at);
          const input = segments([
            [begin, NONE, { flags: SYN }],
            ...order.map(({ part }) => part),
            ...parts.slice(0, 2),
          ]);
          expect(seen(input)).toEqual(['1', '2', '3', '4', '5']);
        },
      ),
    );
  });

  it('on another port is decoded only where it contains Diameter messages', () => {
    const amqp = concat(Uint8Array.of(1, 0, 1, 0), new Uint8Array(252).fill(0xce));
    const mixed = segments([
      [1, dwr(1)],
      [1, amqp, { to: 5672 }],
      [1, dwr(2), { to: 13_868 }],
    ]);
    expect(seen(mixed)).toEqual(['1', '2']);
  });
});

describe('Decoding of SCTP', () => {
  const frame = (...chunks: readonly Uint8Array[]) => ipv6(132, sctp(...chunks));

  it('reads several chunks of a packet, each once', () => {
    const frames = [
      frame(dataChunk(1, dwr(1)), dataChunk(2, dwr(2))),
      frame(dataChunk(2, dwr(2)), dataChunk(3, dwr(3))),
    ];
    expect(seen(pcap(101, frames))).toEqual(['1', '2', '3']);
  });

  it('reassembles fragments in any order', () => {
    const parts = [dwr(4).subarray(0, 20), dwr(4).subarray(20, 40), dwr(4).subarray(40)];
    const chunks = parts.map((part, i) => frame(dataChunk(0xffff_ffff + i, part, i === 0 ? 2 : i === 2 ? 1 : 0)));
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
      [1, 2, 0],
    ]) {
      expect(
        seen(
          pcap(
            101,
            order.map((i) => chunks[i] ?? NONE),
          ),
        ),
      ).toEqual(['4']);
    }
  });
});

describe('Decoding of interleaved SCTP messages (RFC 8260)', () => {
  const parts = (octets: Uint8Array) => [octets.slice(0, 20), octets.slice(20, 40), octets.slice(40)];
  const [one = [], two = [], three = []] = [dwr(1), dwr(2), dwr(3)].map(parts);
  const chunk = (tsn: number, message: number, part: number, octets = NONE, unordered = 0) =>
    ipv6(132, sctp(iDataChunk(tsn, message, part, octets, unordered | (part === 0 ? 2 : part === 2 ? 1 : 0))));
  const interleaved = [
    chunk(1, 0, 0, one[0]),
    chunk(2, 1, 0, two[0]),
    // Unordered messages have numbers of their own.
    chunk(3, 0, 0, three[0], 4),
    chunk(4, 1, 1, two[1]),
    chunk(5, 0, 1, one[1]),
    chunk(6, 0, 1, three[1], 4),
    chunk(7, 0, 2, three[2], 4),
    chunk(8, 1, 2, two[2]),
    chunk(9, 0, 2, one[2]),
  ];

  it('tells their fragments apart, also if some are repeated', () => {
    expect(seen(pcap(101, interleaved))).toEqual(['3', '2', '1']);
    expect(seen(pcap(101, [...interleaved, ...interleaved]))).toEqual(['3', '2', '1']);
    expect(seen(pcap(101, [...interleaved].reverse())).toSorted()).toEqual(['1', '2', '3']);
  });

  it('counts the fragments of a message that is not complete', () => {
    const decoder = new Decoder(32473);
    expect([...decoder.decode(pcap(101, interleaved.slice(0, 8)))]).toHaveLength(2);
    expect(decoder.skipped).toEqual(['2 fragments of SCTP messages of which others are missing']);
  });
});

describe('Associations of the same SCTP ports', () => {
  it('are told apart by their verification tags', () => {
    const tagged = (tag: number) => {
      const packet = sctp(dataChunk(1, dwr(tag)));
      packet.set(u32(tag), 4);
      return ipv6(132, packet);
    };
    expect(seen(pcap(101, [tagged(1), tagged(1), tagged(2)]))).toEqual(['1', '2']);
  });
});

describe('Messages cut by the snapshot length', () => {
  const cut = (frame: Uint8Array, octets: number) => frame.slice(0, octets);
  const dwrs = [1, 2].map((number) => ipv6(6, tcp(100 + (number - 1) * LENGTH, dwr(number), { to: 40_000 })));
  const pana = ipv6(17, udp(concat(fromHex('00000020800000020000000100000002'), new Uint8Array(16)), 40_000));

  it('are named on any port, if their headers are there', () => {
    expect(
      seen(
        pcap(
          101,
          dwrs.map((frame) => cut(frame, 40 + 20 + 8)),
        ),
      ),
    ).toEqual(Array(2).fill(`Diameter DWR, cut by the snapshot length: 8 of ${LENGTH} octets are present`));
    expect(seen(pcap(101, [cut(pana, 40 + 8 + 16)]))).toEqual([
      'PANA PAR, cut by the snapshot length: 16 of 32 octets were captured',
    ]);
  });

  it('are no messages on another port without their headers', () => {
    const other = ipv6(6, tcp(100, concat(fromHex('0100002000999999'), new Uint8Array(24)), { to: 40_000 }));
    for (const frame of [cut(pana, 40 + 8 + 15), cut(dwrs[0] ?? NONE, 40 + 20 + 7), cut(other, 40 + 20 + 12)]) {
      const decoder = new Decoder(32473);
      expect([...decoder.decode(pcap(101, [frame]))]).toEqual([]);
    }
  });
});

describe('The layers around IP', () => {
  const V6 = ipv6(17, udp(PCI));
  const V4 = ipv4(17, udp(PCI));
  const nflog = (turned: boolean) => {
    const number = (value: number) => (turned ? u16(value).reverse() : u16(value));
    return concat(fromHex('02000000'), number(5), number(1), fromHex('00000000'), number(4 + V6.length), number(9), V6);
  };

  it.each([
    ['two VLAN tags', 1, ethernet(0x88a8, concat(u16(10), u16(0x8100), u16(20), u16(0x86dd), V6))],
    ['PPPoE', 1, ethernet(0x8864, concat(fromHex('110000050000'), u16(0x0057), V6))],
    ['MPLS', 1, ethernet(0x8847, concat(fromHex('00010040'), fromHex('00020140'), V4))],
    ['PPP', 9, concat(fromHex('ff030057'), V6)],
    ['PPP with a short header', 9, concat(Uint8Array.of(0x21), V4)],
    ['IPv4 in IPv4', 101, ipv4(4, V4)],
    ['IPv6 in IPv4', 101, ipv4(41, V6)],
    ['IPv6 in IPv6, as in Mobile IPv6', 101, ipv6(41, V6)],
    ['GRE with a key', 101, ipv4(47, concat(fromHex('200086dd00000007'), V6))],
    ['nflog', 239, nflog(false)],
    ['nflog of a little-endian host', 239, nflog(true)],
    ['pflog', 117, concat(Uint8Array.of(61), new Uint8Array(63), V4)],
    ['Linux cooked v2', 276, concat(u16(0x86dd), new Uint8Array(18), V6)],
    ['AH', 101, ipv6(51, concat(Uint8Array.of(17, 4), new Uint8Array(22), udp(PCI)))],
    ['a fragment header on a whole packet', 101, ipv6(44, concat(fromHex('1100000000000001'), udp(PCI)))],
  ])('are decoded: %s', (_what, linkType, frame) => {
    expect(seen(pcap(linkType, [frame]))).toEqual(['PANA PCI  session 00000000  sequence 0  flags -']);
  });

  it('may have the length 0, as with segmentation offload', () => {
    const uncut = (frame: Uint8Array, at: number) => frame.map((octet, i) => (i === at || i === at + 1 ? 0 : octet));
    const frames = [uncut(ipv4(6, tcp(1, dwr(1))), 2), uncut(ipv6(6, tcp(1, dwr(2), { from: 9 })), 4)];
    expect(seen(pcap(101, frames))).toEqual(['1', '2']);
  });

  it('are counted by name if they cannot be decoded', () => {
    const fragment = ipv6(44, concat(fromHex('1100000800000001'), udp(PCI)));
    const decode = (linkType: number, frames: readonly Uint8Array[]) => {
      const decoder = new Decoder(32473);
      expect([...decoder.decode(pcap(linkType, frames))]).toEqual([]);
      return decoder.skipped;
    };
    expect(decode(189, [V6, V6])).toEqual(['2 frames of link type 189 (USB), which is not supported']);
    expect(decode(4711, [V6])).toEqual(['1 frame of link type 4711, which is not supported']);
    expect(decode(101, [fragment, ipv6(50, NONE)])).toEqual([
      '1 ESP packet, which is encrypted',
      '1 packet with missing fragments',
    ]);
  });
});

describe('Hexadecimal text', () => {
  const dump = (octets: Uint8Array, head = '  ', prefix = '') => {
    const lines: string[] = [];
    for (let at = 0; at < octets.length; at += 16) {
      const digits = toHex(octets.subarray(at, at + 16)).replaceAll(/(..)(?=.)/g, '$1 ');
      lines.push(`${prefix}${at.toString(16).padStart(4, '0')}${head}${digits.padEnd(47)}   ...#..`);
    }
    return `${lines.join('\n')}\n`;
  };

  it('as printed by tshark -x and tcpdump -x is decoded, frames and streams', () => {
    const frame = ethernet(0x86dd, ipv6(6, tcp(1, dwr(1))));
    expect(seen(encodeUtf8(`Frame 1:\n${dump(frame)}\n`))).toEqual(['1']);
    const packets = `12:00:00.1 IP6 x > y\n${dump(ipv6(6, tcp(1, dwr(2))), ':  ', '\t0x')}12:00:00.2 IP6\n${dump(ipv6(6, tcp(1 + LENGTH, dwr(3))), ':  ', '\t0x')}`;
    expect(seen(encodeUtf8(packets))).toEqual(['2', '3']);
    const [text = ''] = [...new Decoder(32473).decode(encodeUtf8(dump(PCI)))].map((decoded) => decoded.text);
    expect(text).toMatch(/^PANA PCI/);
    const stream = [...new Decoder(32473).decode(encodeUtf8(dump(concat(dwr(4), dwr(5)))))];
    expect(stream.map(({ ok }) => ok)).toEqual([true, true]);
  });

  it('with an error is reported with its line', () => {
    const problem = (text: string) => [...new Decoder(32473).decode(encodeUtf8(text))].find(({ ok }) => !ok)?.text;
    expect(problem('00000010000000010000000000000000\n\n# this\n00zz')).toMatch(/^line 4: not hexadecimal/);
    expect(problem('0000  00 00 00 10 00 00 00 01\n0010  00 00 00 00 00 00 00 00\n')).toBe(
      'line 2: offset 16 after 8 octets',
    );
  });
});

describe('pana-mip6 decode, input formats', () => {
  it('decompresses gzip and names other compression and unknown formats', async () => {
    const capture = pcap(101, [ipv6(17, udp(PCI))]);
    const packed = await run('tool', ['decode'], { input: gzipSync(capture) });
    expect(packed).toMatchObject({ status: 0, stdout: expect.stringContaining('PANA PCI') });
    const decode = async (input: Uint8Array) => (await run('tool', ['decode'], { input })).stderr;
    expect(await decode(gzipSync(capture).subarray(0, 40))).toMatch(/standard input: gzip: /);
    expect(await decode(fromHex('28b52ffd00'))).toBe(
      'pana-mip6: standard input: it is compressed: decompress it first, with zstd\n',
    );
    expect(await decode(encodeUtf8('snoop\0\0\0'))).toBe(
      'pana-mip6: standard input: neither a capture (pcap, pcapng) nor hexadecimal text\n',
    );
    expect(await decode(pcap(189, [PCI]))).toBe(
      'pana-mip6: standard input: it contains no PANA, Diameter or RADIUS message; 1 frame of link type 189 (USB), which is not supported\n',
    );
  });
});
