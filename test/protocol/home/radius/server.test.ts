import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import type { HomeAnswer } from '../../../../src/protocol/home/alphabet.js';
import { MAX_STRANGERS, REPORT_INTERVAL } from '../../../../src/protocol/home/radius/drop-reports.js';
import { MAX_REQUESTS, REMEMBERED } from '../../../../src/protocol/home/radius/duplicates.js';
import { CAPABILITY } from '../../../../src/protocol/mip6/assignment.js';
import { readMobility, writeMobility } from '../../../../src/protocol/radius/mip6/mobility.js';
import { attribute } from '../../../../src/protocol/radius/wire/attributes.js';
import { encodeRandomRequest } from '../../../../src/protocol/radius/wire/authenticators.js';
import { CODE, encodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { RADSEC_SECRET } from '../../../../src/protocol/radius/wire/radsec.js';
import { EXCHANGES, OTHER_SECRET, SECRET, STATUS } from '../../radius/wire/vectors.js';
import { FAILURE, IDENTITY, leaseOf, NAI, REQUEST, RESPONSE, SUCCESS } from '../home-rig.js';
import { clientOf, HA_SECRET, NAS, RadiusRig, VENDOR } from './radius-rig.js';

const CHALLENGE: HomeAnswer = { type: 'challenge', packet: REQUEST, reissued: false, timeout: 60 };
const eap = (packet: Uint8Array) => attribute('EAP-Message', packet);
const msk = () => Secret.make(64, (octets) => octets.set(Uint8Array.from({ length: 64 }, (_, i) => i)));
const accept = (more: object = {}): HomeAnswer => ({
  type: 'accept',
  accepted: { packet: SUCCESS, msk: msk(), nai: NAI, lifetime: 3600, grace: 60, mobility: undefined, ...more },
});
const HOME = { kind: 'home', lease: leaseOf('s'), ike: 'ikev2', root: 'msk', byIke: false } as const;

describe('An Access-Request', () => {
  it('of eapol_test reaches the home machine', () => {
    const rig = new RadiusRig();
    const [exchange] = EXCHANGES.filter(({ name }) => name.startsWith('Access-Request of eapol_test'));
    rig.packet(exchange?.request ?? new Uint8Array());
    expect(rig.asked.request).toMatchObject({
      peer: 'radius:ap1',
      origin: 'radius:ap1',
      callingStation: '02-00-00-00-00-01',
      mtu: 1396,
      packet: fromHex('02280008016d6e31'),
      wish: undefined,
    });
    expect(rig.asked.request.sessionId).toMatch(/^radius;ap1;[0-9a-f]{24}$/);
  });

  it('has the setting of its client for the master secret of TLS', () => {
    const older = clientOf('ha1', ['192.0.2.99'], { extendedMasterSecret: 'wanted' });
    const rig = new RadiusRig({ clients: [clientOf('ap1', ['192.0.2.7']), older] });
    rig.packet(rig.request(), { address: '192.0.2.99' });
    expect(rig.asked.request.extendedMasterSecret).toBe('wanted');
    rig.packet(rig.request());
    expect(rig.asked.request.extendedMasterSecret).toBeUndefined();
  });

  it('gets the answer of the home machine, signed, with Message-Authenticator first and Proxy-States in order', () => {
    const rig = new RadiusRig();
    const states = [[1, 2], [], [3]].flatMap((octets) => attribute('Proxy-State', Uint8Array.from(octets)));
    const request = rig.request([...states.slice(0, 1), ...eap(IDENTITY), ...states.slice(1)]);
    const answer = rig.serve(CHALLENGE, request);
    expect(answer).toMatchObject({ authenticity: 'authentic', end: NAS });
    expect(answer.packet).toMatchObject({ code: CODE['Access-Challenge'], identifier: request[1] });
    expect(answer.packet.attributes[0]?.type).toBe(80);
    expect(answer.reader.all('Proxy-State').map(toHex)).toEqual(['0102', '', '03']);
    expect(answer.reader.one('EAP-Message')).toEqual(REQUEST);
    expect(answer.reader.one('Session-Timeout')).toBe(60);
  });

  it('with the State of the challenge continues its session', () => {
    const rig = new RadiusRig();
    const state = rig.serve(CHALLENGE).reader.one('State') ?? new Uint8Array();
    rig.packet(rig.request([...eap(RESPONSE), ...attribute('State', state)]));
    expect(rig.asked.request.sessionId).toBe(new TextDecoder().decode(state));
  });

  it.each([
    ['another client', 'radius;ha1;112233445566778899aabbcc'],
    ['Diameter', 'paa.example;1;2'],
  ])('does not continue a session of %s', (_of, state) => {
    const rig = new RadiusRig();
    rig.packet(rig.request([...eap(IDENTITY), ...attribute('State', new TextEncoder().encode(state))]));
    expect(rig.asked.request.sessionId).toMatch(/^radius;ap1;[0-9a-f]{24}$/);
    expect(state).not.toContain(rig.asked.request.sessionId);
  });

  it('in an invalid conversation gets the last request again, with an Error-Cause', () => {
    const { reader, packet } = new RadiusRig().serve({ ...CHALLENGE, reissued: true });
    expect(packet.code).toBe(CODE['Access-Challenge']);
    expect(reader.one('Error-Cause')).toBe(202);
  });

  it('that is accepted gets keys, lifetime, and names of its session', () => {
    const rig = new RadiusRig();
    const { reader, packet } = rig.serve(accept());
    expect(packet.code).toBe(CODE['Access-Accept']);
    expect(reader.one('EAP-Message')).toEqual(SUCCESS);
    expect(reader.one('User-Name')).toBe(NAI);
    expect([reader.one('Session-Timeout'), reader.one('Termination-Action')]).toEqual([3600, 1]);
    expect(reader.one('Class')).toEqual(reader.one('State'));
    const keys = [reader.one('MS-MPPE-Recv-Key'), reader.one('MS-MPPE-Send-Key')];
    expect(keys.map((key) => key?.use(toHex))).toEqual([
      msk().use((octets) => toHex(octets.subarray(0, 32))),
      msk().use((octets) => toHex(octets.subarray(32))),
    ]);
    expect(reader.one('MIP6-Feature-Vector')).toBeUndefined();
    expect(reader.one('Framed-IPv6-Address')).toBeUndefined();
  });

  it('with the wish for Mobile IPv6 gets its home agent and home address', () => {
    const rig = new RadiusRig();
    const capability = CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.IKEV2_PSK;
    const none = { homeAgent: undefined, homeAgentHost: undefined, homeAddress: undefined, prefix: undefined };
    const wish = writeMobility({ features: 1n, capability, ...none, sealed: undefined }, VENDOR);
    const request = rig.request([...eap(IDENTITY), ...wish]);
    const { packet } = rig.serve(accept({ mobility: HOME }), request);
    expect(readMobility(packet, VENDOR)).toMatchObject({
      features: 1n,
      capability: CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV2_PSK,
      homeAgentHost: 'ha1.home.example',
      prefix: { length: 64 },
    });
    rig.packet(rig.request([...eap(IDENTITY), ...wish]));
    expect(rig.asked.request.wish).toEqual({ bits: capability, local: undefined });
  });

  it('of a home agent gets the home address as Framed-IPv6-Address, if it is on this home agent', () => {
    const from = { address: '192.0.2.99' };
    const rig = new RadiusRig();
    const answer = (mobility: object) =>
      rig.serve(accept({ mobility }), rig.request(eap(IDENTITY), HA_SECRET), from, HA_SECRET);
    const { reader, packet } = answer(HOME);
    expect(toHex(reader.one('Framed-IPv6-Address') ?? new Uint8Array())).toBe('20010db8000100000000000000000077');
    expect(readMobility(packet, VENDOR).features).toBeUndefined();
    const other = answer({ ...HOME, lease: leaseOf('s', { name: 'ha2' }) });
    expect(other.packet.code).toBe(CODE['Access-Accept']);
    expect(other.reader.one('Framed-IPv6-Address')).toBeUndefined();
    rig.packet(rig.request(eap(IDENTITY), HA_SECRET), from);
    expect(rig.asked.request.wish?.bits).toBe(
      CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV2_PSK,
    );
  });

  it.each([
    ['of EAP', { type: 'reject', packet: FAILURE, because: 'authentication' }, toHex(FAILURE)],
    ['of a first packet that is invalid', { type: 'unable' }, '04010004'],
    ['of an unknown session', { type: 'denied', because: 'unknown-session' }, '04010004'],
  ] as const)('gets the refusal %s with EAP-Failure', (_what, answer, failure) => {
    const rig = new RadiusRig();
    const { packet, reader } = rig.serve(answer, rig.request(eap(RESPONSE)));
    expect(packet.code).toBe(CODE['Access-Reject']);
    expect(toHex(reader.one('EAP-Message') ?? new Uint8Array())).toBe(failure);
  });

  it('without EAP is refused', () => {
    const rig = new RadiusRig();
    const request = rig.request(attribute('User-Name', 'bob'));
    rig.packet(request);
    expect(rig.sent(request).packet.code).toBe(CODE['Access-Reject']);
  });

  it.each(['too-busy', 'out-of-space', 'failed'] as const)(
    'has no answer if the server is %s, and is tried again',
    (because) => {
      const rig = new RadiusRig();
      const request = rig.request();
      rig.packet(request);
      rig.feed({ type: 'answer', token: rig.asked.token, answer: { type: 'denied', because } });
      expect(rig.of('send')).toEqual([]);
      expect(rig.of('dropped')).toMatchObject([{ cause: 'not-served', client: 'ap1' }]);
      rig.packet(request);
      expect(rig.asked.request.packet).toEqual(IDENTITY);
    },
  );
});

describe('The packets of a session', () => {
  it('are told with its Session-Id, and those of nobody are not', () => {
    const rig = new RadiusRig();
    rig.packet(rig.request(eap(IDENTITY), HA_SECRET));
    expect(rig.packets).toEqual([]);
    const request = rig.request();
    rig.packet(request);
    const { token, request: asked } = rig.asked;
    rig.feed({ type: 'answer', token, answer: CHALLENGE });
    rig.packet(request);
    const { sessionId } = asked;
    expect(rig.packets).toEqual([
      ['in', CODE['Access-Request'], 'ap1', sessionId],
      ['out', CODE['Access-Challenge'], 'ap1', sessionId],
      ['in', CODE['Access-Request'], 'ap1', sessionId],
      ['out', CODE['Access-Challenge'], 'ap1', sessionId],
    ]);
  });
});

describe('A repeated request', () => {
  it('is not processed again, and gets the same answer', () => {
    const rig = new RadiusRig();
    const request = rig.request();
    rig.packet(request);
    const { token } = rig.asked;
    expect(rig.packet(request)).toEqual([]);
    rig.feed({ type: 'answer', token, answer: CHALLENGE });
    const first = rig.sent(request).octets;
    rig.now = REMEMBERED - 1;
    rig.feed({ type: 'tick' });
    rig.packet(request);
    expect(rig.sent(request).octets).toEqual(first);
    expect(rig.of('served')).toMatchObject([{ isRepeated: true }]);
    expect(rig.of('home')).toEqual([]);
  });

  it('is processed again after half a minute', () => {
    const rig = new RadiusRig();
    const request = rig.request();
    rig.serve(CHALLENGE, request);
    expect(rig.machine.deadline).toBe(REMEMBERED);
    rig.now = REMEMBERED;
    rig.feed({ type: 'tick' });
    expect(rig.machine.requests).toBe(0);
    rig.packet(request);
    expect(rig.of('home')).toHaveLength(1);
  });

  it.each([
    ['port', { port: NAS.port + 1 }],
    ['address', { address: '192.0.2.8' }],
    ['socket', { local: '::1|1812' }],
  ])('from another %s is another request', (_what, end) => {
    const rig = new RadiusRig();
    const request = rig.request();
    rig.serve(CHALLENGE, request);
    rig.packet(request, end);
    expect(rig.of('home')).toHaveLength(1);
  });

  it('with another authenticator replaces the earlier one, which gets no answer', () => {
    const rig = new RadiusRig();
    const one = { code: CODE['Access-Request'], identifier: 5, attributes: eap(IDENTITY) };
    rig.packet(encodeRandomRequest(one, new Uint8Array(16).fill(1), SECRET));
    const { token } = rig.asked;
    const second = encodeRandomRequest(one, new Uint8Array(16).fill(2), SECRET);
    rig.packet(second);
    const { token: later } = rig.asked;
    expect(rig.feed({ type: 'answer', token, answer: CHALLENGE })).toEqual([]);
    rig.feed({ type: 'answer', token: later, answer: CHALLENGE });
    expect(rig.sent(second).authenticity).toBe('authentic');
  });

  it('of an ended session does not get its keys again', () => {
    const rig = new RadiusRig();
    const request = rig.request();
    const { reader } = rig.serve(accept(), request);
    const sessionId = new TextDecoder().decode(reader.one('Class'));
    rig.feed({ type: 'forgetKeys', sessionId: `${sessionId}0` });
    rig.packet(request);
    expect(rig.of('send')).toHaveLength(1);
    rig.feed({ type: 'forgetKeys', sessionId });
    rig.packet(request);
    expect(rig.of('send')).toEqual([]);
    expect(rig.of('home')).toHaveLength(1);
  });

  it('of one client is remembered however many another client sends', () => {
    const rig = new RadiusRig();
    const from = { address: '192.0.2.99' };
    const kept = rig.request(eap(IDENTITY), HA_SECRET);
    rig.serve(CHALLENGE, kept, from, HA_SECRET);
    for (let i = 0; i < MAX_REQUESTS + 10; i += 1) rig.packet(rig.request(), { port: 1024 + Math.floor(i / 256) });
    expect(rig.machine.requests).toBe(MAX_REQUESTS);
    rig.packet(kept, from);
    expect(rig.of('served')).toMatchObject([{ isRepeated: true }]);
  });
});

describe('Status-Server', () => {
  it.each([
    ['authentication', CODE['Access-Accept']],
    ['any', CODE['Access-Accept']],
    ['accounting', CODE['Accounting-Response']],
  ] as const)('is answered at the port for %s, and takes no place', (service, code) => {
    const rig = new RadiusRig();
    rig.packet(STATUS.request, {}, service);
    expect(rig.sent(STATUS.request)).toMatchObject({ authenticity: 'authentic', packet: { code } });
    rig.packet(STATUS.request, {}, service);
    expect(rig.of('served')).toMatchObject([{ isRepeated: false }]);
    expect(rig.machine.requests).toBe(0);
  });
});

describe('A packet is discarded', () => {
  const rig = () => new RadiusRig();
  const unsigned = encodeRadius({
    code: CODE['Access-Request'],
    identifier: 1,
    authenticator: new Uint8Array(16),
    attributes: eap(IDENTITY),
  });
  it.each([
    ['of a stranger', 'unknown-client', rig().request(), { address: '198.51.100.1' }],
    ['of a stranger with a name for an address', 'unknown-client', rig().request(), { address: 'ap1' }],
    ['that is truncated', 'malformed', rig().request().slice(0, -1), {}],
    ['of another code', 'unexpected-code', Uint8Array.from(rig().request()).fill(3, 0, 1), {}],
    ['without Message-Authenticator', 'no-message-authenticator', unsigned, {}],
    ['with the secret of another client', 'wrong-authenticator', rig().request(eap(IDENTITY), OTHER_SECRET), {}],
    ['that was changed on its way', 'wrong-authenticator', Uint8Array.from(rig().request()).fill(9, -1), {}],
    [
      'with two States',
      'invalid-attribute',
      rig().request([...eap(IDENTITY), { type: 24, value: IDENTITY }, { type: 24, value: IDENTITY }]),
      {},
    ],
    [
      'with a Framed-MTU of 3 octets',
      'invalid-attribute',
      rig().request([...eap(IDENTITY), { type: 12, value: new Uint8Array(3) }]),
      {},
    ],
    [
      'with too much Proxy-State',
      'invalid-attribute',
      rig().request([...eap(IDENTITY), ...Array.from({ length: 6 }, () => ({ type: 33, value: new Uint8Array(253) }))]),
      {},
    ],
  ] as const)('%s', (_what, cause, octets, end) => {
    const own = rig();
    own.packet(octets, end);
    expect(own.outputs).toMatchObject([{ type: 'dropped', cause, report: 1 }]);
    expect(own.machine.requests).toBe(0);
  });

  it('with one line of the log per client and minute', () => {
    const own = rig();
    const reports = () => {
      own.packet(unsigned);
      return own.of('dropped').map(({ report }) => report);
    };
    expect([1, 2, 3].map(reports)).toEqual([[1], [undefined], [undefined]]);
    own.now = REPORT_INTERVAL;
    expect([1, 2].map(reports)).toEqual([[3], [undefined]]);
  });

  it('with a bounded number of lines about strangers, whatever their addresses', () => {
    const own = rig();
    const lines = Array.from({ length: 500 }, (_, i) => {
      own.packet(unsigned, { address: `198.51.${i % 250}.${i}` });
      return own.of('dropped').filter(({ report }) => report !== undefined).length;
    });
    expect(lines.reduce((sum, each) => sum + each)).toBe(MAX_STRANGERS);
  });
});

describe('A client', () => {
  it('is that of the narrowest network', () => {
    const rig = new RadiusRig({
      clients: [
        clientOf('wide', ['0.0.0.0/0', '::/0']),
        clientOf('narrow', ['192.0.2.0/24', '2001:db8::/32']),
        clientOf('host', ['192.0.2.9', '2001:db8::9']),
      ],
    });
    const nameOf = (address: string) => {
      rig.packet(rig.request(), { address });
      return rig.asked.request.origin;
    };
    expect(['192.0.2.9', '2001:db8::9', '::ffff:192.0.2.9'].map(nameOf)).toEqual(Array(3).fill('radius:host'));
    expect(['192.0.2.10', '2001:db8::1'].map(nameOf)).toEqual(Array(2).fill('radius:narrow'));
    expect(['192.0.3.9', '2001:db9::'].map(nameOf)).toEqual(Array(2).fill('radius:wide'));
  });

  it('of a RadSec connection is that of its certificate, whatever its address, with the secret of RadSec', () => {
    const rig = new RadiusRig({ clients: [clientOf('ap1', ['192.0.2.0/24'], { certificate: 'ap1.example' })] });
    const secured = (secret: Secret, names: readonly string[]) => {
      const octets = rig.request(eap(IDENTITY), secret);
      rig.feed({ type: 'packet', octets, end: { ...NAS, address: '::1' }, service: 'any', names });
      return octets;
    };
    const request = secured(RADSEC_SECRET, ['other.example', 'AP1.example']);
    expect(rig.asked.request.origin).toBe('radius:ap1');
    rig.feed({ type: 'answer', token: rig.asked.token, answer: CHALLENGE });
    expect(rig.sent(request, RADSEC_SECRET).authenticity).toBe('authentic');
    secured(SECRET, ['ap1.example']);
    expect(rig.of('dropped')).toMatchObject([{ cause: 'wrong-authenticator' }]);
    secured(RADSEC_SECRET, ['ap1', 'ap1.example.org']);
    expect(rig.of('dropped')).toMatchObject([{ cause: 'unknown-client' }]);
    // Over UDP the secret of RadSec is that of nobody.
    rig.packet(rig.request(eap(IDENTITY), RADSEC_SECRET));
    expect(rig.of('dropped')).toMatchObject([{ cause: 'wrong-authenticator' }]);
  });

  it('that is removed gets no answer any more', () => {
    const rig = new RadiusRig();
    const request = rig.request();
    rig.packet(request);
    const { token } = rig.asked;
    rig.feed({ type: 'configure', config: { clients: [], vendorId: VENDOR, realm: 'home.example' } });
    expect(rig.feed({ type: 'answer', token, answer: CHALLENGE })).toEqual([]);
    rig.packet(request);
    expect(rig.of('dropped')).toMatchObject([{ cause: 'unknown-client' }]);
  });
});
