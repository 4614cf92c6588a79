import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Lab, type Place } from '../../dist/lab/lab.js';
import {
  AVP_FLAG,
  type Avp,
  type DiameterMessage,
  encodeDiameter,
  FLAG,
} from '../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DER, STR } from '../../src/protocol/diameter/wire/commands.js';
import { AVPS } from '../../src/protocol/diameter/wire/dictionary.js';
import { numbersOf } from './numbers.js';
import { grammarian, RawPeer } from './raw-peer.js';

const HOST = 'raw.access.example';
let lab: Lab;
let place: Place;
let peer: RawPeer;

beforeAll(async () => {
  lab = await Lab.make({ hooks: false, aaa: { diameter: { peers: [{ host: HOST }] } } });
  ({ place } = await lab.startAaa());
});

beforeEach(async () => {
  peer = await RawPeer.open(place, HOST);
});

afterEach(async () => {
  peer.close();
  await peer.closed;
});

afterAll(() => lab.close());

const CONTENT = {
  'Session-Id': `${HOST};1;1`,
  'Auth-Application-Id': APPLICATION.EAP,
  'Origin-Host': HOST,
  'Origin-Realm': 'access.example',
  'Destination-Realm': 'home.example',
  'Auth-Request-Type': 3,
  'EAP-Payload': new Uint8Array(0),
} as const;

function der(more: object = {}): DiameterMessage {
  const message = grammarian.message(DER, APPLICATION.EAP, { ...CONTENT, ...more });
  return { ...message, hopByHop: 0x1234, endToEnd: 0x5678 };
}

function avp(name: keyof typeof AVPS, data: Uint8Array, flags: number = AVP_FLAG.M): Avp {
  return { code: AVPS[name].code, flags, vendorId: undefined, data };
}

const with_ = (...avps: Avp[]): DiameterMessage => ({ ...der(), avps: [...der().avps, ...avps] });
const without = (name: keyof typeof AVPS): DiameterMessage => ({
  ...der(),
  avps: der().avps.filter(({ code }) => code !== AVPS[name].code),
});

const unknown: Avp = { code: 65_000, flags: AVP_FLAG.M, vendorId: undefined, data: Uint8Array.of(1, 2, 3, 4) };

interface Row {
  readonly what: string;
  readonly request: DiameterMessage;
  readonly code: number;
  readonly failed?: number;
  readonly isProtocolError?: boolean;
}

