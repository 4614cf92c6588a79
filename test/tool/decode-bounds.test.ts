import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { concat, fromHex } from '../../src/protocol/bytes/octets.js';
import { encodeDiameter, encodeGroup } from '../../src/protocol/diameter/wire/codec.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { DiameterStream } from '../../src/tool/decode/diameter-stream.js';
import { Flows } from '../../src/tool/decode/flows.js';
import { RecentMap } from '../../src/tool/decode/heard.js';
import { TcpStream } from '../../src/tool/decode/tcp-stream.js';
import { run } from '../daemons/program.js';
import { vector } from '../protocol/diameter/wire/vectors.js';
import { dataChunk, ipv6, pcap, sctp, tcp, u32, udp } from './frames.js';

const PCI = fromHex('00000010000000010000000000000000');
const NONE = new Uint8Array(0);

describe('The state of a decoder', () => {
  it('is bounded in flows, and gives up those that were not used for long', () => {
    const flows = new Flows<{ readonly name: string; readonly held: number }>(2);
    const use = (name: string) => {
      flows.get(name, () => ({ name, held: 0 }));
      return flows.settle(name).map((flow) => flow.name);
    };
    expect(['a', 'b', 'c', 'a', 'd', 'e'].map(use)).toEqual([[], [], [], [], [], ['b', 'c']]);
    expect(flows.find('a')).toEqual({ name: 'a', held: 0 });
    expect([...flows.end()].map(({ name }) => name)).toEqual(['a', 'd', 'e']);
  });

  it('is bounded in octets that flows hold', () => {
    const flows = new Flows<{ readonly name: string; readonly held: number }>();
    const use = (name: string, held: number) => {
      flows.get(name, () => ({ name, held }));
      return flows.settle(name).map((flow) => flow.name);
    };
    expect(use('a', 40 * 2 ** 20)).toEqual([]);
    expect(use('b', 20 * 2 ** 20)).toEqual([]);
    expect(use('c', 10 * 2 ** 20)).toEqual(['a', 'b', 'c']);
    expect(use('d', 34 * 2 ** 20)).toEqual([]);
  });

  it('forgets what was not used for long', () => {
    const map = new RecentMap<number>(4);
    for (const [i, key] of ['a', 'b', 'c', 'a', 'd', 'e', 'f'].entries()) map.set(key, i);
    expect(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => map.get(key))).toEqual([3, undefined, undefined, 4, 5, 6]);
    map.delete('d');
    expect(map.get('d')).toBeUndefined();
  });

  it('gives up what a segment waits for when too much waits, or for too long', () => {
    const stream = new TcpStream();
    const push = (at: number, sequence: number, octets = new Uint8Array(65_535)) =>
      stream.push({ at, sequence, syn: false, payload: octets, cut: 0 }).map(({ type }) => type);
    push(0, 0, Uint8Array.of(1));
    for (let i = 1; i <= 16; i += 1) expect(push(0, i * 65_600)).toEqual([]);
    expect(push(0, 17 * 65_600)).toEqual(['missing', 'octets']);
    expect(stream.held).toBeLessThanOrEqual(2 ** 20);
    expect(push(10_001, 18 * 65_600)).toEqual(Array(17).fill(['missing', 'octets']).flat());
    expect(stream.held).toBe(0);
  });

  it('reads a message in segments of one octet in linear time, and a stream that is no Diameter without keeping it', () => {
    const stream = new DiameterStream(true);
    const message = concat(fromHex('01100000'), new Uint8Array(2 ** 20 - 4));
    const found: string[] = [];
    for (const octet of message) {
      for (const { type } of stream.push([{ type: 'octets', octets: Uint8Array.of(octet) }])) found.push(type);
    }
    expect(found).toEqual(['message']);
    expect(stream.held).toBe(0);
    const other = new DiameterStream(false);
    // As long as a Diameter message may be, but with reserved flags: nothing waits for its end.
    expect([...other.push([{ type: 'octets', octets: fromHex('0100ff000f000101') }])]).toMatchObject([
      { type: 'other' },
    ]);
    expect(other.held).toBe(0);
  });

  it('does not grow with flows, fragments and chunks that are never complete', () => {
    const decoder = new Decoder(32473);
    const before = process.memoryUsage().heapUsed;
    const frames = [
      ipv6(6, tcp(5, fromHex('0100fffc'), { to: 3868 })),
      ipv6(44, concat(fromHex('11000001'), u32(7), new Uint8Array(64))),
      ipv6(132, sctp(dataChunk(1, new Uint8Array(64), 2))),
    ];
    const file = pcap(101, frames);
    const records = file.subarray(24);
    const sources = frames.map((_, i) => frames.slice(0, i).reduce((at, { length }) => at + 16 + length, 0) + 16 + 8);
    const message = pcap(101, [ipv6(17, udp(PCI))]);
    expect([...decoder.push(file)]).toEqual([]);
    for (let i = 0; i < 36_000; i += 1) {
      // Each round has another source address.
      for (const at of sources) records.set(u32(i), at);
      for (const { ok } of decoder.push(records)) expect(ok).toBe(false);
    }
    expect([...decoder.push(message.subarray(24))]).toHaveLength(1);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200e6);
    for (const { ok } of decoder.end()) expect(ok).toBe(false);
  });

  it('shows deeply nested AVPs to a limit', () => {
    let data: Uint8Array = NONE;
    for (let depth = 0; depth < 60; depth += 1)
      data = encodeGroup([{ code: 279, flags: 0, vendorId: undefined, data }]);
    const message = { flags: 0, commandCode: 280, applicationId: 0, hopByHop: 0, endToEnd: 0 };
    const octets = encodeDiameter({ ...message, avps: [{ code: 279, flags: 0, vendorId: undefined, data }] });
    const lines = new Decoder(32473).message(octets).text.split('\n');
    expect(lines).toHaveLength(17);
    expect(lines.at(-1)).toMatch(/Failed-AVP +\d+ octets, too deep to show$/);
  });
});

