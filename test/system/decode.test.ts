import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programOf } from '../../dist/lab/daemon-process.js';
import { concat, fromHex } from '../../src/protocol/bytes/octets.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { run } from '../daemons/program.js';
import { within } from '../eventually.js';
import { vector } from '../protocol/diameter/wire/vectors.js';
import { dataChunk, ipv4, ipv6, pcap, SYN, sctp, tcp, u16, u32, udp } from '../tool/frames.js';
import { STACKS } from '../tool/stacks.js';
import { announce, missing } from './access-network.js';

const execute = promisify(execFile);
const possible = announce('captures read by tshark', missing('tshark', 'editcap'));

/** Kinds that tshark 4.0 reads otherwise, with the reason. */
const OTHERWISE: Readonly<Record<string, string>> = {
  'a link type with the length of a frame check sequence': 'pcapng has no such link type',
  'a pseudowire with a control word': 'tshark takes the control word for a part of an address',
  'ESP with GMAC': 'tshark takes the initialization vector for a part of the payload',
  'UDP with length 0, as with segmentation offload': 'tshark allows it only in jumbograms',
};

/** A pcapng file with an interface for each frame. */
function pcapng(frames: readonly (readonly [linkType: number, frame: Uint8Array])[]): Uint8Array {
  const block = (type: number, ...body: readonly Uint8Array[]) => {
    const all = concat(...body);
    const padded = concat(all, new Uint8Array(-all.length & 3));
    return concat(u32(type), u32(padded.length + 12), padded, u32(padded.length + 12));
  };
  const section = block(0x0a0d0d0a, u32(0x1a2b3c4d), u16(1), u16(0), u32(0xffff_ffff), u32(0xffff_ffff));
  const interfaces = frames.map(([linkType]) => block(1, u16(linkType), u16(0), u32(0)));
  const packets = frames.map(([, frame], i) => {
    return block(6, u32(i), u32(0), u32(i * 1_000_000), u32(frame.length), u32(frame.length), frame);
  });
  return concat(section, ...interfaces, ...packets);
}

