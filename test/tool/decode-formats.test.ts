import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, encodeUtf8, fromHex, toHex } from '../../src/protocol/bytes/octets.js';
import { type Frame, readCapture } from '../../src/tool/decode/capture.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { TextReader } from '../../src/tool/decode/text.js';
import { ipv6, pcap, u16, u32, udp } from './frames.js';

const PCI = fromHex('00000010000000010000000000000000');
const V6 = ipv6(17, udp(PCI));

/** Numbers and blocks of pcapng in one byte order. */
function order(little: boolean) {
  const turn = (octets: Uint8Array) => (little ? octets.reverse() : octets);
  const n16 = (value: number) => turn(u16(value));
  const n32 = (value: number) => turn(u32(value));
  const block = (type: number, ...body: readonly Uint8Array[]) => {
    const all = concat(...body);
    const padded = concat(all, new Uint8Array(-all.length & 3));
    return concat(n32(type), n32(padded.length + 12), padded, n32(padded.length + 12));
  };
  const option = (code: number, value: Uint8Array) =>
    concat(n16(code), n16(value.length), value, new Uint8Array(-value.length & 3));
  const n64 = (value: bigint) => {
    const octets = new Uint8Array(8);
    new DataView(octets.buffer).setBigInt64(0, value, little);
    return octets;
  };
  const section = (...options: readonly Uint8Array[]) =>
    block(0x0a0d0d0a, n32(0x1a2b3c4d), n16(1), n16(0), n64(-1n), ...options);
  const face = (linkType: number, ...options: readonly Uint8Array[]) =>
    block(1, n16(linkType), n16(0), n32(65_535), ...options);
  /** An Enhanced Packet Block. */
  const packet = (number: number, ticks: number, frame: Uint8Array, whole = frame.length) =>
    block(6, n32(number), n32(Math.floor(ticks / 2 ** 32)), n32(ticks % 2 ** 32), n32(frame.length), n32(whole), frame);
  return { n16, n32, n64, block, option, section, face, packet };
}

const read = (file: Uint8Array) =>
  [...readCapture(file)].map(({ octets, ...frame }) => ({ ...frame, size: octets.length }));

describe.each([false, true])('pcapng, little-endian: %s', (little) => {
  const { n16, n32, n64, block, option, section, face, packet } = order(little);
  const frame = { linkType: 101, missing: 0, size: V6.length };

  it.each([
    ['microseconds', [], 61_250_000, 61_250],
    ['milliseconds', [option(9, Uint8Array.of(3))], 61_250, 61_250],
    ['nanoseconds', [option(9, Uint8Array.of(9))], 61_250_000_000, 61_250],
    ['1024ths of a second', [option(9, Uint8Array.of(0x8a))], 61 * 1024 + 256, 61_250],
    ['an offset', [option(14, n64(100n))], 61_250_000, 161_250],
    [
      'a negative offset',
      [option(2, encodeUtf8('eth0')), option(14, n64(-61n)), option(9, Uint8Array.of(3))],
      61_250,
      250,
    ],
  ])('has times in %s', (_what, options, ticks, at) => {
    expect(read(concat(section(), face(101, ...options), packet(0, ticks, V6)))).toEqual([{ ...frame, at }]);
  });

  it('has several interfaces and sections, of any byte order', () => {
    const other = order(!little);
    const file = concat(
      section(option(4, encodeUtf8('dumpcap'))),
      face(1),
      face(101, option(9, Uint8Array.of(3))),
      packet(1, 7, V6),
      other.section(),
      other.face(228, other.option(9, Uint8Array.of(0))),
      other.packet(0, 9, V6),
    );
    expect(read(file)).toEqual([
      { ...frame, at: 7 },
      { ...frame, at: 9000, linkType: 228 },
    ]);
  });

  it('has frames of interfaces that are not described', () => {
    const decoder = new Decoder(32473);
    expect([...decoder.decode(concat(section(), face(101), packet(1, 0, V6)))]).toEqual([]);
    expect(decoder.skipped).toEqual(['1 frame of an interface that the file does not describe']);
  });

  it('has simple and obsolete packet blocks, and blocks that are ignored', () => {
    const file = concat(
      section(),
      face(101),
      block(5, n32(0), new Uint8Array(8)),
      block(2, n16(0), n16(3), n32(0), n32(500_000), n32(V6.length), n32(V6.length + 5), V6),
      block(0x8000_0001, new Uint8Array(200)),
      block(3, n32(V6.length), V6),
    );
    expect(read(file)).toEqual([
      { ...frame, at: 500, missing: 5 },
      { ...frame, at: 500 },
    ]);
  });

  it('ends early', () => {
    const file = concat(section(), face(101), packet(0, 0, V6));
    for (const length of [file.length - 1, file.length - 40, 30]) {
      expect(() => read(file.subarray(0, length))).toThrow('the capture ends within a frame');
    }
    const huge = concat(section(), face(101), n32(6), n32(0xffff_fffc), new Uint8Array(40));
    expect(() => read(huge)).toThrow('a block of 4294967292 octets');
    const ignored = concat(section(), face(101), n32(0x4711), n32(0xffff_fffc), new Uint8Array(40));
    expect(() => read(ignored)).toThrow('the capture ends within a frame');
  });
});

