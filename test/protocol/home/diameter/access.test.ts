import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { answerTo } from '../../../../src/protocol/diameter/wire/answers.js';
import { type DiameterMessage, FLAG } from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, ASA, ASR, DEA, DER, RAR, STR } from '../../../../src/protocol/diameter/wire/commands.js';
import { AVPS, Dictionary } from '../../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian, isViolation, type Message } from '../../../../src/protocol/diameter/wire/grammar.js';
import type { AcceptedAccess, HomeAnswer } from '../../../../src/protocol/home/alphabet.js';
import { DiameterAccess, MAX_SESSION_ID } from '../../../../src/protocol/home/diameter/access.js';
import type { MobilityGrant } from '../../../../src/protocol/home/mobility.js';
import { CAPABILITY } from '../../../../src/protocol/mip6/assignment.js';
import { FAILURE, IDENTITY, leaseOf, NAI, PAA, REQUEST, SUCCESS, sessionOf } from '../home-rig.js';

const grammarian = new Grammarian(new Dictionary());
const ORIGIN = { host: 'aaa.home.example', realm: 'home.example' };

const make = (sharedStore = false) => new DiameterAccess(grammarian, { origin: ORIGIN, originStateId: 9, sharedStore });

const DER_CONTENT: Message<typeof DER> = {
  'Session-Id': 's',
  'Auth-Application-Id': APPLICATION.EAP,
  'Origin-Host': PAA,
  'Origin-Realm': 'example',
  'Destination-Realm': 'home.example',
  'Auth-Request-Type': 3,
  'EAP-Payload': IDENTITY,
};

const der = (more: object = {}) => grammarian.message(DER, APPLICATION.EAP, { ...DER_CONTENT, ...more });

const STR_MESSAGE = grammarian.message(STR, APPLICATION.EAP, {
  'Session-Id': 's',
  'Origin-Host': PAA,
  'Origin-Realm': 'example',
  'Destination-Realm': 'home.example',
  'Auth-Application-Id': APPLICATION.EAP,
  'Termination-Cause': 4,
});

const address = (net: number, last: number) =>
  Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, last);

/** The request or termination in a DER or STR. */
function read(message: DiameterMessage) {
  const result = make().read(message, 'relay.example');
  if (isViolation(result)) throw new Error(result.text);
  return result;
}

function wishOf(more: object) {
  const result = read(der({ 'MIP6-Feature-Vector': 1n, ...more }));
  return result.type === 'request' ? result.request.wish : undefined;
}

/** The content of the DEA for an answer. */
function dea(answer: HomeAnswer, sharedStore = false): Message<typeof DEA> {
  const written = make(sharedStore).write(der(), answer);
  if (isViolation(written)) throw new Error(written.text);
  const content = grammarian.read(DEA, written);
  if (isViolation(content)) throw new Error(content.text);
  return content;
}

function accept(mobility: MobilityGrant | undefined = undefined): HomeAnswer {
  const msk = Secret.make(64, (octets) => octets.fill(1));
  const accepted: AcceptedAccess = { packet: SUCCESS, msk, nai: NAI, lifetime: 3_600, grace: 60, mobility };
  return { type: 'accept', accepted };
}

describe('a DER', () => {
  it('is read with all its values', () => {
    const more = { 'Origin-State-Id': 5, 'Calling-Station-Id': '2001:db8::1', 'Framed-MTU': 1_000 };
    expect(read(der(more))).toEqual({
      type: 'request',
      request: {
        sessionId: 's',
        peer: 'relay.example',
        origin: PAA,
        originRealm: 'example',
        originState: 5,
        callingStation: '2001:db8::1',
        packet: IDENTITY,
        mtu: 1_000,
        wish: undefined,
      },
    });
  });

  it.each<[string, DiameterMessage, number]>([
    ['a Session-Id that is too long', der({ 'Session-Id': 's'.repeat(MAX_SESSION_ID + 1) }), 5014],
    ['Auth-Request-Type AUTHENTICATE_ONLY', der({ 'Auth-Request-Type': 1 }), 5004],
    ['Auth-Request-Type AUTHORIZE_ONLY', der({ 'Auth-Request-Type': 2 }), 5004],
    ['no EAP-Payload', { ...der(), avps: der().avps.filter(({ code }) => code !== AVPS['EAP-Payload'].code) }, 5005],
    ['another command', { ...der(), commandCode: ASR.code }, 3001],
  ])('is refused with %s', (_name, message, resultCode) => {
    expect(make().read(message, PAA)).toMatchObject({ resultCode });
  });

  it('is accepted with a Session-Id of 1,024 characters', () => {
    expect(MAX_SESSION_ID).toBe(1_024);
    expect(read(der({ 'Session-Id': 's'.repeat(MAX_SESSION_ID) }))).toMatchObject({ type: 'request' });
  });
});