describe('A connection', () => {
  const CER = vector('CER');
  const DWR = vector('DWR');
  const seen = (frames: readonly Uint8Array[]) =>
    [...new Decoder(32473).decode(pcap(101, frames))].map(({ text }) => text.split('\n')[1]?.replace(/ {2}.*/, ''));

  it('that was captured from its middle shows what arrived in the wrong order', () => {
    const frames = [
      ipv6(6, tcp(1000, DWR)),
      ipv6(6, tcp(1000 - CER.length, CER)),
      ipv6(6, tcp(1000 - CER.length, CER)),
    ];
    expect(seen(frames)).toEqual(['Diameter DWR', 'Diameter CER']);
  });

  it('that uses the ports of another one is a new one, also if its SYN was not captured', () => {
    const frames = [
      ipv6(6, tcp(0x7000_0000, CER)),
      ipv6(6, tcp(0x1000_0000, CER)),
      ipv6(6, tcp(0x1000_0000 + CER.length, DWR)),
    ];
    expect(seen(frames)).toEqual(['Diameter CER', 'Diameter CER', 'Diameter DWR']);
  });

  it('that ends within a message says so', () => {
    const frames = [ipv6(6, tcp(1, CER)), ipv6(6, tcp(1 + CER.length, DWR.subarray(0, 24)))];
    expect(seen(frames)).toEqual([
      'Diameter CER',
      `Diameter DWR, with a segment missing: 24 of ${DWR.length} octets are present`,
    ]);
  });
});

describe('pana-mip6 decode', () => {
  it('refuses a gzip bomb', { timeout: 60_000 }, async () => {
    // A pcapng file with a block of 4 GiB, which is ignored. Each further member is 128 MiB of zeros.
    const begin = concat(
      fromHex('0a0d0d0a0000001c1a2b3c4d00010000ffffffffffffffff0000001c'),
      u32(0x4711),
      u32(0xffff_fffc),
    );
    const member = gzipSync(new Uint8Array(128 * 2 ** 20));
    const bomb = concat(gzipSync(begin), ...Array<Uint8Array>(10).fill(member));
    expect(await run('tool', ['decode', '--no-messages'], { input: bomb })).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(
        /^pana-mip6: standard input: gzip: more than 1 GiB out of \d+ octets, which is no capture\n$/,
      ),
    });
  });

  it('decodes what is before the damage of a file', async () => {
    const file = pcap(101, [ipv6(17, udp(PCI)), ipv6(17, udp(PCI))]);
    const ended = await run('tool', ['decode', '-'], { input: file.subarray(0, file.length - 3) });
    expect(ended).toMatchObject({
      status: 1,
      stderr: 'standard input: the capture ends within a frame at octet 104: truncated\n',
    });
    expect(ended.stdout).toContain('PANA PCI');
    expect(ended.stdout).toMatch(/ {2}\|-- PCI -+>\|\n$/);
    const packed = gzipSync(
      concat(
        file,
        new Uint8Array(1000).map((_, i) => i * 7),
      ),
    );
    const cut = await run('tool', ['decode', '-'], { input: packed.subarray(0, packed.length - 9) });
    expect(cut).toMatchObject({ status: 1, stderr: expect.stringMatching(/^standard input: /) });
    expect(cut.stdout).toContain('PANA PCI');
  });
});
