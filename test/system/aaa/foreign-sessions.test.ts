import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { answerTo } from '../../../src/protocol/diameter/wire/answers.js';
import { FLAG } from '../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, ASA, ASR, STR } from '../../../src/protocol/diameter/wire/commands.js';
import { AVPS } from '../../../src/protocol/diameter/wire/dictionary.js';
import { plainSubscriber, type Session } from '../../../src/protocol/home/records.js';
import type { PeerCredentials } from '../../../src/runtime/eap/engine.js';
import type { Store } from '../../../src/store/store.js';
import { Application, resultOf } from '../../aaa/application-rig.js';
import { RawPeer } from '../../daemons/raw-peer.js';
import { eventually } from '../../eventually.js';
import { grammarian } from '../../protocol/diameter/messages.js';
import { makeNode, stopNodes } from '../../runtime/diameter/rig.js';
import { clientCredentials, makePki, SUBSCRIBER, type TestPki } from '../../runtime/eap/eap-run.js';
import { StoreUser } from '../../store/fixtures.js';
import { openStore } from '../../store/open-store.js';

const A = 'paa.example';
const B = 'paa2.example';
const RELAY = 'relay.example';
/** The request of a node that wants a home agent. */
const WISH = { 'Mobility-Capability': 0x1d, 'MIP6-Feature-Vector': 1n, 'Origin-State-Id': 5 };

let pki: TestPki;
let folder: string;
let store: Store;
let there: Application;

beforeAll(async () => {
  pki = await makePki('p256');
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-foreign-'));
  store = await openStore(join(folder, 'store.db'));
  await store.run('addSubscriber', { subscriber: plainSubscriber(SUBSCRIBER) });
  await new StoreUser(() => store).addAgent(1, { ike: ['ikev1', 'ikev2'] });
  there = await new Application({ pki, paas: [A, B], store }).start();
});

