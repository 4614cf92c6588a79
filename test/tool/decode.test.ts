import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../src/protocol/bytes/decode-error.js';
import { concat, encodeUtf8, fromHex, toHex } from '../../src/protocol/bytes/octets.js';
import { readPana } from '../../src/protocol/pana/wire/dictionary.js';
import { OperatorError } from '../../src/runtime/system/failure.js';
import { isCapture, readCapture } from '../../src/tool/decode/capture.js';
import { CaptureLadder } from '../../src/tool/decode/capture-ladder.js';
import { type Decoded, Decoder } from '../../src/tool/decode/decoder.js';
import { Dissector } from '../../src/tool/decode/dissector.js';
import { SessionKeys } from '../../src/tool/decode/keys.js';
import { run } from '../daemons/program.js';
import { OCTETS, VECTORS, vector } from '../protocol/diameter/wire/vectors.js';
import { Ladder } from '../protocol/pana/session/ladder.js';
import { RECORDINGS, recording } from '../protocol/pana/wire/vectors.js';
import { runs } from '../seed.js';
import { ethernet, FROM, ipv4, ipv6, pcap, TO, tcp, u16, u32, udp } from './frames.js';

const PANA = RECORDINGS.flatMap((name) => recording(name).messages.map(({ hex }) => fromHex(hex)));
const PCI = fromHex('00000010000000010000000000000000');

function captureLadder(messages: readonly Decoded[], width = 100): string | undefined {
  const ladder = new CaptureLadder(width);
  for (const { heard } of messages) if (heard) ladder.add(heard);
  return ladder.draw();
}

function texts(input: Uint8Array): string[] {
  return [...new Decoder(32473).decode(input)].map(({ text }) => text);
}

