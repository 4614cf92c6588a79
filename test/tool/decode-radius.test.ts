import { describe, expect, it } from 'vitest';
import { concat, encodeUtf8 } from '../../src/protocol/bytes/octets.js';
import { Secret } from '../../src/protocol/bytes/secret.js';
import { encodePana, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { attribute, mppeKeys, vendorAttribute } from '../../src/protocol/radius/wire/attributes.js';
import { type Attribute, CODE, encodeRadius } from '../../src/protocol/radius/wire/codec.js';
import { CaptureLadder } from '../../src/tool/decode/capture-ladder.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { ipv6, pcap, u16 } from './frames.js';

type Place = readonly [host: number, port: number];

/** fd00::N */
function host(number: number): Uint8Array {
  const octets = new Uint8Array(16);
  octets[0] = 0xfd;
  octets[15] = number;
  return octets;
}

function datagram([from, fromPort]: Place, [to, toPort]: Place, octets: Uint8Array): Uint8Array {
  const udp = concat(u16(fromPort), u16(toPort), u16(octets.length + 8), u16(0), octets);
  return ipv6(17, udp, host(from), host(to));
}

const SIGNED = attribute('Message-Authenticator', new Uint8Array(16));
const packet = (name: keyof typeof CODE, identifier: number, attributes: readonly Attribute[]) =>
  encodeRadius({ code: CODE[name], identifier, authenticator: new Uint8Array(16).fill(7), attributes });

const text = encodeUtf8('mn1@home.example');
const IDENTITY = concat(Uint8Array.of(2, 1), u16(5 + text.length), Uint8Array.of(1), text);
const STATE = attribute('State', Uint8Array.of(1, 2, 3));
const ID = attribute('Acct-Session-Id', '0a1b2c3d');

const PAC: Place = [1, 5000];
const PAA: Place = [2, 716];
const pan = encodePana({
  type: MESSAGE_TYPE.AUTH,
  flags: 0,
  sessionId: 7,
  sequence: 1,
  avps: [makeAvp('EAP-Payload', IDENTITY)],
});

/** A bootstrap by RADIUS, its accounting, and its end by the server. */
const FRAMES = [
  datagram(PAC, PAA, pan),
  datagram([3, 40_000], [4, 1812], packet('Access-Request', 1, [...SIGNED, ...attribute('EAP-Message', IDENTITY)])),
  datagram([3, 40_000], [4, 1812], packet('Access-Request', 1, [...SIGNED, ...attribute('EAP-Message', IDENTITY)])),
  datagram([4, 1812], [3, 40_000], packet('Access-Challenge', 1, [...SIGNED, ...STATE])),
  datagram([3, 40_000], [4, 1812], packet('Access-Request', 2, [...SIGNED, ...STATE, ...ID])),
  datagram(
    [4, 1812],
    [3, 40_000],
    packet('Access-Accept', 2, [...SIGNED, ...attribute('User-Name', 'mn1@home.example')]),
  ),
  datagram([3, 40_001], [4, 1813], packet('Accounting-Request', 3, [...attribute('Acct-Status-Type', 1), ...ID])),
  datagram([4, 1813], [3, 40_001], packet('Accounting-Response', 3, [])),
  datagram([4, 40_002], [2, 3799], packet('Disconnect-Request', 4, ID)),
  datagram([2, 3799], [4, 40_002], packet('Disconnect-NAK', 4, attribute('Error-Cause', 503))),
];

function decoded(frames: readonly Uint8Array[]) {
  const decoder = new Decoder(32473);
  return { all: [...decoder.decode(pcap(101, frames))], others: decoder.others };
}

describe('decode of RADIUS', () => {
  it('draws a bootstrap with the names of its packets, the PAA being the client on all its ports', () => {
    const ladder = new CaptureLadder(90);
    for (const { heard } of decoded(FRAMES).all) if (heard) ladder.add(heard);
    expect(ladder.draw()?.split('\n')).toEqual([
      'PaC         fd00::1 port 5000',
      'PAA         fd00::2 port 716, fd00::3 port 40000, fd00::3 port 40001, 1 more',
      'server      fd00::4 port 1812, fd00::4 port 1813, fd00::4 port 40002',
      'begins 1970-01-01T00:00:00.500Z',
      '',
      '        ms  PaC                                 PAA                                 server',
      '       0.0  |-- PAN --------------------------->|                                   |',
      '    1000.0  |                                   |-- Access-Request ---------------->|',
      '    2000.0  |                                   |-- Access-Request (repeat) ------->|',
      '    3000.0  |                                   |<- Access-Challenge ---------------|',
      '    4000.0  |                                   |-- Access-Request ---------------->|',
      '    5000.0  |                                   |<- Access-Accept ------------------|',
      '    6000.0  |                                   |-- Accounting-Request Start ------>|',
      '    7000.0  |                                   |<- Accounting-Response ------------|',
      '    8000.0  |                                   |<- Disconnect-Request -------------|',
      '    9000.0  |                                   |-- Disconnect-NAK Session-Conte… ->|',
    ]);
  });

  it('shows attributes by name, EAP opened, and no key', () => {
    const secret = Secret.copyOf(encodeUtf8('secret'));
    const keys = mppeKeys(Secret.copyOf(new Uint8Array(64).fill(9)), 1, {
      secret,
      requestAuthenticator: new Uint8Array(16),
    });
    const accept = packet('Access-Accept', 9, [
      ...SIGNED,
      ...attribute('EAP-Message', IDENTITY),
      ...attribute('Session-Timeout', 3600),
      ...attribute('Termination-Action', 1),
      ...keys,
      vendorAttribute(32473, { type: 3, value: host(5) }),
      { type: 250, value: Uint8Array.of(1) },
    ]);
    const [only] = decoded([datagram([4, 1812], [3, 40_000], accept)]).all;
    expect(only?.text.split('\n').slice(1)).toEqual([
      'RADIUS Access-Accept  identifier 9',
      `    Message-Authenticator      ${'00'.repeat(16)}`,
      '    EAP-Message                EAP Response  identifier 1  Identity "mn1@home.example"',
      '    Session-Timeout            3600',
      '    Termination-Action         1 RADIUS-Request',
      '    MS-MPPE-Recv-Key           50 octets, not shown',
      '    MS-MPPE-Send-Key           50 octets, not shown',
      '    MIP6-Home-Address          fd00::5',
      '    attribute 250              01',
    ]);
  });

  it('recognizes a packet with Message-Authenticator on any port, and no other datagram', () => {
    const signed = packet('Status-Server', 1, SIGNED);
    const plain = packet('Access-Request', 1, []);
    const { all, others } = decoded([
      datagram([1, 20_000], [2, 20_001], signed),
      datagram([1, 20_000], [2, 20_001], plain),
      datagram([1, 20_000], [2, 20_001], concat(signed, Uint8Array.of(0))),
      datagram([1, 20_000], [2, 1812], Uint8Array.of(1, 2, 0, 30)),
    ]);
    expect(all.map(({ text: shown }) => shown.split('\n')[1])).toEqual(['RADIUS Status-Server  identifier 1']);
    expect(others).toEqual([expect.stringContaining('2 packets on UDP port 20000'), expect.stringContaining('1812')]);
  });
});