const ROWS: readonly Row[] = [
  { what: 'an unknown command', request: { ...der(), commandCode: 9999 }, code: 3001, isProtocolError: true },
  {
    what: 'a command that this server does not support',
    request: { ...der(), commandCode: 258 },
    code: 3001,
    isProtocolError: true,
  },
  {
    what: 'a foreign Destination-Host',
    request: der({ 'Destination-Host': 'other.home.example' }),
    code: 3002,
    isProtocolError: true,
  },
  {
    what: 'its own Route-Record',
    request: der({ 'Route-Record': ['aaa.home.example'] }),
    code: 3005,
    isProtocolError: true,
  },
  { what: 'another application', request: { ...der(), applicationId: 4 }, code: 3007, isProtocolError: true },
  { what: 'the E bit', request: { ...der(), flags: FLAG.R | FLAG.P | FLAG.E }, code: 3008, isProtocolError: true },
  {
    what: 'a reserved AVP bit',
    request: with_(avp('User-Name', Uint8Array.of(65), AVP_FLAG.M | 0x01)),
    code: 3009,
    failed: AVPS['User-Name'].code,
    isProtocolError: true,
  },
  { what: 'an unknown AVP with M', request: with_(unknown), code: 5001, failed: unknown.code },
  {
    what: 'an unknown AVP with M in a group',
    request: with_(avp('MIP6-Agent-Info', new Uint8Array([0, 0, 0xfd, 0xe8, AVP_FLAG.M, 0, 0, 12, 1, 2, 3, 4]))),
    code: 5001,
    failed: AVPS['MIP6-Agent-Info'].code,
  },
  {
    what: 'a Response without a conversation',
    request: der({ 'Session-Id': `${HOST};1;404`, 'EAP-Payload': Uint8Array.of(2, 1, 0, 6, 13, 0) }),
    code: 5002,
  },
  {
    what: 'invalid UTF-8',
    request: with_(avp('User-Name', Uint8Array.of(0xff, 0xfe))),
    code: 5004,
    failed: AVPS['User-Name'].code,
  },
  {
    what: 'an unknown Auth-Request-Type',
    request: der({ 'Auth-Request-Type': 99 }),
    code: 5004,
    failed: AVPS['Auth-Request-Type'].code,
  },
  {
    what: 'an Auth-Request-Type not allowed with EAP',
    request: der({ 'Auth-Request-Type': 1 }),
    code: 5004,
    failed: AVPS['Auth-Request-Type'].code,
  },
  {
    what: 'an unknown Auth-Session-State',
    request: der({ 'Auth-Session-State': 7 }),
    code: 5004,
    failed: AVPS['Auth-Session-State'].code,
  },
  {
    what: 'an Auth-Application-Id other than in the header',
    request: der({ 'Auth-Application-Id': 1 }),
    code: 5004,
    failed: AVPS['Auth-Application-Id'].code,
  },
  {
    what: 'an Event-Timestamp of three octets',
    request: with_(avp('Event-Timestamp', Uint8Array.of(1, 2, 3))),
    code: 5014,
    failed: AVPS['Event-Timestamp'].code,
  },
  {
    what: 'a Destination-Realm that is not served',
    request: der({ 'Destination-Realm': 'other.example' }),
    code: 3003,
    isProtocolError: true,
  },
  { what: 'no EAP-Payload', request: without('EAP-Payload'), code: 5005, failed: AVPS['EAP-Payload'].code },
  {
    what: 'no Auth-Request-Type',
    request: without('Auth-Request-Type'),
    code: 5005,
    failed: AVPS['Auth-Request-Type'].code,
  },
  {
    what: 'a Session-Timeout',
    request: with_(avp('Session-Timeout', Uint8Array.of(0, 0, 0, 1))),
    code: 5008,
    failed: AVPS['Session-Timeout'].code,
  },
  {
    what: 'two EAP-Payloads',
    request: with_(avp('EAP-Payload', new Uint8Array(0))),
    code: 5009,
    failed: AVPS['EAP-Payload'].code,
  },
  {
    what: 'a foreign Origin-Host',
    request: der({ 'Origin-Host': 'other.access.example' }),
    code: 5012,
  },
  {
    what: 'an Unsigned32 of three octets',
    request: with_(avp('Framed-MTU', Uint8Array.of(1, 2, 3))),
    code: 5014,
    failed: AVPS['Framed-MTU'].code,
  },
];