afterEach(async () => {
  await stopNodes();
  await there.stop();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

function credentials(): PeerCredentials {
  return clientCredentials(pki);
}

async function sessions(): Promise<readonly Session[]> {
  return (await store.run('listSessions', {})).items;
}

const leases = async () => (await store.run('listLeases', {})).items.map(({ sessionId }) => sessionId);

/** Authenticates a node through this PAA; resolves to its Session-Id. */
async function session(paa: string): Promise<string> {
  const sessionId = there.newSession(paa);
  expect(await there.enter(paa, '2001:db8:2::1', credentials(), sessionId, WISH)).toBe(2001);
  return sessionId;
}

function str(origin: string, sessionId: string) {
  return grammarian.message(STR, APPLICATION.EAP, {
    'Session-Id': sessionId,
    'Origin-Host': origin,
    'Origin-Realm': 'example',
    'Destination-Realm': 'home.example',
    'Auth-Application-Id': APPLICATION.EAP,
    'Termination-Cause': 1,
  });
}

describe('A session of one PAA', () => {
  it('is not ended by an STR of another PAA, which gets 5002', async () => {
    const sessionId = await session(A);
    expect(await leases()).toEqual([sessionId]);
    expect(resultOf(await there.send(B, str(B, sessionId)))).toBe(5002);
    expect(await sessions()).toMatchObject([{ sessionId, origin: A }]);
    expect(await leases()).toEqual([sessionId]);
    expect(resultOf(await there.send(A, str('PAA.example', sessionId)))).toBe(2001);
    expect(await leases()).toEqual([]);
  });

  it('moves to another PAA only after its node has authenticated there', async () => {
    const sessionId = await session(A);
    await there.begin(B, sessionId, '2001:db8:3::1', WISH);
    expect(await sessions()).toMatchObject([{ sessionId, origin: A }]);
    expect(await there.enter(B, '2001:db8:3::1', credentials(), sessionId, WISH)).toBe(2001);
    expect(await sessions()).toMatchObject([{ sessionId, origin: B }]);
    expect(resultOf(await there.send(A, str(A, sessionId)))).toBe(5002);
  });
});

describe('A conversation of one PAA', () => {
  it('is neither continued, restarted nor ended by another PAA', async () => {
    const sessionId = there.newSession(A);
    const begun = await there.begin(A, sessionId, '2001:db8:2::1');
    const request = grammarian.find(begun.avps, 'EAP-Payload') ?? new Uint8Array(0);
    const answer = Uint8Array.of(2, request[1] ?? 0, 0, 6, 13, 0);
    expect(resultOf(await there.ask(B, sessionId, '2001:db8:bad::1', answer))).toBe(5002);
    expect(resultOf(await there.begin(B, sessionId, '2001:db8:bad::1'))).toBe(5002);
    expect(resultOf(await there.send(B, str(B, sessionId)))).toBe(5002);
    expect(there.application.home.conversations).toBe(1);
    // Its state has not changed: EAP judges the answer of its own PAA.
    expect(resultOf(await there.ask(A, sessionId, '2001:db8:2::1', answer))).toBe(4001);
  });
});

describe('HomeServer.disconnect through a relay', () => {
  /** Connects a relay that answers ASRs for the PAA behind it with this Origin-Host and Result-Code. */
  async function relayed(paa: string, from: string, resultCode: number): Promise<void> {
    const [{ port = 0 } = {}] = there.application.diameter.node.addresses;
    there.application.diameter.node.reconfigure([{ host: RELAY, relay: true }], undefined);
    const relay = await RawPeer.open({ address: '127.0.0.1', port }, RELAY);
    onTestFinished(() => relay.close());
    relay.onRequest = (message) => {
      if (message.commandCode !== ASR.code) return undefined;
      expect(grammarian.find(message.avps, 'Destination-Host')).toBe(paa);
      const content = {
        'Session-Id': grammarian.find(message.avps, 'Session-Id') ?? '',
        'Result-Code': resultCode,
        'Origin-Host': from,
        'Origin-Realm': 'example',
      };
      const sent = answerTo(message, grammarian.write(ASA, content));
      return from === RELAY ? { ...sent, flags: sent.flags | FLAG.E } : sent;
    };
  }

  it.each<[string, number, RegExp | string, number]>([
    [B, 5002, /the answer is from paa2.example, not from paa.example/, 1],
    [RELAY, 3002, 'UNABLE_TO_DELIVER', 1],
    // Despite its E bit, this answer is a verdict on the session and not a delivery error.
    [RELAY, 5002, /the answer is from relay.example, not from paa.example/, 1],
    [A, 5002, 'UNKNOWN_SESSION_ID', 0],
  ])(
    'with an answer from %s and Result-Code %i results in %s and leaves %i sessions',
    async (from, code, outcome, left) => {
      await session(A);
      const [of] = await sessions();
      if (!of) throw new Error('no session');
      await relayed(A, from, code);
      const asked = there.application.home.disconnect(of);
      if (typeof outcome === 'string') expect((await asked).result).toBe(outcome);
      else await expect(asked).rejects.toThrow(outcome);
      expect(await sessions()).toHaveLength(left);
    },
  );
});

describe('Auth-Request-Type with EAP (RFC 6733 8.7)', () => {
  it.each([1, 2])('%i is rejected with 5004, since the server supports AUTHORIZE_AUTHENTICATE only', async (type) => {
    const answer = await there.begin(A, there.newSession(A), undefined, { 'Auth-Request-Type': type });
    expect(resultOf(answer)).toBe(5004);
    const [failed] = grammarian.find(answer.avps, 'Failed-AVP') ?? [];
    expect(failed).toMatchObject({ code: AVPS['Auth-Request-Type'].code, data: Uint8Array.of(0, 0, 0, type) });
    expect(there.application.home.conversations).toBe(0);
  });

  it('of the request is repeated in the answer', async () => {
    const answer = await there.begin(A, there.newSession(A), undefined);
    expect(grammarian.find(answer.avps, 'Auth-Request-Type')).toBe(3);
  });
});

describe('Origin-State-Id', () => {
  const restarted = (more: object) => there.begin(A, there.newSession(A), undefined, more);

  it('reported by an agent ends the sessions of a PAA only while the PAA is not connected', async () => {
    await session(A);
    await restarted({ 'Origin-State-Id': 0xffff_fff0 });
    expect(await sessions()).toHaveLength(1);
    // An agent reports it for the connected PAA.
    const [{ port = 0 } = {}] = there.application.diameter.node.addresses;
    there.application.diameter.node.reconfigure(
      [
        { host: A, secure: false, relay: false },
        { host: RELAY, relay: true },
      ],
      undefined,
    );
    const relay = makeNode(RELAY, { peers: [{ host: 'aaa.home.example', address: '127.0.0.1', port }] });
    await relay.node.start();
    await eventually(() => expect(relay.events.map(({ type }) => type)).toContain('peerOpen'));
    there.nodes.set(RELAY, relay.node);
    const through = { 'Origin-Host': A, 'Route-Record': [A], 'Origin-State-Id': 0xffff_fff1 };
    expect(resultOf(await there.begin(RELAY, `${A};9;9`, undefined, through))).toBe(1001);
    expect(await sessions()).toHaveLength(1);
    // While the PAA is not connected, the agent's report counts.
    await there.nodes.get(A)?.stop();
    await eventually(() => expect(there.application.diameter.node.capabilitiesOf(A)).toBeUndefined());
    await there.begin(RELAY, `${A};9;10`, undefined, { ...through, 'Origin-State-Id': 0xffff_fff2 });
    expect(await sessions()).toHaveLength(0);
  });
});
