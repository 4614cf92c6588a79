import { beforeAll, describe, expect, it } from 'vitest';
import { AVP_FLAG, type Avp, type DiameterMessage } from '../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, ASR, STR } from '../../src/protocol/diameter/wire/commands.js';
import { AVPS, type AvpName } from '../../src/protocol/diameter/wire/dictionary.js';
import { isViolation } from '../../src/protocol/diameter/wire/grammar.js';
import type { LogEvent } from '../../src/runtime/log/events.js';
import { eventually } from '../eventually.js';
import { grammarian } from '../protocol/diameter/messages.js';
import { makePki, type TestPki } from '../runtime/eap/eap-run.js';
import { paaScene, type Scene, SERVER, type Twist, type TwistedServer } from './paa-rig.js';

const OTHER_SERVER = 'aaa2.home.example';
/** The failure that a bench node reports although it has access, because these servers assign no home address. */
const IN = 'a node got no home address';

let pki: TestPki;

beforeAll(async () => {
  pki = await makePki('p256');
});

const without =
  (name: AvpName): Twist =>
  (avps) =>
    avps.filter(({ code }) => code !== AVPS[name].code);
const having =
  (...more: Avp[]): Twist =>
  (avps) => [...avps, ...more];
const instead =
  (avp: Avp): Twist =>
  (avps) =>
    avps.map((each) => (each.code === avp.code ? avp : each));

function strOf(server: TwistedServer) {
  return server.ended.map((message) => {
    const content = grammarian.read(STR, message);
    if (isViolation(content)) throw new Error(content.text);
    return content;
  });
}

const said = ({ lines }: Scene, message: LogEvent) => lines.filter(({ msg }) => msg === message);

function first(scene: Scene): TwistedServer {
  const [server] = scene.servers;
  if (!server) throw new Error('no server');
  return server;
}

describe('A success answer that the PAA cannot use', () => {
  it.each<[string, Twist, string]>([
    [
      'an unknown AVP with M',
      having({ code: 65_000, flags: AVP_FLAG.M, vendorId: undefined, data: new Uint8Array(4) }),
      'unknown AVP 65000 (AVP_UNSUPPORTED)',
    ],
    ['no Auth-Application-Id', without('Auth-Application-Id'), 'Auth-Application-Id is missing (MISSING_AVP)'],
    [
      'a User-Name twice',
      having(grammarian.avp('User-Name', 'x')),
      'User-Name more than once (AVP_OCCURS_TOO_MANY_TIMES)',
    ],
    [
      'an unknown Auth-Session-State',
      having(grammarian.avp('Auth-Session-State', 7)),
      'Auth-Session-State has the unknown value 7 (INVALID_AVP_VALUE)',
    ],
    ['another Session-Id', instead(grammarian.avp('Session-Id', 'x;1;1')), 'wrong Session-Id in the answer'],
    [
      'another Auth-Request-Type',
      instead(grammarian.avp('Auth-Request-Type', 1)),
      'Auth-Request-Type 1 in the answer to 3',
    ],
    ['no key', without('EAP-Master-Session-Key'), 'no EAP-Master-Session-Key of at least 64 octets'],
  ])('because of %s causes an STR, and the log has the reason', async (_what, twist, reason) => {
    const scene = await paaScene(pki);
    const server = first(scene);
    server.twist = twist;
    scene
      .node()
      .bootstrap()
      .catch(() => undefined);
    await eventually(() => expect(server.ended).toHaveLength(1));
    const [sessionId] = server.sessions;
    // BAD_ANSWER, RFC 6733 8.15.
    expect(strOf(server)).toMatchObject([
      {
        'Session-Id': sessionId,
        'Termination-Cause': 3,
        'Destination-Host': SERVER,
        'Destination-Realm': 'home.example',
      },
    ]);
    expect(said(scene, 'AAA answer rejected')).toMatchObject([{ reason }]);
    expect(said(scene, 'session authorized')).toEqual([]);
    expect(scene.sessions()).toMatchObject([{ state: 'WAIT_FAIL_PAN' }]);
  });

  it('causes no STR if the server keeps no state', async () => {
    const scene = await paaScene(pki);
    const server = first(scene);
    server.twist = (avps) => [...without('Auth-Application-Id')(avps), grammarian.avp('Auth-Session-State', 1)];
    scene
      .node()
      .bootstrap()
      .catch(() => undefined);
    await eventually(() => expect(said(scene, 'AAA answer rejected')).toHaveLength(1));
    expect(scene.sessions()).toMatchObject([{ state: 'WAIT_FAIL_PAN' }]);
    expect(server.ended).toEqual([]);
  });

  it('causes an STR if its session has ended', async () => {
    const scene = await paaScene(pki);
    const server = first(scene);
    const held: (() => void)[] = [];
    server.hold = new Promise((resolve) => {
      held.push(resolve);
    });
    scene
      .node()
      .bootstrap()
      .catch(() => undefined);
    await eventually(() => expect(server.successes).toBe(1));
    const [sessionId = ''] = server.sessions;
    expect(await wish(server, sessionId)).toBe(2001);
    await eventually(() => expect(said(scene, 'session ended')).toHaveLength(1));
    expect(server.ended).toEqual([]);
    for (const release of held) release();
    await eventually(() => expect(server.ended).toHaveLength(1));
    expect(strOf(server)).toMatchObject([{ 'Session-Id': sessionId }]);
  });
});

