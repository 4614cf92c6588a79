import { describe, expect, it } from 'vitest';
import { concat, encodeUtf8 } from '../../src/protocol/bytes/octets.js';
import { encodeDiameter, FLAG } from '../../src/protocol/diameter/wire/codec.js';
import { CER, DER, DWR } from '../../src/protocol/diameter/wire/commands.js';
import { encodePana, MESSAGE_TYPE, FLAG as PANA_FLAG, type PanaAvp } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { CaptureLadder } from '../../src/tool/decode/capture-ladder.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { ipv6, pcap, tcp, u16 } from './frames.js';

/** fd00::N */
function host(number: number): Uint8Array {
  const octets = new Uint8Array(16);
  octets[0] = 0xfd;
  octets[15] = number;
  return octets;
}

type Place = readonly [host: number, port: number];

function datagram([from, fromPort]: Place, [to, toPort]: Place, octets: Uint8Array): Uint8Array {
  const udp = concat(u16(fromPort), u16(toPort), u16(octets.length + 8), u16(0), octets);
  return ipv6(17, udp, host(from), host(to));
}

/** Segments of connections, with the sequence numbers that follow. */
function segments() {
  const next = new Map<string, number>();
  return ([from, fromPort]: Place, [to, toPort]: Place, octets: Uint8Array): Uint8Array => {
    const key = `${from} ${fromPort} ${to} ${toPort}`;
    const sequence = next.get(key) ?? 1;
    next.set(key, sequence + octets.length);
    return ipv6(6, tcp(sequence, octets, { from: fromPort, to: toPort }), host(from), host(to));
  };
}

const pana = (type: number, flags: number, sessionId: number, sequence: number, avps: readonly PanaAvp[] = []) =>
  encodePana({ type, flags, sessionId, sequence, avps });
const PCI = pana(MESSAGE_TYPE.PCI, 0, 0, 0);
const par = (session: number, sequence: number) =>
  pana(MESSAGE_TYPE.AUTH, PANA_FLAG.R | PANA_FLAG.S, session, sequence);
const pan = (session: number, sequence: number, eap?: Uint8Array) =>
  pana(MESSAGE_TYPE.AUTH, 0, session, sequence, eap ? [makeAvp('EAP-Payload', eap)] : []);

let lastHop = 0;
function diameter(
  command: { readonly code: number },
  avps: readonly (readonly [code: number, value: Uint8Array])[],
  isRequest = true,
) {
  lastHop += 1;
  return encodeDiameter({
    flags: isRequest ? FLAG.R : 0,
    commandCode: command.code,
    applicationId: 0,
    hopByHop: lastHop,
    endToEnd: lastHop,
    avps: avps.map(([code, data]) => ({ code, flags: 0, vendorId: undefined, data })),
  });
}
const SESSION_ID = 263;
const ORIGIN_HOST = 264;
const EAP_PAYLOAD = 462;

function ladderOf(frames: readonly Uint8Array[], width: number): string[] {
  const ladder = new CaptureLadder(width);
  for (const { heard } of new Decoder(32473).decode(pcap(101, frames))) if (heard) ladder.add(heard);
  return ladder.draw()?.split('\n') ?? [];
}

/** The lines from the names of the columns on. */
const body = (lines: readonly string[]) => lines.slice(lines.findIndex((line) => /^ +ms /.test(line)));

const eap = (name: string) => concat(Uint8Array.of(2, 1), u16(5 + name.length), Uint8Array.of(1), encodeUtf8(name));

/** A session of a PaC whose PAA has another address towards the AAA server. */
function session(
  send: ReturnType<typeof segments>,
  pac: Place,
  paa: Place,
  client: Place,
  server: Place,
  id: number,
  user: string,
) {
  return [
    datagram(pac, paa, PCI),
    datagram(paa, pac, par(id, 1)),
    datagram(pac, paa, pan(id, 1, eap(user))),
    send(
      client,
      server,
      diameter(DER, [
        [SESSION_ID, encodeUtf8(`paa;${id}`)],
        [EAP_PAYLOAD, eap(user)],
        [1, encodeUtf8(user)],
      ]),
    ),
    send(server, client, diameter(DER, [[SESSION_ID, encodeUtf8(`paa;${id}`)]], false)),
  ];
}

