import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RESULT } from '../../src/protocol/diameter/wire/result-codes.js';
import { FamiliarAddresses, MAX_ADDRESSES } from '../../src/protocol/home/familiar-addresses.js';
import type { PeerCredentials } from '../../src/runtime/eap/engine.js';
import { createPeerCredentials } from '../../src/runtime/eap/tls-peer.js';
import { eventually } from '../eventually.js';
import { stopNodes } from '../runtime/diameter/rig.js';
import { clientCredentials, makePki, type TestPki } from '../runtime/eap/eap-run.js';
import { Application, type ApplicationChoice, resultOf } from './application-rig.js';

const PAA = 'paa.example';
const OTHER_PAA = 'paa2.example';
const SUCCESS = 2001;

let pki: TestPki;
let application: Application | undefined;

beforeAll(async () => {
  pki = await makePki('p256');
});

afterEach(async () => {
  await stopNodes();
  await application?.stop();
  application = undefined;
});

async function scene(choice: Partial<ApplicationChoice> = {}): Promise<Application> {
  application = await new Application({ pki, paas: [PAA, OTHER_PAA], ...choice }).start();
  return application;
}

function credentials(): PeerCredentials {
  return clientCredentials(pki);
}

/** Begins conversations from different addresses of one network and leaves them open. */
async function hang(there: Application, paa: string, network: string, count: number): Promise<string[]> {
  const sessions: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const sessionId = there.newSession(paa);
    sessions.push(sessionId);
    await there.begin(paa, sessionId, `${network}:${(i + 1).toString(16)}`);
  }
  return sessions;
}

describe('HomeServer with unauthenticated clients', () => {
  it('authenticates valid clients during 700 failed attempts from the same network', async () => {
    const there = await scene();
    const running = there.newSession(PAA);
    expect(await there.enter(PAA, '2001:db8:1::1', credentials(), running)).toBe(SUCCESS);
    for (let i = 0; i < 700; i += 1) {
      expect(await there.nak(PAA, `2001:db8:bad::${i % 4}`)).toBe(RESULT.AUTHENTICATION_REJECTED);
    }
    expect(await there.enter(PAA, '2001:db8:2::1', credentials())).toBe(SUCCESS);
    expect(await there.enter(PAA, '2001:db8:bad::77', credentials())).toBe(SUCCESS);
    expect(await there.enter(PAA, '2001:db8:1::1', credentials(), running)).toBe(SUCCESS);
    expect(await there.enter(OTHER_PAA, '2001:db8:1::1', credentials())).toBe(SUCCESS);
  });

  it('evicts conversations of the flooding network first when the table of conversations is full', async () => {
    const there = await scene({ conversations: 20, sessions: new Map([['known;1;1', PAA]]) });
    await hang(there, PAA, '2001:db8:bad:', 50);
    expect(there.application.home.conversations).toBe(20);
    expect(await there.counter('limited{of=conversations}')).toBe(30);
    // Another network, another PAA, and a session that only the store knows: each authenticates during the flood.
    const honest = [
      [PAA, '2001:db8:1::1', there.newSession(PAA)],
      [OTHER_PAA, '2001:db8:bad::1', there.newSession(OTHER_PAA)],
      [PAA, '2001:db8:bad::9', 'known;1;1'],
    ] as const;
    let over = false;
    const flood = (async () => {
      while (!over) await hang(there, PAA, '2001:db8:bad:', 10);
    })();
    for (const [paa, address, session] of honest) {
      for (let i = 0; i < 5; i += 1) expect(await there.enter(paa, address, credentials(), session)).toBe(SUCCESS);
    }
    over = true;
    await flood;
    expect(there.application.home.conversations).toBe(20);
  });

  it('authenticates clients of another NAS while one NAS without Calling-Station-Id fills the table', async () => {
    const there = await scene({ conversations: 10 });
    for (let i = 0; i < 30; i += 1) await there.begin(PAA, there.newSession(PAA), undefined);
    expect(await there.enter(OTHER_PAA, '2001:db8:1::1', credentials())).toBe(SUCCESS);
  });

  it('serves a client after fewer than 60 of 100 earlier clients that keep the TLS engine busy', async () => {
    const there = await scene({ sessions: new Map([['known;1;1', PAA]]) });
    let over = false;
    let served = 0;
    const anonymous = createPeerCredentials({ caPem: pki.ca.certificatePem, serverName: 'aaa.home.example' });
    const anonymousClients = Array.from({ length: 100 }, async (_, i) => {
      while (!over) {
        const result = await there.enter(PAA, `2001:db8:bad::${(i + 1).toString(16)}`, anonymous);
        if (result === RESULT.AUTHENTICATION_REJECTED) served += 1;
      }
    });
    try {
      await eventually(() => expect(served).toBeGreaterThan(30));
      // Each needs two flights. If the engine admitted all 100 at once, each flight would wait for all of them.
      for (const [paa, address, session] of [
        [PAA, '2001:db8:1::1', 'known;1;1'],
        [PAA, '2001:db8:2::1', there.newSession(PAA)],
        [OTHER_PAA, '2001:db8:bad::1', there.newSession(OTHER_PAA)],
      ] as const) {
        const before = served;
        let result: number;
        // On a slow computer these clients overload the server, which then refuses a first flight that waits. The PaC tries again.
        do result = await there.enter(paa, address, credentials(), session);
        while (result === RESULT.TOO_BUSY && served - before < 60);
        expect(result).toBe(SUCCESS);
        expect(served - before).toBeLessThan(60);
      }
    } finally {
      over = true;
      await Promise.all(anonymousClients);
    }
  });

  it('rejects an oversized Session-Id and keeps no conversation for it', async () => {
    const there = await scene();
    const answer = await there.begin(PAA, `${PAA};1;${'1'.repeat(2_000)}`, '2001:db8:1::1');
    expect(resultOf(answer)).toBe(RESULT.INVALID_AVP_LENGTH);
    expect(there.application.home.conversations).toBe(0);
  });

  it('gives a conversation no priority for a Session-Id that the store knows from another NAS', async () => {
    const there = await scene({ conversations: 4, sessions: new Map([['known;1;1', OTHER_PAA]]) });
    await there.begin(PAA, 'known;1;1', '2001:db8:bad::1');
    await hang(there, PAA, '2001:db8:bad:', 4);
    // It was the oldest unauthenticated conversation, so it was evicted.
    expect(resultOf(await there.ask(PAA, 'known;1;1', undefined, Uint8Array.of(2, 1, 0, 6, 13, 0)))).toBe(
      RESULT.UNKNOWN_SESSION_ID,
    );
  });
});