describe('the mobility wish in a DER (RFC 5447 4.2.5)', () => {
  it.each<[string, object, number | undefined]>([
    ['is none without MIP6_INTEGRATED', { 'MIP6-Feature-Vector': 2n, 'Mobility-Capability': 1 }, undefined],
    ['is none without the MIP6 bit of Mobility-Capability', { 'Mobility-Capability': 0x3e }, undefined],
    ['is the Mobility-Capability of the client', { 'Mobility-Capability': 0x15 }, 0x15],
    ['allows any key and has no preference if the NAS sends standard AVPs only', {}, 0x39],
  ])('%s', (_name, more, bits) => {
    expect(wishOf(more)?.bits).toBe(bits);
  });

  const info = { 'MIP-Home-Agent-Address': [address(9, 1)] };
  const proposal = {
    'MIP6-Feature-Vector': 3n,
    'Mobility-Capability': 0x3,
    'MIP6-Agent-Info': [info],
    'MIP-Mobile-Node-Address': [address(9, 7)],
  };

  it('has the proposal of the visited network', () => {
    expect(wishOf(proposal)?.local).toEqual({
      homeAgent: '2001:db8:9::1',
      homeAddress: '2001:db8:9::7',
      offer: { homeAgent: address(9, 1), homeAddress: address(9, 7), prefix: undefined, host: undefined },
    });
  });

  it.each<[string, object]>([
    ['without LOCAL_HOME_AGENT_ASSIGNMENT', { 'MIP6-Feature-Vector': 1n }],
    ['without a home address', { 'MIP-Mobile-Node-Address': [] }],
    ['without a home agent address', { 'MIP6-Agent-Info': [{}] }],
    ['without MIP6-Agent-Info', { 'MIP6-Agent-Info': [] }],
    ['with the home agent address as home address', { 'MIP-Mobile-Node-Address': [address(9, 1)] }],
    [
      'with an invalid prefix',
      { 'MIP6-Agent-Info': [{ ...info, 'MIP6-Home-Link-Prefix': new Uint8Array(17).fill(255) }] },
    ],
    [
      'with a host name that is unsafe for hooks',
      {
        'MIP6-Agent-Info': [
          { ...info, 'MIP-Home-Agent-Host': { 'Destination-Realm': 'example', 'Destination-Host': '-rf' } },
        ],
      },
    ],
  ])('has no proposal %s', (_name, more) => {
    expect(wishOf({ ...proposal, ...more })).toEqual({ bits: 3, local: undefined });
  });
});

