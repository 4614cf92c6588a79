import { describe, expect, it } from 'vitest';
import { encodeUtf8, toHex } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import type { HomeAnswer } from '../../../../src/protocol/home/alphabet.js';
import { attributesOfNas } from '../../../../src/protocol/home/radius/accounting.js';
import { REAUTHENTICATE_WITHIN } from '../../../../src/protocol/home/radius/demands.js';
import { AttributeReader, attribute } from '../../../../src/protocol/radius/wire/attributes.js';
import { checkRequest, encodeResponse } from '../../../../src/protocol/radius/wire/authenticators.js';
import { type Attribute, CODE, decodeRadius, encodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { EXCHANGES, OTHER_SECRET, SECRET } from '../../radius/wire/vectors.js';
import { IDENTITY, NAI, SUCCESS, sessionOf } from '../home-rig.js';
import { clientOf, NAS, RadiusRig } from './radius-rig.js';

const PLACE = { address: '192.0.2.7', port: 3799 };
const SESSION = 'radius;ap1;112233445566778899aabbcc';
const NAMES = [...attribute('Acct-Session-Id', 'a-5'), ...attribute('NAS-Identifier', 'ap1')];
const own = attribute('Class', encodeUtf8(SESSION));
const status = (value: number) => attribute('Acct-Status-Type', value);
const REPORTED: HomeAnswer = { type: 'reported', known: true };
const rigWithDae = () => new RadiusRig({ clients: [clientOf('ap1', ['192.0.2.0/24'], { dynamic: PLACE })] });

/** A session that began with these names, and its NAS attributes. */
function enter(rig: RadiusRig, names: readonly Attribute[] = NAMES) {
  const msk = Secret.make(64, () => undefined);
  const accepted = { packet: SUCCESS, msk, nai: NAI, lifetime: 60, grace: 1, mobility: undefined };
  const request = rig.request([...attribute('EAP-Message', IDENTITY), ...names]);
  rig.packet(request);
  rig.feed({ type: 'answer', token: rig.asked.token, answer: { type: 'accept', accepted } });
  const [report] = rig.reports;
  if (!report) throw new Error('no report');
  return { request, ...report, session: sessionOf(report.report.sessionId, { ...report.report }) };
}

describe('An Access-Accept', () => {
  it.each([REPORTED, { type: 'denied', because: 'failed' }] as const)(
    'is sent when the store has the names of its session, or cannot have them: %j',
    (answer) => {
      const rig = new RadiusRig();
      const { token, report, request } = enter(rig);
      expect(rig.of('send')).toEqual([]);
      expect(report.origin).toBe('radius:ap1');
      expect(attributesOfNas(report.nas ?? '').map(({ type }) => type)).toEqual([44, 32]);
      rig.feed({ type: 'answer', token, answer });
      expect(rig.sent(request).packet.code).toBe(CODE['Access-Accept']);
    },
  );
});

describe('An Accounting-Request', () => {
  it('of radclient without a session of this server is answered, and makes nothing', () => {
    const rig = new RadiusRig();
    const [exchange] = EXCHANGES.filter(({ name }) => name.startsWith('Accounting-Request'));
    const request = exchange?.request ?? new Uint8Array();
    rig.packet(request, {}, 'accounting');
    expect(rig.of('home')).toEqual([]);
    const { octets, packet } = rig.of('send').map((sent) => ({ ...sent, packet: decodeRadius(sent.octets) }))[0] ?? {};
    expect(packet?.code).toBe(CODE['Accounting-Response']);
    // As FreeRADIUS wrote it: without Message-Authenticator.
    expect(toHex(octets?.slice(0, 20) ?? new Uint8Array())).toBe(
      toHex(exchange?.response?.slice(0, 20) ?? new Uint8Array()),
    );
  });

  it('is answered when its report is stored', () => {
    const rig = new RadiusRig();
    const octets = [
      ...attribute('Acct-Input-Octets', 7),
      ...attribute('Acct-Input-Gigawords', 2),
      ...attribute('Acct-Output-Octets', 9),
    ];
    const request = rig.accounting([...status(3), ...own, ...NAMES, ...octets]);
    rig.packet(request, {}, 'accounting');
    const [input] = rig.reports;
    expect(input?.report).toMatchObject({
      sessionId: SESSION,
      origin: 'radius:ap1',
      octets: { received: 2 * 2 ** 32 + 7, sent: 9 },
    });
    expect(rig.of('send')).toEqual([]);
    rig.feed({ type: 'answer', token: input?.token ?? 0, answer: REPORTED });
    expect(rig.sent(request)).toMatchObject({ authenticity: 'missing', packet: { code: CODE['Accounting-Response'] } });
    rig.packet(request, {}, 'accounting');
    expect(rig.of('served')).toMatchObject([{ isRepeated: true }]);
  });

  it('has no answer if the store has failed, and is tried again', () => {
    const rig = new RadiusRig();
    const request = rig.accounting([...status(1), ...own]);
    rig.packet(request, {}, 'accounting');
    rig.feed({ type: 'answer', token: rig.reports[0]?.token ?? 0, answer: { type: 'denied', because: 'failed' } });
    expect(rig.of('send')).toEqual([]);
    rig.packet(request, {}, 'accounting');
    expect(rig.reports).toHaveLength(1);
  });

  it.each([
    { type: 'terminated', known: true },
    { type: 'terminated', known: false },
    { type: 'denied', because: 'unknown-session' },
  ] as const)('Stop ends the session, and is answered with %j', (answer) => {
    const rig = new RadiusRig();
    const request = rig.accounting([...status(2), ...own, ...attribute('Acct-Terminate-Cause', 1)]);
    rig.packet(request, {}, 'accounting');
    const [{ input } = { input: undefined }] = rig.of('home');
    expect(input).toMatchObject({
      type: 'termination',
      request: { sessionId: SESSION, origin: 'radius:ap1', cause: 'User-Request' },
    });
    rig.feed({ type: 'answer', token: input?.token ?? 0, answer });
    expect(rig.sent(request).packet.code).toBe(CODE['Accounting-Response']);
  });

  it.each([
    ['of another client', attribute('Class', encodeUtf8('radius;ap2;00')), 'answered'],
    ['that are not text', attribute('Class', Uint8Array.of(0xff)), 'answered'],
    ['after one of another server', [...attribute('Class', Uint8Array.of(0xff)), ...own], 'reported'],
  ])('finds its session in a Class %s', (_of, attributes, what) => {
    const rig = new RadiusRig();
    rig.packet(rig.accounting([...status(3), ...attributes]), {}, 'accounting');
    expect([rig.reports.length, rig.of('send').length]).toEqual(what === 'reported' ? [1, 0] : [0, 1]);
  });

  it.each([
    [
      'with another secret',
      'wrong-authenticator',
      (rig: RadiusRig) => rig.accounting([...status(3), ...own], OTHER_SECRET),
    ],
    ['with two kinds', 'invalid-attribute', (rig: RadiusRig) => rig.accounting([...status(3), ...status(1), ...own])],
  ] as const)('%s is discarded', (_what, cause, make) => {
    const rig = new RadiusRig();
    rig.packet(make(rig), {}, 'accounting');
    expect(rig.outputs).toMatchObject([{ type: 'dropped', cause }]);
  });

  it('is discarded at the port for authentication, and an Access-Request at that for accounting', () => {
    const rig = new RadiusRig();
    rig.packet(rig.accounting([...status(3), ...own]));
    expect(rig.of('dropped')).toMatchObject([{ cause: 'unexpected-code' }]);
    rig.packet(rig.request(), {}, 'accounting');
    expect(rig.of('dropped')).toMatchObject([{ cause: 'unexpected-code' }]);
  });
});

describe('A demand', () => {
  const WALL = 1_700_000_000_000;
  const demand = (
    rig: RadiusRig,
    session = enter(rig).session,
    what: 'disconnect' | 'reauthenticate' = 'disconnect',
  ) => {
    rig.feed({ type: 'sendDemand', token: 77, demand: what, session, wall: WALL });
    return rig.of('sendRequest')[0]?.octets ?? new Uint8Array();
  };
  const answered = (rig: RadiusRig) =>
    rig.of('home').flatMap(({ input }) => (input.type === 'demandAnswered' ? [input.outcome] : []));
  const reply = (
    rig: RadiusRig,
    octets: Uint8Array,
    code: number,
    attributes: readonly Attribute[] = [],
    from = PLACE,
  ) => {
    const { identifier, authenticator } = decodeRadius(octets);
    rig.feed({ type: 'reply', octets: encodeResponse({ code, identifier, attributes }, authenticator, SECRET), from });
    return answered(rig);
  };

  it('names the session as its client does, and is signed', () => {
    const rig = rigWithDae();
    const octets = demand(rig);
    expect(rig.of('sendRequest')[0]?.to).toEqual(PLACE);
    expect(checkRequest(octets, SECRET)).toBe('authentic');
    const packet = decodeRadius(octets);
    expect(packet.code).toBe(CODE['Disconnect-Request']);
    expect(packet.attributes.map(({ type }) => type)).toEqual([80, 1, 44, 32, 55]);
    expect(new AttributeReader(packet).one('Event-Timestamp')).toBe(WALL);
    expect(new AttributeReader(packet).one('User-Name')).toBe(NAI);
  });

  it('names a session without a name at its client by port and Class', () => {
    const rig = rigWithDae();
    const names = [...attribute('User-Name', '@home.example'), ...attribute('NAS-Port', 7)];
    const reader = new AttributeReader(decodeRadius(demand(rig, enter(rig, names).session)));
    expect([reader.one('User-Name'), reader.one('NAS-Port')]).toEqual(['@home.example', 7]);
    expect(new TextDecoder().decode(reader.one('Class'))).toMatch(/^radius;ap1;/);
  });

  it('to authenticate again leaves a short lifetime', () => {
    const rig = rigWithDae();
    const octets = demand(rig, enter(rig).session, 'reauthenticate');
    const reader = new AttributeReader(decodeRadius(octets));
    expect(octets[0]).toBe(CODE['CoA-Request']);
    expect([reader.one('Session-Timeout'), reader.one('Termination-Action')]).toEqual([REAUTHENTICATE_WITHIN, 1]);
    expect(reply(rig, octets, CODE['CoA-ACK'])).toEqual([
      { result: 'SUCCESS', unknown: false, refused: false, over: false },
    ]);
  });

  it.each([
    [CODE['Disconnect-ACK'], undefined, { result: 'SUCCESS', unknown: false, refused: false, over: true }],
    [
      CODE['Disconnect-NAK'],
      503,
      { result: 'Disconnect-NAK (Session-Context-Not-Found)', unknown: true, refused: false },
    ],
    [
      CODE['Disconnect-NAK'],
      501,
      { result: 'Disconnect-NAK (Administratively-Prohibited)', unknown: false, refused: true },
    ],
    [CODE['Disconnect-NAK'], 999, { result: 'Disconnect-NAK (Error-Cause 999)', unknown: false, refused: true }],
    [CODE['Disconnect-NAK'], undefined, { result: 'Disconnect-NAK (no Error-Cause)', unknown: false, refused: true }],
  ])('is answered by code %i with Error-Cause %s', (code, cause, outcome) => {
    const rig = rigWithDae();
    const octets = demand(rig);
    expect(reply(rig, octets, code, cause === undefined ? [] : attribute('Error-Cause', cause))).toEqual([outcome]);
    expect(reply(rig, octets, code)).toEqual([]);
  });

  it('is answered by a packet without Message-Authenticator too, and only by that of its client', () => {
    const rig = rigWithDae();
    const octets = demand(rig);
    expect(reply(rig, octets, CODE['Disconnect-ACK'], [], { ...PLACE, address: '192.0.2.8' })).toEqual([]);
    expect(reply(rig, octets, CODE['CoA-ACK'])).toEqual([]);
    const { identifier, authenticator } = decodeRadius(octets);
    const forged = encodeRadius({ code: CODE['Disconnect-ACK'], identifier, authenticator, attributes: [] });
    rig.feed({ type: 'reply', octets: forged, from: PLACE });
    expect(answered(rig)).toEqual([]);
    rig.feed({ type: 'reply', octets: Uint8Array.of(1), from: PLACE });
    expect(answered(rig)).toEqual([]);
    expect(reply(rig, octets, CODE['Disconnect-ACK'])).toHaveLength(1);
  });

  it('is repeated unchanged, and given up after half a minute', () => {
    const rig = rigWithDae();
    const octets = demand(rig);
    const times: number[] = [];
    for (let lost: unknown[] = []; lost.length === 0; lost = answered(rig)) {
      rig.now = rig.machine.deadline ?? Number.NaN;
      rig.feed({ type: 'tick' });
      for (const { octets: again } of rig.of('sendRequest')) {
        expect(again).toEqual(octets);
        times.push(rig.now);
      }
    }
    expect(answered(rig)).toEqual([{ failure: 'the RADIUS client does not answer' }]);
    expect(rig.now).toBe(30_000);
    expect(times.length).toBeGreaterThanOrEqual(3);
    expect(times[0]).toBeGreaterThanOrEqual(1_800);
    expect(times[0]).toBeLessThanOrEqual(2_200);
  });

  it.each([
    [
      'without dae',
      new RadiusRig(),
      sessionOf(SESSION, { origin: 'radius:ap1' }),
      'the RADIUS client ap1 has no dae address',
    ],
    [
      'that was removed',
      rigWithDae(),
      sessionOf(SESSION, { origin: 'radius:ap9' }),
      'no RADIUS client radius:ap9 is configured',
    ],
  ])('to a client %s fails', (_what, rig, session, failure) => {
    expect(demand(rig, session)).toEqual(new Uint8Array());
    expect(answered(rig)).toEqual([{ failure }]);
  });

  it('to end a session that a newer one has replaced at its client sends nothing', () => {
    const rig = rigWithDae();
    const { session: older } = enter(rig);
    const { session: newer } = enter(rig);
    expect(demand(rig, older)).toEqual(new Uint8Array());
    expect(answered(rig)).toMatchObject([{ result: 'SUCCESS', over: true }]);
    expect(demand(rig, newer).length).toBeGreaterThan(0);
    const { session: elsewhere } = enter(rig, attribute('Acct-Session-Id', 'b'));
    expect(demand(rig, elsewhere).length).toBeGreaterThan(0);
  });

  it('has one of 256 identifiers, each for one unanswered request', () => {
    const rig = rigWithDae();
    const { session } = enter(rig);
    const used = new Set(Array.from({ length: 256 }, () => demand(rig, session)[1]));
    expect(used.size).toBe(256);
    demand(rig, session);
    expect(answered(rig)).toEqual([{ failure: 'too many requests to ap1 are unanswered' }]);
    expect(NAS.address).toBe(PLACE.address);
  });
});