describe('Decoder', () => {
  it('decodes every recorded message, with the names of RFC 5191 and of draft-ietf-pana-pana-12', () => {
    const decoder = new Decoder(32473);
    for (const octets of [...PANA, ...OCTETS]) expect(decoder.message(octets)).toMatchObject({ ok: true });
    const names = PANA.map((octets) => decoder.message(octets).text.split('\n')[0]);
    expect(names.some((name) => name?.startsWith('PANA PAR[S] / PSR  session '))).toBe(true);
    expect(names.some((name) => name?.startsWith('PANA PAN[C] / PBA  session '))).toBe(true);
    for (const [i, { message }] of VECTORS.entries()) {
      expect(decoder.message(OCTETS[i] ?? PCI).text).toContain(`Diameter ${message} `);
    }
  });

  it('shows EAP and the TLS records reassembled from fragments', () => {
    const decoder = new Decoder(32473);
    const all = recording('full-eap-tls')
      .messages.map(({ hex }) => decoder.message(fromHex(hex)).text)
      .join('\n');
    expect(all).toContain('EAP Request  identifier 160  EAP-TLS  start');
    expect(all).toContain('TLS handshake client_hello');
    expect(all).toContain('octets, more follow');
    expect(all).toMatch(/TLS handshake server_hello/);
    expect(all).toContain('EAP Success');
  });

  it('shows the length of a key in place of its value', () => {
    const dea = VECTORS.map(({ hex }) => fromHex(hex)).map((octets) => new Decoder(32473).message(octets).text);
    const keys = dea.flatMap((text) => text.split('\n').filter((line) => line.includes('EAP-Master-Session-Key')));
    expect(keys.length).toBeGreaterThan(0);
    for (const line of keys) expect(line).toMatch(/\d+ octets, not shown$/);
  });

  it('reads hexadecimal text with colons, comments and several messages', () => {
    const text =
      '# a PCI\n0000 0010 0000 0001\n00:00:00:00 00:00:00:00\n\n\n00000010000000010000000000000000 # another\n';
    expect(texts(encodeUtf8(text))).toEqual(Array(2).fill('PANA PCI  session 00000000  sequence 0  flags -'));
  });

  it('reports what is wrong with an invalid message', () => {
    const bad = (text: string) => [...new Decoder(32473).decode(encodeUtf8(text))];
    expect(bad('0000zz')).toMatchObject([{ ok: false, text: expect.stringContaining('not hexadecimal') }]);
    expect(bad('00000010000000010000')).toMatchObject([{ ok: false, text: expect.stringContaining('as PANA: ') }]);
    expect(bad('0100001480000101')).toMatchObject([{ ok: false, text: expect.stringContaining('as Diameter: ') }]);
  });

  it.each([
    ['Ethernet, IPv6', 1, ethernet(0x86dd, ipv6(17, udp(PCI)))],
    ['Ethernet with a VLAN tag', 1, ethernet(0x8100, concat(u16(7), u16(0x86dd), ipv6(17, udp(PCI))))],
    ['Ethernet, IPv4', 1, ethernet(0x0800, ipv4(17, udp(PCI)))],
    ['raw IP', 101, ipv6(17, udp(PCI))],
    ['Linux cooked', 113, concat(new Uint8Array(14), u16(0x0800), ipv4(17, udp(PCI)))],
    ['BSD loopback', 0, concat(u32(30), ipv6(17, udp(PCI)))],
    ['another port', 101, ipv6(17, udp(PCI, 40_000))],
    ['a hop-by-hop option', 101, ipv6(0, concat(Uint8Array.of(17, 0), new Uint8Array(6), udp(PCI)))],
  ])('finds PANA in a capture: %s', (_what, linkType, frame) => {
    const [text] = texts(pcap(linkType, [frame]));
    expect(text).toMatch(/^00:00:00\.500 {2}\S+ port 5000 → \S+ port \d+\nPANA PCI /);
  });

  it('orders TCP segments of any size', () => {
    const messages = [vector('CER'), vector('CEA'), ...OCTETS.slice(0, 4)];
    const stream = concat(...messages);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20, size: 'max' }),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.boolean(),
        (cuts, begin, swap) => {
          const segments: Uint8Array[] = [];
          for (let at = 0, i = 0; at < stream.length; i += 1) {
            const length = cuts[i % cuts.length] ?? 1;
            segments.push(tcp((begin + at) >>> 0, stream.slice(at, at + length)));
            at += length;
          }
          // Some segments overtake others and one is repeated. The first segment stays first, because it shows where
          // the stream starts.
          const [first = new Uint8Array(0), ...rest] = segments;
          if (swap) for (let i = 0; i + 1 < rest.length; i += 2) rest.splice(i, 2, ...rest.slice(i, i + 2).reverse());
          const frames = [first, ...rest, first].map((segment) => ipv6(6, segment));
          const found = texts(pcap(101, frames));
          expect(found).toHaveLength(messages.length);
          expect(found.every((text) => text.includes('Diameter '))).toBe(true);
        },
      ),
    );
  });

  it('reads pcapng with the time resolution of its interface', () => {
    const frame = ipv6(17, udp(PCI));
    const padded = concat(frame, new Uint8Array(-frame.length & 3));
    const block = (type: number, body: Uint8Array) =>
      concat(u32(type), u32(body.length + 12), body, u32(body.length + 12));
    const file = concat(
      block(0x0a0d0d0a, concat(u32(0x1a2b3c4d), u16(1), u16(0), u32(0xffffffff), u32(0xffffffff))),
      block(1, concat(u16(101), u16(0), u32(65_535), u16(9), u16(1), Uint8Array.of(3, 0, 0, 0), u32(0))),
      block(6, concat(u32(0), u32(0), u32(61_250), u32(frame.length), u32(frame.length), padded)),
    );
    expect(isCapture(file)).toBe(true);
    expect(texts(file)[0]).toMatch(/^00:01:01\.250 /);
  });

  it('yields text or throws DecodeError or OperatorError for any octets', () => {
    const capture = pcap(1, [ethernet(0x86dd, ipv6(17, udp(PCI))), ethernet(0x86dd, ipv6(6, tcp(1, vector('CER'))))]);
    const mutated = fc
      .array(fc.tuple(fc.nat({ max: capture.length - 1 }), fc.integer({ min: 0, max: 255 })), { maxLength: 8 })
      .map((changes) => {
        const copy = capture.slice();
        for (const [at, value] of changes) copy[at] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200, size: 'max' })), (input) => {
        try {
          for (const { text } of new Decoder(32473).decode(input)) expect(typeof text).toBe('string');
          const dissector = new Dissector();
          if (isCapture(input)) for (const frame of readCapture(input)) dissector.read(frame);
        } catch (error) {
          if (!(error instanceof DecodeError || error instanceof OperatorError)) throw error;
        }
      }),
      { numRuns: runs(5_000) },
    );
  });
});

