import { describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { CAPABILITY } from '../../../src/protocol/mip6/assignment.js';
import { Access, type AccessOutput, MAX_ROUNDS } from '../../../src/protocol/nas/access.js';
import { realmOf } from '../../../src/protocol/nas/eap.js';

const SUCCESS = Uint8Array.of(3, 7, 0, 4);
const FAILURE = Uint8Array.of(4, 7, 0, 4);
const MSK = Secret.take(new Uint8Array(64).fill(9));
const DEA = { 'Origin-Host': 'aaa.home.example' } as const;

function identity(identifier: number, text = 'mn@home.example'): Uint8Array {
  const name = encodeUtf8(text);
  return Uint8Array.of(2, identifier, 0, 5 + name.length, 1, ...name);
}

function request(identifier: number): Uint8Array {
  return Uint8Array.of(1, identifier, 0, 6, 13, 0x20);
}

function response(identifier: number): Uint8Array {
  return Uint8Array.of(2, identifier, 0, 6, 13, 0);
}

/** A run up to the first DER. */
function begun(wish?: number): { access: Access; outputs: AccessOutput[] } {
  const access = new Access({ sessionLifetime: 60_000 }, 40);
  expect(access.handle({ type: 'start', wish })).toEqual([
    { type: 'pana', input: { type: 'eapRequest', packet: Uint8Array.of(1, 41, 0, 5, 1) } },
  ]);
  return { access, outputs: access.handle({ type: 'packet', packet: identity(41) }) };
}

describe('the pass-through authenticator', () => {
  it('requests the identity itself and learns the realm from it', () => {
    const { access, outputs } = begun();
    expect(outputs).toMatchObject([{ type: 'request', request: { identity: 'mn@home.example', server: undefined } }]);
    expect(realmOf(access.identity ?? '')).toBe('home.example');
    // A realm that is not a DiameterIdentity would make the whole request invalid.
    expect([realmOf('mn@höme'), realmOf('mn@a b'), realmOf('mn@')]).toEqual([undefined, undefined, undefined]);
  });

  it('forwards EAP rounds to one server, and returns State to it', () => {
    const { access } = begun();
    const state = Uint8Array.of(1, 2);
    expect(
      access.handle({
        type: 'answer',
        answer: { ...DEA, 'Result-Code': 1001, 'EAP-Payload': request(7), State: state },
      }),
    ).toEqual([{ type: 'pana', input: { type: 'eapRequest', packet: request(7) } }]);
    expect(access.handle({ type: 'packet', packet: response(7) })).toMatchObject([
      { type: 'request', request: { server: 'aaa.home.example', state, payload: response(7) } },
    ]);
  });

  it.each([
    { what: 'another identifier', packet: response(8), code: 'eap-identifier' },
    { what: 'a Request', packet: request(7), code: 'eap-code' },
    { what: 'a wrong length', packet: Uint8Array.of(2, 7, 0, 99, 13), code: 'eap-length' },
  ])('drops a packet that does not answer its request: $what', ({ packet, code }) => {
    const { access } = begun();
    access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': 1001, 'EAP-Payload': request(7) } });
    expect(access.handle({ type: 'packet', packet })).toEqual([{ type: 'dropped', code }]);
    // The conversation continues.
    expect(access.handle({ type: 'packet', packet: response(7) })).toMatchObject([{ type: 'request' }]);
  });

  it('forwards a response of five octets, and drops a shorter one', () => {
    const access = new Access({ sessionLifetime: 60_000 }, 40);
    access.handle({ type: 'start', wish: undefined });
    expect(access.handle({ type: 'packet', packet: Uint8Array.of(2, 41, 0, 4, 1) })).toEqual([
      { type: 'dropped', code: 'eap-length' },
    ]);
    expect(access.handle({ type: 'packet', packet: Uint8Array.of(2, 41, 0, 5, 1) })).toMatchObject([
      { type: 'request', request: { identity: '', payload: Uint8Array.of(2, 41, 0, 5, 1) } },
    ]);
  });

  it('sends the request that the server reissues', () => {
    const { access } = begun();
    const answer = { ...DEA, 'Result-Code': 1001, 'EAP-Reissued-Payload': request(7) };
    expect(access.handle({ type: 'answer', answer })).toEqual([
      { type: 'pana', input: { type: 'eapRequest', packet: request(7) } },
    ]);
  });

  it.each([
    { what: 'too long for PANA', octets: Uint8Array.of(1, 7, 0xff, 0xfc, 13, ...new Uint8Array(65_527)) },
    { what: 'shorter than its length field', octets: Uint8Array.of(1, 7, 0, 9, 13, 0) },
    { what: 'without a length', octets: Uint8Array.of(1, 7) },
  ])('ends the run when the request of the server is $what', ({ octets }) => {
    const { access } = begun();
    const answer = { ...DEA, 'Result-Code': 1001, 'EAP-Payload': octets };
    expect(access.handle({ type: 'answer', answer })).toEqual([
      { type: 'refused', resultCode: 1001 },
      { type: 'pana', input: { type: 'eapFailure', packet: undefined } },
    ]);
  });

  it('ignores octets after an EAP packet, a key that is too short, and a User-Name or Class that is too long', () => {
    const { access } = begun();
    const answer = {
      ...DEA,
      'Result-Code': 2001,
      'EAP-Payload': Uint8Array.of(...SUCCESS, 1, 2, 3, 4),
      'EAP-Master-Session-Key': Secret.take(new Uint8Array(63)),
      'User-Name': 'a'.repeat(70_000),
      Class: [new Uint8Array(60_000), new Uint8Array(60_000)],
    };
    expect(access.handle({ type: 'answer', answer })).toMatchObject([
      { type: 'granted', userName: 'mn@home.example', msk: undefined },
      { type: 'pana', input: { type: 'eapSuccess', packet: SUCCESS, msk: undefined } },
    ]);
    expect(access.classes).toEqual([]);
  });

  it('grants access without Mobile IPv6 when the mobility AVPs are unusable, and reports the reason', () => {
    const { access } = begun(CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV1_PSK);
    const answer = {
      ...DEA,
      'Result-Code': 2001,
      'EAP-Payload': SUCCESS,
      'EAP-Master-Session-Key': MSK,
      'MIP6-Feature-Vector': 1n,
      'MIP6-Agent-Info': [{ 'MIP-Home-Agent-Address': [new Uint8Array(16).fill(0x20)] }],
      'MIP-Mobile-Node-Address': [new Uint8Array(7).fill(0x21)],
    };
    expect(access.handle({ type: 'answer', answer })).toMatchObject([
      { type: 'noMobility', reason: 'home address: it has 7 octets' },
      { type: 'granted', kind: undefined, grant: { assignment: undefined } },
      { type: 'pana', input: { type: 'eapSuccess', authorized: true } },
    ]);
  });

  it('grants the name, key and lifetime that the server grants', () => {
    const { access } = begun();
    const answer = {
      ...DEA,
      'Result-Code': 2001,
      'EAP-Payload': SUCCESS,
      'EAP-Master-Session-Key': MSK,
      'User-Name': 'real@home.example',
      'Session-Timeout': 600,
    };
    const outputs = access.handle({ type: 'answer', answer });
    expect(outputs).toMatchObject([
      { type: 'granted', userName: 'real@home.example', grant: { lifetime: 600_000 } },
      { type: 'pana', input: { type: 'eapSuccess', packet: SUCCESS, authorized: true } },
    ]);
    expect(outputs.map((output) => output.type === 'pana' && 'msk' in output.input && output.input.msk)[1]).toBe(MSK);
  });

  it.each([
    { what: 'an authentication failure', code: 4001, payload: FAILURE, input: { type: 'eapFailure', packet: FAILURE } },
    {
      what: 'an authorization failure without an EAP packet',
      code: 5003,
      payload: undefined,
      input: { type: 'eapFailure', packet: undefined },
    },
    // Only authorisation failed: PANA Result-Code 2.
    {
      what: 'an authorization failure with EAP-Success',
      code: 5003,
      payload: SUCCESS,
      input: { type: 'eapSuccess', authorized: false },
    },
    // The Result-Code decides, not the packet.
    { what: 'MULTI_ROUND_AUTH with EAP-Success', code: 1001, payload: SUCCESS, input: { type: 'eapFailure' } },
  ])('refuses the node and ends the run at $what', ({ code, payload, input }) => {
    const { access } = begun();
    const outputs = access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': code, 'EAP-Payload': payload } });
    expect(outputs.map(({ type }) => type)).toContain('refused');
    expect(outputs.at(-1)).toMatchObject({ type: 'pana', input });
  });

  it('ends the run when no server answers, and drops the late answer', () => {
    const { access } = begun();
    expect(access.handle({ type: 'unreachable' })).toEqual([
      { type: 'refused', resultCode: undefined },
      { type: 'pana', input: { type: 'eapFailure', packet: undefined } },
    ]);
    // The late answer changes nothing.
    expect(access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': 2001 } })).toEqual([
      { type: 'dropped', code: 'unexpected' },
    ]);
  });

  it('ends the run after MAX_ROUNDS rounds', () => {
    const { access } = begun();
    let rounds = 1;
    for (; rounds < 1000; rounds += 1) {
      const asked = access.handle({
        type: 'answer',
        answer: { ...DEA, 'Result-Code': 1001, 'EAP-Payload': request(7) },
      });
      expect(asked).toHaveLength(1);
      const [next] = access.handle({ type: 'packet', packet: response(7) });
      if (next?.type !== 'request') break;
    }
    expect(rounds).toBe(MAX_ROUNDS);
  });

  it.each([
    { what: 'too long', name: encodeUtf8('x'.repeat(254)) },
    { what: 'not UTF-8', name: Uint8Array.of(0xff, 0xfe) },
  ])('refuses an identity that is $what', ({ name }) => {
    const access = new Access({ sessionLifetime: 60_000 }, 40);
    access.handle({ type: 'start', wish: undefined });
    const length = 5 + name.length;
    const packet = Uint8Array.of(2, 41, length >> 8, length & 0xff, 1, ...name);
    expect(access.handle({ type: 'packet', packet }).at(-1)).toMatchObject({
      type: 'pana',
      input: { type: 'eapFailure' },
    });
  });

  it('asks the access network for a proposal when the node accepts a local home agent', () => {
    const wish = CAPABILITY.MIP6 | CAPABILITY.LOCAL_HA;
    const { access, outputs } = begun(wish);
    expect(outputs).toEqual([{ type: 'propose', wish }]);
    expect(access.handle({ type: 'proposal', local: undefined })).toMatchObject([
      { type: 'request', request: { mobility: { 'Mobility-Capability': wish, 'MIP6-Feature-Vector': 1n } } },
    ]);
  });
});