describe('A success answer with an invalid mobility AVP', () => {
  it.each<[string, Twist]>([
    [
      'a truncated home address',
      having({
        code: AVPS['MIP-Mobile-Node-Address'].code,
        flags: 0,
        vendorId: undefined,
        data: Uint8Array.of(0, 2, 1),
      }),
    ],
    [
      'two feature vectors',
      having(grammarian.avp('MIP6-Feature-Vector', 1n), grammarian.avp('MIP6-Feature-Vector', 1n)),
    ],
  ])('authorizes access without Mobile IPv6: %s', async (_what, twist) => {
    const scene = await paaScene(pki);
    const server = first(scene);
    server.twist = twist;
    await expect(scene.node().bootstrap()).rejects.toThrow(IN);
    await eventually(() => expect(said(scene, 'session authorized')).toHaveLength(1));
    expect(said(scene, 'Mobile IPv6 unavailable')).toHaveLength(1);
    expect(server.ended).toEqual([]);
  });
});

/** Sends an ASR of this server for a session; resolves to the Result-Code. */
async function wish(server: TwistedServer, sessionId: string): Promise<number | undefined> {
  const message: DiameterMessage = grammarian.message(ASR, APPLICATION.EAP, {
    'Session-Id': sessionId,
    'Origin-Host': server.host,
    'Origin-Realm': 'home.example',
    'Destination-Realm': 'access.example',
    'Destination-Host': 'paa.access.example',
    'Auth-Application-Id': APPLICATION.EAP,
  });
  const answer = await server.node.request(message, 'paa.access.example', 10_000);
  return grammarian.find(answer.avps, 'Result-Code');
}

describe('A session of a PAA with two servers', () => {
  const CLASSES = [Uint8Array.of(1, 2), Uint8Array.of(3)];

  async function entered(more: object = {}) {
    const scene = await paaScene(pki, [SERVER, OTHER_SERVER]);
    const [server, other] = scene.servers;
    if (!server || !other) throw new Error('no servers');
    server.more = { Class: CLASSES, ...more };
    await expect(scene.node().bootstrap()).rejects.toThrow(IN);
    await eventually(() => expect(said(scene, 'session authorized')).toHaveLength(1));
    const [sessionId = ''] = server.sessions;
    return { scene, server, other, sessionId };
  }

  it('is ended by an ASR of its own server only, and its STR repeats the Class AVPs', async () => {
    const { scene, server, other, sessionId } = await entered();
    expect(await wish(other, sessionId)).toBe(5002);
    expect(scene.sessions()).toMatchObject([{ diameterSession: sessionId, state: 'OPEN' }]);
    expect(said(scene, 'request rejected')).toMatchObject([{ peer: OTHER_SERVER, message: 'ASR' }]);
    expect(await wish(server, sessionId)).toBe(2001);
    await eventually(() => expect(server.ended).toHaveLength(1));
    expect(strOf(server)).toMatchObject([{ 'Session-Id': sessionId, Class: CLASSES, 'User-Name': 'mn@home.example' }]);
    expect(other.ended).toEqual([]);
  });

  it('sends its STR again if the STR was not delivered', async () => {
    const { server, sessionId } = await entered();
    server.results.push(3002);
    expect(await wish(server, sessionId)).toBe(2001);
    // The first retry is after five seconds.
    await eventually(() => expect(server.ended).toHaveLength(2));
    expect(strOf(server).map((content) => content['Session-Id'])).toEqual([sessionId, sessionId]);
  });

  it('with a Session-Binding that allows it is ended by an ASR of another server of the realm', async () => {
    const { server, other, sessionId } = await entered({ 'Session-Binding': 3 });
    expect(await wish(other, sessionId)).toBe(2001);
    await eventually(() => expect(server.ended.length + other.ended.length).toBe(1));
  });
});