describe('a DEA', () => {
  it.each<[string, HomeAnswer, object]>([
    [
      'a challenge',
      { type: 'challenge', packet: REQUEST, reissued: false, timeout: 60 },
      { 'Result-Code': 1001, 'EAP-Payload': REQUEST, 'Multi-Round-Time-Out': 60 },
    ],
    [
      'a reissued challenge',
      { type: 'challenge', packet: REQUEST, reissued: true, timeout: 60 },
      { 'Result-Code': 1001, 'EAP-Reissued-Payload': REQUEST, 'Multi-Round-Time-Out': 60 },
    ],
    [
      'an authentication failure',
      { type: 'reject', packet: FAILURE, because: 'authentication' },
      { 'Result-Code': 4001, 'EAP-Payload': FAILURE },
    ],
    [
      'a refused authorization',
      { type: 'reject', packet: FAILURE, because: 'authorization' },
      { 'Result-Code': 5003, 'EAP-Payload': FAILURE },
    ],
    [
      'an unavailable store',
      { type: 'reject', packet: FAILURE, because: 'unavailable' },
      { 'Result-Code': 5012, 'EAP-Payload': FAILURE },
    ],
    ['an invalid first packet', { type: 'unable' }, { 'Result-Code': 5012 }],
  ])('has the Result-Code and the EAP AVP of %s', (_what, answer, content) => {
    expect(dea(answer)).toEqual({
      'Session-Id': 's',
      'Auth-Application-Id': APPLICATION.EAP,
      'Auth-Request-Type': 3,
      'Origin-Host': ORIGIN.host,
      'Origin-Realm': ORIGIN.realm,
      'Origin-State-Id': 9,
      ...content,
    });
  });

  it('of a success has the key, the name and the times', () => {
    const content = dea(accept());
    expect(content).toMatchObject({
      'Result-Code': 2001,
      'EAP-Payload': SUCCESS,
      'User-Name': NAI,
      'Auth-Session-State': 0,
      'Session-Timeout': 3_600,
      'Authorization-Lifetime': 3_600,
      'Auth-Grace-Period': 60,
      'Re-Auth-Request-Type': 1,
      'Accounting-EAP-Auth-Method': [13n],
    });
    expect(content['EAP-Master-Session-Key']?.octets()).toEqual(new Uint8Array(64).fill(1));
    expect(content['MIP6-Feature-Vector']).toBeUndefined();
  });

  it('does not wipe the key of the answer', () => {
    const answer = accept();
    make().write(der(), answer);
    expect(answer.type === 'accept' && answer.accepted.msk.isWiped).toBe(false);
  });

  it.each([
    [true, 3, 1],
    [false, undefined, undefined],
  ])(
    'does not bind the session to this server if the store is shared: %s (RFC 6733 8.17, 8.18)',
    (shared, binding, failover) => {
      const content = dea(accept(), shared);
      expect(content['Session-Binding']).toBe(binding);
      expect(content['Session-Server-Failover']).toBe(failover);
    },
  );

  it.each([
    ['ikev1', 'msk', CAPABILITY.IKEV1_PSK],
    ['ikev2', 'msk', CAPABILITY.IKEV2_PSK],
    ['ikev2', 'emsk', CAPABILITY.IKEV2_PSK | CAPABILITY.PSK_FROM_EMSK],
  ] as const)(
    'has the home agent, the home address and the capability of the key: %s from the %s',
    (ike, root, bits) => {
      const content = dea(accept({ kind: 'home', lease: leaseOf('s'), ike, root, byIke: false }));
      expect(content).toMatchObject({
        'MIP6-Feature-Vector': 1n,
        'MIP6-Agent-Info': [
          {
            'MIP-Home-Agent-Address': [address(1, 1)],
            'MIP-Home-Agent-Host': { 'Destination-Realm': ORIGIN.realm, 'Destination-Host': 'ha1.home.example' },
            'MIP6-Home-Link-Prefix': Uint8Array.of(64, ...address(1, 0)),
          },
        ],
        'MIP-Mobile-Node-Address': [address(1, 0x77)],
        'Mobility-Capability': CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.HOA_ASSIGN | bits,
      });
    },
  );

  it('repeats the proposal of the visited network', () => {
    const offer = { homeAgent: address(9, 1), homeAddress: address(9, 7), prefix: undefined, host: undefined };
    const bits = CAPABILITY.LOCAL_HA | CAPABILITY.IKEV1_PSK | CAPABILITY.PSK_FROM_EMSK;
    expect(dea(accept({ kind: 'local', offer, bits }))).toMatchObject({
      'MIP6-Feature-Vector': 3n,
      'MIP6-Agent-Info': [{ 'MIP-Home-Agent-Address': [address(9, 1)] }],
      'MIP-Mobile-Node-Address': [address(9, 7)],
      'Mobility-Capability': CAPABILITY.MIP6 | CAPABILITY.LOCAL_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV1_PSK,
    });
  });

  it.each([
    ['too-busy', 3004, true],
    ['unknown-session', 5002, false],
    ['out-of-space', 4002, false],
    ['failed', 5012, false],
  ] as const)('is replaced by an error answer when access is denied: %s', (because, resultCode, isProtocolError) => {
    const violation = make().write(der(), { type: 'denied', because });
    if (!isViolation(violation)) throw new Error('not an error');
    expect(violation.resultCode).toBe(resultCode);
    const { flags, avps } = make().refuse(der(), violation);
    expect((flags & FLAG.E) !== 0).toBe(isProtocolError);
    expect(grammarian.find(avps, 'Session-Id')).toBe('s');
  });
});