describe('the server of a session (RFC 6733 8.17 and 8.18)', () => {
  const success = { ...DEA, 'Result-Code': 2001, 'EAP-Payload': SUCCESS, 'EAP-Master-Session-Key': MSK };

  /** A granted session at the first DER of its second run. */
  function again(more: object) {
    const { access } = begun();
    const [granted] = access.handle({ type: 'answer', answer: { ...success, ...more } });
    access.handle({ type: 'start', wish: undefined });
    const outputs = access.handle({ type: 'packet', packet: identity(42) });
    return { access, granted, outputs };
  }

  it('is the one that answered, for re-authentication and for STR', () => {
    const { granted, outputs, access } = again({});
    expect(granted).toMatchObject({ type: 'granted', server: { host: 'aaa.home.example', tryAgain: false } });
    expect(outputs).toMatchObject([{ type: 'request', request: { server: 'aaa.home.example' } }]);
    // REFUSE_SERVICE: no other server is asked, but the granted session continues.
    expect(access.handle({ type: 'unreachable' })).toMatchObject([{ type: 'postponed' }, { type: 'pana' }]);
  });

  it.each([
    [1, { host: 'aaa.home.example' }, undefined],
    [2, { host: undefined }, 'aaa.home.example'],
    [3, { host: undefined }, undefined],
  ])('is not named in the requests that Session-Binding %i opens to any server', (binding, str, reauthentication) => {
    const { granted, outputs } = again({ 'Session-Binding': binding });
    expect(granted).toMatchObject({ server: str });
    expect(outputs).toMatchObject([{ type: 'request', request: { server: reauthentication } }]);
  });

  it.each([1, 3])('is no longer named after it was unreachable if Session-Server-Failover is %i', (failover) => {
    const { granted, access } = again({ 'Session-Server-Failover': failover });
    expect(granted).toMatchObject({ server: { tryAgain: true } });
    expect(access.handle({ type: 'unreachable' })).toMatchObject([{ type: 'request', request: { server: undefined } }]);
    expect(access.handle({ type: 'unreachable' })).toMatchObject([{ type: 'postponed' }, { type: 'pana' }]);
    expect(access.handle({ type: 'unreachable' })).toEqual([]);
  });

  it.each([3002, 3004, 4002, 5002, 5012])('postpones a re-authentication when it answers %i', (code) => {
    const { access } = again({});
    const outputs = access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': code, 'EAP-Payload': FAILURE } });
    expect(outputs).toEqual([
      { type: 'postponed', resultCode: code },
      { type: 'pana', input: { type: 'eapPostponed' } },
    ]);
    // The run starts again with an identity request.
    expect(access.handle({ type: 'start', wish: undefined })).toMatchObject([{ input: { type: 'eapRequest' } }]);
  });

  it.each([4001, 5003, 5006, 5999])('refuses the node when it answers a re-authentication with %i', (code) => {
    const { access } = again({});
    const outputs = access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': code, 'EAP-Payload': FAILURE } });
    expect(outputs).toMatchObject([{ type: 'refused', resultCode: code }, { input: { type: 'eapFailure' } }]);
  });

  it('gets no STR if it keeps no state', () => {
    expect(again({ 'Auth-Session-State': 1 }).granted).toMatchObject({ type: 'granted', server: undefined });
  });

  it('does not change within a conversation', () => {
    const { access } = begun();
    access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': 1001, 'EAP-Payload': request(7) } });
    expect(access.handle({ type: 'packet', packet: response(7) })).toMatchObject([
      { request: { server: 'aaa.home.example' } },
    ]);
    expect(access.handle({ type: 'unreachable' })).toMatchObject([{ type: 'refused' }, { type: 'pana' }]);
  });
});