describe('Diameter request', () => {
  it.each(ROWS)('with $what is answered with $code', async ({ request, code, failed, isProtocolError = false }) => {
    const answer = await peer.ask(encodeDiameter(request));
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(code);
    expect(answer).toMatchObject({ hopByHop: 0x1234, endToEnd: 0x5678, commandCode: request.commandCode });
    // RFC 6733 7.1.3 and 6.2: the E bit for protocol errors only, the P bit as in the request.
    expect(answer.flags).toBe((isProtocolError ? FLAG.E : 0) | FLAG.P);
    const failedAvp = answer.avps.find((each) => each.code === AVPS['Failed-AVP'].code);
    if (failed === undefined) expect(failedAvp).toBeUndefined();
    else expect(Buffer.from(failedAvp?.data ?? []).readUInt32BE(0)).toBe(failed);
    expect(answer.avps[0]?.code).toBe(AVPS['Session-Id'].code);
    expect(grammarian.find(answer.avps, 'Origin-Host')).toBe('aaa.home.example');
  });

  it('with an unknown AVP without M is accepted, and its Proxy-Info is returned in order', async () => {
    const proxies = ['one.example', 'two.example'].map((host) => ({
      'Proxy-Host': host,
      'Proxy-State': Uint8Array.of(7),
    }));
    const request = der({ 'Proxy-Info': proxies, 'Route-Record': ['paa.example'] });
    const answer = await peer.ask(encodeDiameter({ ...request, avps: [...request.avps, { ...unknown, flags: 0 }] }));
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(1001);
    const sent = request.avps.filter(({ code }) => code === AVPS['Proxy-Info'].code);
    expect(answer.avps.slice(-2)).toEqual(sent);
  });

  it('with an AVP length beyond the message is answered with 5014 and Failed-AVP', async () => {
    const octets = encodeDiameter(der());
    // The last AVP claims more octets than there are.
    octets[octets.length - 1] = 99;
    const answer = await peer.ask(octets);
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(5014);
    expect(answer.avps.some(({ code }) => code === AVPS['Failed-AVP'].code)).toBe(true);
  });

  it('STR for an unknown session is answered with 5002 each time', async () => {
    const str = grammarian.message(STR, APPLICATION.EAP, {
      'Session-Id': `${HOST};1;9`,
      'Origin-Host': HOST,
      'Origin-Realm': 'access.example',
      'Destination-Realm': 'home.example',
      'Auth-Application-Id': APPLICATION.EAP,
      'Termination-Cause': 1,
    });
    for (const endToEnd of [1, 2]) {
      const answer = await peer.ask(encodeDiameter({ ...str, endToEnd }));
      expect(grammarian.find(answer.avps, 'Result-Code')).toBe(5002);
    }
  });

  it('that is retransmitted gets the same answer and is not processed again', async () => {
    const session = { 'Session-Id': `${HOST};1;6` };
    const identity = Uint8Array.of(2, 9, 0, 7, 1, 0x40, 0x78);
    const first = encodeDiameter({ ...der({ ...session, 'EAP-Payload': identity }), endToEnd: 600 });
    const answer = await peer.ask(first);
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(1001);
    const again = await peer.ask(changed(first, 4, FLAG.R | FLAG.P | FLAG.T));
    expect(again).toEqual(answer);
    const sum = await numbersOf(lab, 'aaa');
    expect(sum('pana_aaa_duplicates_total')).toBeGreaterThanOrEqual(1);
  });

  it('DER with an EAP Request fails the conversation (RFC 4072 2.8.4)', async () => {
    const session = { 'Session-Id': `${HOST};1;5` };
    const begun = await peer.ask(encodeDiameter(der(session)));
    expect(grammarian.find(begun.avps, 'Result-Code')).toBe(1001);
    const request = grammarian.find(begun.avps, 'EAP-Payload') ?? new Uint8Array(0);
    const answer = await peer.ask(encodeDiameter({ ...der({ ...session, 'EAP-Payload': request }), endToEnd: 77 }));
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(4001);
    // EAP-Failure.
    expect(grammarian.find(answer.avps, 'EAP-Payload')?.[0]).toBe(4);
    expect(grammarian.find(answer.avps, 'EAP-Reissued-Payload')).toBeUndefined();
  });
});

describe('Diameter connection', () => {
  it.each([
    ['of another version', 5011, (octets: Uint8Array) => changed(octets, 0, 2)],
    [
      'of a length that is not a multiple of four',
      5015,
      (octets: Uint8Array) => changed(octets, 3, (octets[3] ?? 0) + 1),
    ],
  ])('with a message %s is answered with %i and closed', async (_what, code, change) => {
    peer.close();
    await peer.closed;
    const other = await RawPeer.open(place, HOST);
    const answer = await other.ask(change(encodeDiameter(der())));
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(code);
    expect(answer.flags & FLAG.E).toBe(0);
    await other.closed;
  });

  it('is closed if its peer sends nothing', { timeout: 20_000 }, async () => {
    await (await RawPeer.connect(place)).closed;
  });
});

function changed(octets: Uint8Array, at: number, value: number): Uint8Array {
  const copy = octets.slice();
  copy[at] = value;
  return copy;
}