describe('HomeServer with authenticated clients', () => {
  it('keeps the conversation of a familiar address when its network floods the table', async () => {
    const there = await scene({ conversations: 3 });
    const entering = there.enter(PAA, '2001:db8:1::1', credentials());
    expect(await entering).toBe(SUCCESS);
    // Its address is familiar now, so unauthenticated clients in the same network do not evict its conversation.
    const sessionId = there.newSession(PAA);
    await there.begin(PAA, sessionId, '2001:db8:1::1');
    await hang(there, PAA, '2001:db8:1:', 20);
    const answer = await there.ask(PAA, sessionId, '2001:db8:1::1', Uint8Array.of(2, 1, 0, 6, 3, 4));
    expect(resultOf(answer)).not.toBe(RESULT.UNKNOWN_SESSION_ID);
  });

  it('FamiliarAddresses remembers a limited number of addresses for each certificate', () => {
    const familiar = new FamiliarAddresses();
    const path = (i: number) => [PAA, PAA, 'network', `address ${i}`];
    for (let i = 0; i < 10; i += 1) familiar.remember('certificate', path(i), 0);
    const known = () => Array.from({ length: 10 }, (_, i) => i).filter((i) => familiar.has(path(i), 1));
    expect(known()).toEqual([6, 7, 8, 9]);
    expect(known()).toHaveLength(MAX_ADDRESSES);
    // An address that another certificate made familiar too stays familiar.
    familiar.remember('another', path(6), 1);
    familiar.remember('certificate', path(10), 1);
    expect(known()).toEqual([6, 7, 8, 9]);
    familiar.remember('certificate', path(7), 1);
    expect(known()).toEqual([6, 7, 8, 9]);
  });

  it.each([
    [true, 'hooks-behind'],
    [false, 'no-home-agent'],
  ])(
    'authenticates a client whose subscriber has a full hook queue (%s), with the bootstrap result %s',
    async (isBehind, result) => {
      const there = await scene({ isBehind });
      expect(await there.enter(PAA, '2001:db8:1::1', credentials())).toBe(SUCCESS);
      expect(await there.counter(`bootstraps{result=${result}}`)).toBe(1);
    },
  );
});