describe('pcap', () => {
  it.each([
    ['microseconds', 'a1b2c3d4', 250_000, 16],
    ['nanoseconds', 'a1b23c4d', 250_000_000, 16],
    ['the format of A. Kuznetzov', 'a1b2cd34', 250_000, 24],
  ])('is read in both byte orders: %s', (_what, magic, fraction, header) => {
    for (const little of [false, true]) {
      const { n16, n32 } = order(little);
      const begin = fromHex(magic);
      const record = concat(
        n32(61),
        n32(fraction),
        n32(V6.length),
        n32(V6.length + 9),
        new Uint8Array(header - 16),
        V6,
      );
      const file = concat(
        little ? begin.reverse() : begin,
        concat(n16(2), n16(4), n32(0), n32(0), n32(65_535), n32(101)),
        record,
        record,
      );
      const frame = { at: 61_250, linkType: 101, missing: 9, size: V6.length };
      expect(read(file)).toEqual([frame, frame]);
    }
  });

  it('is damaged if a frame is larger than any snapshot length', () => {
    const file = concat(pcap(101, [V6]), u32(0), u32(0), u32(0xffff_ffff), u32(0), new Uint8Array(100));
    const frames: Frame[] = [];
    expect(() => {
      for (const frame of readCapture(file)) frames.push(frame);
    }).toThrow('a frame of 4294967295 octets');
    expect(frames).toHaveLength(1);
  });
});

describe('Input in pieces', () => {
  const { section, face, packet } = order(true);
  const dump = (octets: Uint8Array) => `0000   ${toHex(octets).replaceAll(/(..)(?=.)/g, '$1 ')}   ....\n`;
  it.each<[string, Uint8Array]>([
    ['pcap', pcap(101, [V6, V6, V6])],
    ['pcapng', concat(section(), face(101), packet(0, 1, V6), packet(0, 2, V6), packet(0, 3, V6))],
    ['messages', encodeUtf8(`# three\n${`${toHex(PCI)}\n\n`.repeat(3)}`)],
    ['dumps', encodeUtf8(`Frame (64 bytes):\n\n${dump(PCI)}\n`.repeat(3))],
  ])('of any sizes is decoded as the whole: %s', (_what, input) => {
    const whole = [...new Decoder(32473).decode(input)].map(({ text }) => text);
    expect(whole).toHaveLength(3);
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 60 })), (sizes) => {
        const decoder = new Decoder(32473);
        const texts: string[] = [];
        for (let at = 0; at < input.length; ) {
          const size = sizes.next().value ?? 1;
          // A copy that is overwritten: no view of it may be kept.
          const piece = input.slice(at, at + size);
          for (const { text } of decoder.push(piece)) texts.push(text);
          piece.fill(0xff);
          at += size;
        }
        for (const { text } of decoder.end()) texts.push(text);
        expect(texts).toEqual(whole);
      }),
    );
  });

  it('yields each message as soon as it is complete', () => {
    const live = (pieces: readonly (string | Uint8Array)[]) => {
      const decoder = new Decoder(32473);
      return pieces.map((piece) => [...decoder.push(typeof piece === 'string' ? encodeUtf8(piece) : piece)].length);
    };
    const file = pcap(101, [V6, V6]);
    const record = 16 + V6.length;
    expect(live([file.slice(0, 24), file.slice(24, 30), file.slice(30, 24 + record), file.slice(24 + record)])).toEqual(
      [0, 0, 1, 1],
    );
    expect(live([`${toHex(PCI)}\n`, '\n', `${toHex(PCI)}\n\n`])).toEqual([0, 1, 1]);
    expect(live([`12:00 IP6\n${dump(PCI)}`, '12:01 IP6\n', dump(PCI), '\n'])).toEqual([0, 1, 0, 1]);
  });
});

describe('Hexadecimal text', () => {
  const blocks = (text: string) => {
    const reader = new TextReader();
    return [...reader.push(encodeUtf8(text)), ...reader.end()];
  };

  it('of tshark leaves out what it reassembled from frames', () => {
    const text =
      'Frame (3 bytes):\n0000  01 02 03   ...\nReassembled TCP (2 bytes):\n0000  05 06   ..\n\n0000  07   .\n';
    expect(blocks(text).map((block) => ('octets' in block ? toHex(block.octets) : block.problem))).toEqual([
      '010203',
      '07',
    ]);
  });

  it('is bounded', () => {
    expect(blocks('0'.repeat(5_000_000))).toEqual([{ line: 0, problem: 'a line of more than 4194304 characters' }]);
    expect(blocks(`${'00'.repeat(1000)}\n`.repeat(2100))).toEqual([
      { line: expect.any(Number), problem: 'a message of more than 4194304 characters' },
    ]);
  });
});