describe.runIf(possible)('pana-mip6 decode reads as tshark does', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'decode-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function save(name: string, octets: Uint8Array): Promise<string> {
    const file = join(folder, name);
    await writeFile(file, octets);
    return file;
  }

  /** The numbers of the frames in which tshark finds messages, with their names. */
  async function tshark(file: string, ...options: readonly string[]): Promise<string[]> {
    const fields = ['frame.number', 'pana.type', 'diameter.cmd.code'].flatMap((field) => ['-e', field]);
    const filter = [
      '-Y',
      'pana or diameter',
      '-o',
      'tcp.reassemble_out_of_order:TRUE',
      '-o',
      'esp.enable_null_encryption_decode_heuristic:TRUE',
      '-T',
      'fields',
    ];
    const { stdout } = await execute('tshark', ['-r', file, ...options, ...filter, ...fields]);
    return stdout.trim().split('\n');
  }

  it('layers around IP', async () => {
    const known = STACKS.filter(([what]) => !(what in OTHERWISE));
    const file = await save('stacks.pcapng', pcapng(known.map(([, linkType, frame]) => [linkType, frame])));
    const found = new Set((await tshark(file)).map((line) => Number(line.split('\t')[0])));
    expect(known.filter((_, i) => !found.has(i + 1)).map(([what]) => what)).toEqual([]);
  });

  it('streams, chunks, fragments and other formats of the same capture', async () => {
    const dwr = Array.from({ length: 6 }, (_, i) => {
      const octets = vector('DWR').slice();
      octets.set(u32(i + 1), 12);
      return octets;
    });
    const [one, two, three, four, five, six] = dwr as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const { length } = one;
    const segment = (sequence: number, octets: Uint8Array, flags = 0x18) => ipv6(6, tcp(sequence, octets, { flags }));
    const big = udp(
      concat(fromHex('000003f800000002'), u32(7), u32(1), fromHex('0002000003e00000'), new Uint8Array(992)),
    );
    const fragment = (offset: number, end: number) =>
      ipv6(44, concat(Uint8Array.of(17, 0), u16(offset | (end < big.length ? 1 : 0)), u32(9), big.slice(offset, end)));
    const part = (offset: number, end: number) => {
      const whole = ipv4(17, big.slice(offset, end));
      whole.set(u16(0x77), 4);
      whole.set(u16(((end < big.length ? 1 : 0) << 13) | (offset / 8)), 6);
      return whole;
    };
    const frames = [
      segment(99, new Uint8Array(0), SYN),
      segment(100 + length, two),
      segment(100, one),
      segment(100 + 2 * length, three.slice(0, 30)),
      segment(100 + 2 * length + 30, concat(three.slice(30), four)),
      // The same ports again.
      segment(5_000_000, new Uint8Array(0), SYN),
      segment(5_000_001, five),
      ipv6(132, sctp(dataChunk(1, six.slice(0, 24), 2))),
      ipv6(132, sctp(dataChunk(2, six.slice(24), 1), dataChunk(3, one))),
      fragment(512, big.length),
      fragment(0, 512),
      part(0, 256),
      part(512, big.length),
      part(256, 512),
    ];
    const file = await save('streams.pcap', pcap(101, frames));
    const messages = (await tshark(file)).flatMap((line) => line.split('\t').slice(1).join(',').match(/\d+/g) ?? []);
    const ours = [...new Decoder(32473).decode(pcap(101, frames))];
    expect(ours.map(({ ok }) => ok)).toEqual(Array(messages.length).fill(true));
    expect(ours).toHaveLength(9);

    // The same messages from other formats, which editcap writes.
    const texts = (await run('tool', ['decode', '--no-ladder', file])).stdout;
    for (const [name, options] of [
      ['nanoseconds.pcap', ['-F', 'nsecpcap']],
      ['modified.pcap', ['-F', 'modpcap']],
      ['next.pcapng', ['-F', 'pcapng']],
    ] as const) {
      const made = join(folder, name);
      await execute('editcap', [...options, file, made]);
      expect((await run('tool', ['decode', '--no-ladder', made])).stdout, name).toBe(texts);
    }
    await execute('gzip', ['-k', file]);
    expect((await run('tool', ['decode', '--no-ladder', `${file}.gz`])).stdout).toBe(texts);
    const dump = await execute('tshark', ['-x', '-r', file]);
    const times = /^\S+ {2}(?=\S+ port)| {2}repeat of .*/gm;
    const dumped = (await run('tool', ['decode', '--no-ladder'], { input: dump.stdout })).stdout;
    expect(dumped.replaceAll(times, '')).toBe(texts.replaceAll(times, ''));
  });

  it('names of values', async () => {
    const { valuesOfAvps } = await import('./wireshark-names.js');
    const { unsupportedAvp, valueNames } = await import('../../src/tool/decode/avp-names.js');
    const { Dictionary } = await import('../../src/protocol/diameter/wire/dictionary.js');
    const names = new Dictionary();
    for (const [code, values] of await valuesOfAvps()) {
      const name = names.nameOf(code, undefined) ?? unsupportedAvp(code)?.name;
      if (name === undefined || name.endsWith('Result-Code')) continue;
      expect(Object.keys(valueNames(name) ?? {}), name).toEqual(expect.arrayContaining([...values]));
    }
  });
});

describe('pana-mip6 decode of a pipe', () => {
  it('prints each message as it arrives, and the ladder after an interrupt', { timeout: 60_000 }, async () => {
    const message = udp(fromHex('00000010000000010000000000000000'));
    const file = pcap(101, [ipv6(17, message), ipv6(17, message)]);
    const middle = 24 + 16 + 40 + message.length;
    for (const options of [[], ['--no-messages']]) {
      const child = spawn(process.execPath, [programOf('tool'), 'decode', ...options, '-']);
      const printed = async () => String((await within(once(child.stdout, 'data'), 'decode prints something'))[0]);
      child.stdin.write(file.subarray(0, middle));
      expect(await printed()).toMatch(options.length === 0 ? /PANA PCI.*\n$/ : / 0\.0 {2}\|-- PCI -+>\|/);
      child.stdin.write(file.subarray(middle));
      expect(await printed()).toMatch(
        options.length === 0 ? /PANA PCI/ : /^ +1000\.0 {2}\|-- PCI \(repeat\) -+>\| #1\n$/,
      );
      // The pipe stays open, as if tcpdump had not got the signal.
      child.kill('SIGINT');
      if (options.length === 0) expect(await printed()).toContain('|-- PCI (repeat)');
      expect((await within(once(child, 'exit'), 'decode ends'))[0]).toBe(0);
    }
  });
});