describe('A capture of a PANA session', () => {
  function session() {
    const ends = { exportKeys: true, encryption: 'wanted' } as const;
    const ladder = new Ladder({ pac: ends, paa: ends, delay: 5 });
    ladder.toPac({ type: 'start' });
    ladder.run(100);
    ladder.toPac({ type: 'reauthenticate' });
    ladder.run(200);
    ladder.toPac({ type: 'terminate' });
    ladder.run(300);
    const keys = ladder.pacEvents.flatMap((event) => (event.type === 'key' ? [event] : []));
    const text = keys
      .flatMap(({ sessionId, keyId, integrity, key, encryption }) => {
        const number = (value: number) => value.toString(16).padStart(8, '0');
        const place = `${number(sessionId)} ${number(keyId)}`;
        const pac = encryption && toHex(encryption.pac.octets());
        const paa = encryption && toHex(encryption.paa.octets());
        return [
          `PANA_AUTH_KEY ${place} ${integrity} ${toHex(key.octets())}\n`,
          `PANA_PAC_ENCR_KEY ${place} 1 ${pac}\nPANA_PAA_ENCR_KEY ${place} 1 ${paa}\n`,
        ];
      })
      .join('');
    const frames = ladder.lines.map(({ from, octets }) => {
      const ports = from === 'pac' ? concat(u16(5000), u16(716)) : concat(u16(716), u16(5000));
      const datagram = concat(ports, u16(octets.length + 8), u16(0), octets);
      return from === 'pac' ? ipv6(17, datagram) : ipv6(17, datagram, TO, FROM);
    });
    return { ladder, text, frames };
  }

  it('is drawn as a ladder, and each AUTH is verified with a key file', () => {
    const { ladder, text, frames } = session();
    const forged = frames.at(-2)?.slice() ?? new Uint8Array(0);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    const keys = SessionKeys.read(`# a lab's\n\n${text}`, 'paa.keys');
    const messages = [...new Decoder(32473, keys).decode(pcap(101, [...frames, forged]))];
    const lines = captureLadder(messages)?.split('\n') ?? [];
    expect(lines.slice(0, 2)).toEqual([
      expect.stringMatching(/^PaC {9}2020:\S+ port 5000$/),
      expect.stringMatching(/^PAA {9}3030:\S+ port 716$/),
    ]);
    const drawn = lines.slice(lines.findIndex((line) => line.startsWith('        ms')));
    expect(drawn[0]).toMatch(/^ +ms {2}PaC +PAA$/);
    expect(drawn[1]).toMatch(/^ +0\.0 {2}\|-- PCI -+>\|$/);
    expect(drawn[2]).toMatch(/ {2}\|<- PAR\[S\] \/ PSR -+\|$/);
    const names = ladder.lines.map(({ message, name }) => {
      const values = readPana(message);
      return typeof values !== 'string' && values.AUTH ? `${name} ✓` : name;
    });
    expect(names.filter((name) => name.endsWith('✓')).length).toBeGreaterThan(10);
    const shown = drawn.slice(1).map((line) => line.replace(/ \/ [A-Z]+/, ''));
    for (const [i, name] of names.entries()) expect(shown[i]).toContain(` ${name} -`);
    expect(shown.at(-1)).toContain('PTR ✗ AUTH');
    expect(messages.at(-1)?.text).toContain('WRONG');
    expect(messages.at(-2)?.text).toMatch(/valid, with key 0x[0-9a-f]{8}$/);
  });

  it('shows what is encrypted, with the key that opens it', () => {
    const { text, frames } = session();
    const decode = (keys: string) =>
      [...new Decoder(32473, SessionKeys.read(keys, 'paa.keys')).decode(pcap(101, frames))]
        .map((each) => each.text)
        .join('\n');
    const shown = decode(text);
    expect(shown).toMatch(/\n {4}Encryption-Algorithm +1 AES128_CTR\n/);
    expect(
      shown.match(/ {4}Encryption-Encap +opened with PANA_PAA_ENCR_KEY 0x[0-9a-f]{8}\n {8}Session-Lifetime +3600 s\n/g),
    ).toHaveLength(2);
    expect(shown).toMatch(/\n {8}MIP6-Home-Agent-Host +"ha\.home\.example"\n/);
    expect(shown).toMatch(
      / {4}Encryption-Encap +opened with PANA_PAC_ENCR_KEY 0x[0-9a-f]{8}\n {8}Termination-Cause +1 LOGOUT\n/,
    );
    expect(decode(text.replaceAll(/^PANA_P.*$/gm, ''))).not.toContain('ha.home.example');
  });

  it('that is decoded without keys has a note that the key is not known', () => {
    const { frames } = session();
    const messages = [...new Decoder(32473, SessionKeys.read('', 'empty')).decode(pcap(101, frames))];
    expect(messages.at(-1)?.text).toContain('no key of this session is known');
  });

  it('with an invalid key file is rejected with file and line', async () => {
    expect(() => SessionKeys.read('\nPANA_AUTH_KEY 1 2', 'x.keys')).toThrow('x.keys:2: not a line "PANA_AUTH_KEY');
    for (const [name, algorithm, key] of [
      ['PANA_AUTH_KEY', 99, '00'],
      ['PANA_PAC_ENCR_KEY', 1, '00'],
      ['PANA_PAC_ENCR_KEY', 2, '00'.repeat(16)],
      ['PANA_XYZ_ENCR_KEY', 1, '00'.repeat(16)],
    ]) {
      const line = `${name} 00000001 00000001 ${algorithm} ${key}`;
      expect(() => SessionKeys.read(line, 'x.keys'), line).toThrow('x.keys:1:');
    }
    const ended = await run('tool', ['decode', '--keys', '/nowhere'], { input: '00000010000000010000000000000000' });
    expect(ended).toMatchObject({ status: 2, stderr: 'pana-mip6: cannot read /nowhere: ENOENT\n' });
  });
});

describe('pana-mip6 decode', () => {
  it('reads standard input and files, and reports by its exit status whether all input was decoded', async () => {
    expect(await run('tool', ['decode'], { input: '00000010000000010000000000000000' })).toMatchObject({
      status: 0,
      stdout: 'PANA PCI  session 00000000  sequence 0  flags -\n',
    });
    expect((await run('tool', ['decode'], { input: pcap(101, [ipv6(17, udp(PCI))]) })).stdout).toContain('PANA PCI');
    expect((await run('tool', ['decode'], { input: '00' })).status).toBe(1);
    expect(await run('tool', ['decode', '/nowhere'])).toMatchObject({
      status: 2,
      stderr: 'pana-mip6: cannot read /nowhere: ENOENT\n',
    });
    expect((await run('tool', ['decode'], { input: '' })).stderr).toContain('no PANA, Diameter or RADIUS message');
  });
});