describe('The ladder of a capture', () => {
  it('has a column for each host: the Diameter client of a session is its PAA', () => {
    const lines = ladderOf(session(segments(), [1, 5000], [2, 716], [3, 40_000], [4, 3868], 7, 'mn1@example'), 80);
    expect(lines).toEqual([
      'PaC         fd00::1 port 5000',
      'PAA         fd00::2 port 716, fd00::3 port 40000',
      'server      fd00::4 port 3868',
      'begins 1970-01-01T00:00:00.500Z',
      '',
      '        ms  PaC                            PAA                            server',
      '       0.0  |-- PCI ---------------------->|                              |',
      '    1000.0  |<- PAR[S] / PSR --------------|                              |',
      '    2000.0  |-- PAN ---------------------->|                              |',
      '    3000.0  |                              |-- DER ---------------------->|',
      '    4000.0  |                              |<- DEA -----------------------|',
    ]);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('has a column for each port of a client, also if all ends have one address', () => {
    const send = segments();
    const first = session(send, [1, 5000], [1, 716], [1, 40_000], [1, 3868], 7, 'mn1@example');
    const second = session(send, [1, 5001], [1, 716], [1, 40_000], [1, 3868], 8, 'mn2@example');
    const lines = ladderOf([...first, ...second], 160);
    expect(lines.slice(0, 4)).toEqual([
      'PaC 1       fd00::1 port 5000',
      'PaC 2       fd00::1 port 5001',
      'PAA         fd00::1 port 716, fd00::1 port 40000',
      'server      fd00::1 port 3868',
    ]);
    expect(body(lines)[0]?.trim().split(/ {2,}/)).toEqual(['ms', 'PaC 1', 'PaC 2', 'PAA', 'server']);
    // The sessions are told apart, in PANA and in Diameter.
    const numbers = body(lines)
      .slice(1, 11)
      .map((line) => line.slice(-2));
    expect(numbers).toEqual([...Array(5).fill('#1'), ...Array(5).fill('#2')]);
    expect(lines.slice(-2)).toEqual([
      '  #1    mn1@example  PANA 00000007  Diameter paa;7',
      '  #2    mn2@example  PANA 00000008  Diameter paa;8',
    ]);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(160);
  });

  it('has one column for many clients if there is too little room, and draws every message', () => {
    const send = segments();
    const all = Array.from({ length: 30 }, (_, i) =>
      session(send, [10 + i, 5000], [2, 716], [3, 40_000], [4, 3868], 100 + i, `mn${i}@example`),
    );
    const lines = ladderOf(all.flat(), 80);
    expect(lines).toContain('PaC 3       fd00::c port 5000');
    expect(lines).toContain('… 6 more');
    expect(body(lines)[0]?.trim().split(/ {2,}/)).toEqual(['ms', 'PaCs', 'PAA', 'server']);
    const rungs = body(lines).filter((line) => line.includes('|'));
    expect(rungs).toHaveLength(150);
    expect(rungs[10]).toMatch(/ {2}\|-- 3: PCI -+>\| +\| #3$/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('has one column for the connections of a Diameter node, and several for several nodes behind an address', () => {
    const send = segments();
    const cer = (name: string) => diameter(CER, [[ORIGIN_HOST, encodeUtf8(name)]]);
    const frames = [
      send([3, 40_000], [4, 3868], cer('one.example')),
      send([3, 40_001], [4, 3868], cer('two.example')),
      send([3, 40_002], [4, 3868], cer('ONE.example')),
      send([5, 40_003], [4, 3868], cer('one.example')),
    ];
    expect(ladderOf(frames, 80).slice(0, 3)).toEqual([
      'client 1    fd00::3 port 40000, fd00::3 port 40002, fd00::5 port 40003  one.example',
      'client 2    fd00::3 port 40001  two.example',
      'server      fd00::4 port 3868',
    ]);
    // Two ends of a connection are two hosts, whatever they say.
    const same = [
      send([6, 40_000], [7, 3868], cer('x')),
      send([7, 3868], [6, 40_000], diameter(CER, [[ORIGIN_HOST, encodeUtf8('x')]], false)),
    ];
    expect(body(ladderOf(same, 80))[0]?.trim().split(/ {2,}/)).toEqual(['ms', 'client', 'server']);
  });

  it('marks repeats', () => {
    const send = segments();
    const dwr = diameter(DWR, []);
    const again = dwr.slice();
    again[4] = FLAG.R | FLAG.T;
    again[15] = 99;
    const frames = [
      datagram([1, 5000], [2, 716], PCI),
      datagram([1, 5000], [2, 716], PCI),
      datagram([2, 716], [1, 5000], par(7, 1)),
      datagram([2, 716], [1, 5000], par(7, 1)),
      datagram([1, 5000], [2, 716], pan(7, 1)),
      datagram([1, 5000], [2, 716], pan(7, 2)),
      // The PaC starts again: no repeat.
      datagram([1, 5000], [2, 716], PCI),
      send([3, 40_000], [4, 3868], dwr),
      send([3, 40_001], [4, 3868], again),
      send([3, 40_001], [4, 3868], diameter(DWR, [])),
    ];
    const marks = body(ladderOf(frames, 120))
      .filter((line) => line.includes('|'))
      .map((line) => line.includes('(repeat)'));
    expect(marks).toEqual([false, true, false, true, false, false, false, false, true, false]);
    const texts = [...new Decoder(32473).decode(pcap(101, frames))].map(({ text }) => text.split('\n')[0]);
    expect(texts[1]).toBe('00:00:01.500  fd00::1 port 5000 → fd00::2 port 716  repeat of 00:00:00.500');
  });

  it('shows what is missing', () => {
    const dwr = diameter(DWR, []);
    const lost = [1, 2, 4].map((number) =>
      ipv6(
        6,
        tcp(
          number * dwr.length,
          dwr.map((octet, i) => (i === 15 ? number : octet)),
        ),
        host(3),
        host(4),
      ),
    );
    expect(body(ladderOf(lost, 80))[3]).toMatch(/\|-- \? 20 octets missing -+>\|$/);
  });

  it('has a column for a relay (RFC 6345), and opens its messages', () => {
    const address = concat(host(1), u16(5000));
    const pry = (message: Uint8Array) =>
      pana(MESSAGE_TYPE.RELAY, 0, 0, 0, [makeAvp('PaC-Information', address), makeAvp('Relayed-Message', message)]);
    const frames = [
      datagram([1, 5000], [8, 716], PCI),
      datagram([8, 716], [2, 716], pry(PCI)),
      datagram([2, 716], [8, 716], pry(par(7, 1))),
      datagram([8, 716], [1, 5000], par(7, 1)),
      datagram([9, 5000], [8, 716], PCI),
    ];
    const lines = ladderOf(frames, 100);
    expect(lines.slice(0, 3)).toEqual([
      'PaC 1       fd00::1 port 5000',
      'PaC 2       fd00::9 port 5000',
      'PRE         fd00::8 port 716',
    ]);
    expect(
      body(lines)
        .slice(1, 6)
        .map((line) => line.replaceAll(/[ |-]+/g, ' ')),
    ).toEqual([
      ' 0.0 PCI > #1',
      ' 1000.0 PRY: PCI > #1',
      ' 2000.0 < PRY: PAR[S] / PSR #1',
      ' 3000.0 < PAR[S] / PSR #1',
      ' 4000.0 PCI > #2',
    ]);
    const [, text = ''] = [...new Decoder(32473).decode(pcap(101, frames))].map((decoded) => decoded.text);
    expect(text.split('\n').slice(1)).toEqual([
      'PANA PRY  session 00000000  sequence 0  flags -',
      '    PaC-Information            fd00::1 port 5000',
      '    Relayed-Message',
      '        PANA PCI  session 00000000  sequence 0  flags -',
    ]);
  });

  it('grows with a capture that goes on, and names its columns again when there are more', () => {
    const ladder = new CaptureLadder(80);
    const decoder = new Decoder(32473);
    const file = pcap(101, session(segments(), [1, 5000], [2, 716], [3, 40_000], [4, 3868], 7, 'mn1@example'));
    const heads: number[] = [];
    const lines: string[] = [];
    for (const { heard } of decoder.push(file)) {
      if (heard) ladder.add(heard);
      const next = ladder.next();
      lines.push(...next);
      heads.push(next.filter((line) => /^ +ms /.test(line)).length);
    }
    expect(heads).toEqual([1, 0, 0, 1, 0]);
    expect(lines.at(-1)).toMatch(/\|<- DEA -+\| #1$/);
  });

  it('lets nobody write on the terminal', () => {
    const frames = session(segments(), [1, 5000], [2, 716], [3, 40_000], [4, 3868], 7, 'mn\u001b[31m');
    const more = session(segments(), [9, 5000], [2, 716], [3, 40_000], [4, 3868], 8, 'x');
    const cer = segments()([3, 40_000], [4, 3868], diameter(CER, [[ORIGIN_HOST, encodeUtf8('evil\u001b]0;x\u0007')]]));
    const text = ladderOf([...frames, ...more, cer], 80).join('\n');
    expect(text).toContain('\\u001b[31m');
    expect(text).toMatch(/^[\n -~…]*$/);
  });
});