describe('STR and STA', () => {
  it('are read and written', () => {
    expect(read(STR_MESSAGE)).toEqual({
      type: 'termination',
      request: { sessionId: 's', origin: PAA, cause: 'ADMINISTRATIVE' },
    });
    for (const [known, resultCode] of [
      [true, 2001],
      [false, 5002],
    ] as const) {
      const sta = make().write(STR_MESSAGE, { type: 'terminated', known });
      if (isViolation(sta)) throw new Error(sta.text);
      expect(grammarian.find(sta.avps, 'Result-Code')).toBe(resultCode);
      expect(grammarian.find(sta.avps, 'Session-Id')).toBe('s');
    }
  });
});

describe('ASR and RAR', () => {
  const content = {
    'Session-Id': 's',
    'Origin-Host': ORIGIN.host,
    'Origin-Realm': ORIGIN.realm,
    'Destination-Realm': 'example',
    'Destination-Host': PAA,
    'Auth-Application-Id': APPLICATION.EAP,
    'User-Name': NAI,
    'Origin-State-Id': 9,
  };

  it('are addressed to the NAS of the session', () => {
    const session = sessionOf('s');
    expect(grammarian.read(ASR, make().demand('disconnect', session))).toEqual(content);
    const rar = { ...content, 'Re-Auth-Request-Type': 1 };
    expect(grammarian.read(RAR, make().demand('reauthenticate', session))).toEqual(rar);
  });

  it('are addressed to the realm in the name of the NAS if its realm is unknown', () => {
    const message = make().demand('disconnect', sessionOf('s', { originRealm: undefined, origin: 'paa.far.example' }));
    expect(grammarian.find(message.avps, 'Destination-Realm')).toBe('far.example');
  });

  it.each<[string, string, number | undefined, object]>([
    ['of the NAS', PAA, 2001, { result: 'SUCCESS', unknown: false, refused: false }],
    [
      'of the NAS in upper case',
      PAA.toUpperCase(),
      5002,
      { result: 'UNKNOWN_SESSION_ID', unknown: true, refused: false },
    ],
    [
      'of an agent that cannot deliver the request',
      'relay.example',
      3002,
      { result: 'UNABLE_TO_DELIVER', unknown: false, refused: true },
    ],
    [
      'of an agent in place of the NAS',
      'relay.example',
      5002,
      { failure: `the answer is from relay.example, not from ${PAA}` },
    ],
    ['without a Result-Code', PAA, undefined, { result: 'UNABLE_TO_COMPLY', unknown: false, refused: true }],
  ])('have the outcome of an answer %s', (_name, from, code, outcome) => {
    const asr = make().demand('disconnect', sessionOf('s'));
    const avps = grammarian.write(ASA, {
      'Session-Id': 's',
      'Result-Code': code ?? 0,
      'Origin-Host': from,
      'Origin-Realm': 'example',
    });
    const kept = code === undefined ? avps.filter((avp) => avp.code !== AVPS['Result-Code'].code) : avps;
    expect(make().demandOutcome(answerTo(asr, kept), sessionOf('s'))).toEqual(outcome);
  });
});