describe('the pass-through with a third-party server', () => {
  it('refuses authorization at 4001 with EAP-Success', () => {
    const { access } = begun();
    expect(
      access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': 4001, 'EAP-Payload': SUCCESS } }),
    ).toMatchObject([{ type: 'refused', resultCode: 4001 }, { input: { type: 'eapSuccess', authorized: false } }]);
  });

  it('ends the run at 1001 without a valid EAP request', () => {
    for (const payload of [undefined, SUCCESS, Uint8Array.of(1, 7, 0, 4)]) {
      const { access } = begun();
      const answer = { ...DEA, 'Result-Code': 1001, ...(payload ? { 'EAP-Payload': payload } : {}) };
      expect(access.handle({ type: 'answer', answer })).toMatchObject([
        { type: 'refused', resultCode: 1001 },
        { input: { type: 'eapFailure' } },
      ]);
    }
  });

  it('grants access without mobility AVPs and without EAP-Success', () => {
    const { access } = begun(CAPABILITY.MIP6 | CAPABILITY.HOME_HA);
    const [granted, pana] = access.handle({
      type: 'answer',
      answer: { ...DEA, 'Result-Code': 2002, 'EAP-Master-Session-Key': MSK },
    });
    expect(granted).toMatchObject({ type: 'granted', kind: undefined, grant: { assignment: undefined } });
    expect(pana).toMatchObject({ input: { type: 'eapSuccess', packet: Uint8Array.of(3, 41, 0, 4), authorized: true } });
  });

  it('wipes a key that no session takes over', () => {
    const key = (code: number, payload: Uint8Array) => {
      const msk = MSK.copy();
      const { access } = begun();
      const answer = { ...DEA, 'Result-Code': code, 'EAP-Payload': payload, 'EAP-Master-Session-Key': msk };
      access.handle({ type: 'answer', answer });
      return { access, answer, msk };
    };
    expect(key(1001, request(7)).msk.isWiped).toBe(true);
    expect(key(4001, FAILURE).msk.isWiped).toBe(true);
    const { access, answer, msk } = key(2001, SUCCESS);
    expect(msk.isWiped).toBe(false);
    access.handle({ type: 'answer', answer });
    expect(msk.isWiped).toBe(true);
  });

  it('drops an answer and ignores a proposal that it did not ask for', () => {
    const { access } = begun();
    expect(access.handle({ type: 'proposal', local: undefined })).toEqual([]);
    access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': 1001, 'EAP-Payload': request(7) } });
    expect(access.handle({ type: 'answer', answer: { ...DEA, 'Result-Code': 2001 } })).toEqual([
      { type: 'dropped', code: 'unexpected' },
    ]);
    const idle = new Access({ sessionLifetime: 60_000 }, 40);
    expect(idle.handle({ type: 'packet', packet: identity(41) })).toEqual([{ type: 'dropped', code: 'unexpected' }]);
  });

  it('accepts the identity response to the request in PAR[S]', () => {
    const access = new Access({ sessionLifetime: 60_000 }, 40);
    expect(access.handle({ type: 'start', wish: undefined, asked: Uint8Array.of(1, 9, 0, 5, 1) })).toEqual([]);
    expect(access.handle({ type: 'packet', packet: identity(41) })).toEqual([
      { type: 'dropped', code: 'eap-identifier' },
    ]);
    expect(access.handle({ type: 'packet', packet: identity(9, 'mn@home.example\0prompt') })).toMatchObject([
      { request: { identity: 'mn@home.example' } },
    ]);
  });
});

describe('realmOf', () => {
  it.each([
    ['mn@home.example', 'home.example'],
    ['a@b@Home.Example', 'home.example'],
    ['@home.example', 'home.example'],
    ['mn', undefined],
    ['mn@', undefined],
  ])('returns for %s the realm %s (RFC 7542 2.5)', (nai, realm) => expect(realmOf(nai)).toBe(realm));
});
