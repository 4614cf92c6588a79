import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Page } from '../../src/store/records.js';
import type { Store } from '../../src/store/store.js';
import { isFor, Postgres, withoutPostgres } from '../postgres.js';
import { DATABASES } from './databases.js';
import { HOUR, NOW, StoreUser } from './fixtures.js';
import { openStore } from './open-store.js';

let store: Store;
const user = new StoreUser(() => store);

/** Names whose dictionary order differs from their octet order. */
const NAMES = ['mn-2', 'mn.10', 'mn1', 'mn10', 'mn_1', 'mn+1', 'm-n1', 'MN2', 'mnb', 'mn-a', 'mna', '1mn', 'n.m', 'nm'];

const ISSUERS = ['0123456789abcdef0123456789abcdef', 'fedcba9876543210fedcba9876543210'];

/** Adds sessions on two home agents, from two PAAs, with a lease for each name. */
async function fill(): Promise<void> {
  await user.addAgent(1, { capacity: 100 });
  await user.addAgent(2, { capacity: 100 });
  for (const [i, name] of NAMES.entries()) {
    const nai = `${name}@home.example`;
    await user.addSubscriber(nai, { homeAgent: i % 2 === 0 ? 'ha1' : 'ha2', enabled: true });
    await user.given(nai, `paa${i % 2}.access.example;1;${name}`, {
      origin: `paa${i % 2}.access.example`,
      // Every third has the earlier format, without the issuer of the certificate.
      certificate: i % 3 === 0 ? i.toString(16) : `${ISSUERS[i % 2]}:${i.toString(16)}`,
    });
  }
  await user.addSubscriber('out@elsewhere.example', { enabled: false });
}

/** All pages of a list with `limit` items each, joined. All but the last must be full. */
async function paged<T>(limit: number, list: (page: { from: string | undefined; limit: number }) => Promise<Page<T>>) {
  const all: T[] = [];
  let from: string | undefined;
  do {
    const { items, next } = await list({ from, limit });
    all.push(...items);
    if (next !== undefined) expect(items).toHaveLength(limit);
    from = next;
  } while (from !== undefined);
  return all;
}

/** Asserts that every list, read in pages of any size, equals the list read at once. */
async function expectPages(): Promise<void> {
  for (const weight of [3, 2, 1]) await store.run('changeHomeAgent', { name: 'ha1', change: { weight } }, 'root');
  const subscribers = (await store.run('listSubscribers', {})).items;
  const leases = (await store.run('listLeases', {})).items;
  const sessions = (await store.run('listSessions', {})).items;
  const history = (await store.run('leaseHistory', {})).items;
  const audit = (await store.run('listAudit', {})).items;
  expect(history).toHaveLength(NAMES.length);
  expect(audit).toHaveLength(3);
  expect(new Set(subscribers.map(({ nai }) => nai)).size).toBe(NAMES.length + 1);
  expect(new Set(leases.map(({ homeAddress }) => homeAddress)).size).toBe(NAMES.length);
  expect(new Set(sessions.map(({ sessionId }) => sessionId)).size).toBe(NAMES.length);
  for (const limit of [1, 2, 3, NAMES.length, NAMES.length + 1, 100]) {
    expect(await paged(limit, (page) => store.run('listSubscribers', page))).toEqual(subscribers);
    expect(await paged(limit, (page) => store.run('listLeases', page))).toEqual(leases);
    expect(await paged(limit, (page) => store.run('listSessions', page))).toEqual(sessions);
    expect(await paged(limit, (page) => store.run('leaseHistory', page))).toEqual(history);
    expect(await paged(limit, (page) => store.run('listAudit', page))).toEqual(audit);
  }
}

afterEach(() => store.close());

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`Lists in ${kind}`, () => {
    const { fresh } = places();

    beforeEach(async () => {
      store = await openStore(await fresh());
      await fill();
    });

    it('neither skip nor repeat an item between pages', async () => {
      await expectPages();
      const nais = (await store.run('listSubscribers', {})).items.map(({ nai }) => nai);
      expect(nais).toEqual([...nais].sort());
    });

    it('continue after the last page even if its next item has been removed', async () => {
      const first = await store.run('listSubscribers', { limit: 5 });
      await store.run('removeSubscriber', { nai: first.next ?? '' });
      const rest = await store.run('listSubscribers', { from: first.next });
      expect(rest.items).toHaveLength(NAMES.length + 1 - 5);
      expect(rest.next).toBe(undefined);
    });

    it('of subscribers filter by part of the name, home agent and enabled', async () => {
      const nais = async (filter: object) =>
        (await store.run('listSubscribers', filter)).items.map(({ nai }) => nai.split('@', 1)[0]);
      expect(await nais({ match: 'MN1' })).toEqual(['mn10', 'mn1']);
      expect(await nais({ match: '@elsewhere' })).toEqual(['out']);
      // LIKE wildcards are literal.
      expect(await nais({ match: 'mn_1' })).toEqual(['mn_1']);
      expect(await nais({ match: 'mn%' })).toEqual([]);
      expect(await nais({ match: 'mn!' })).toEqual([]);
      expect(await nais({ match: '\\' })).toEqual([]);
      expect(await nais({ homeAgent: 'ha2' })).toHaveLength(NAMES.length / 2);
      expect(await nais({ enabled: false })).toEqual(['out']);
      expect(await nais({ enabled: true })).toHaveLength(NAMES.length);
      expect(await nais({ homeAgent: 'ha1', match: 'mn1', enabled: true })).toEqual(['mn1']);
      const pages = paged(2, (page) => store.run('listSubscribers', { ...page, homeAgent: 'ha1' }));
      expect((await pages).map(({ nai }) => nai.split('@', 1)[0])).toEqual(await nais({ homeAgent: 'ha1' }));
    });

    it('find the PAA of a session by its Session-Id', async () => {
      expect(await store.run('originOfSession', { sessionId: 'paa0.access.example;1;mn1' })).toBe(
        (await store.run('listSessions', { of: 'paa0.access.example;1;mn1' })).items[0]?.origin,
      );
      expect(await store.run('originOfSession', { sessionId: 'paa0.access.example;1;none' })).toBeUndefined();
    });

    it('of sessions of a subscriber at one PAA have a statement of their own, with the same result', async () => {
      await user.given('mn10@home.example', 'paa0.access.example;1;again', { origin: 'paa0.access.example' });
      const found: number[] = [];
      for (const of of [...NAMES.map((name) => `${name}@home.example`), 'paa0.access.example;1;again', 'nobody']) {
        for (const paa of ['paa0.access.example', 'paa1.access.example', 'paa2.access.example']) {
          const prepared = await store.run('listSessions', { of, paa });
          expect(prepared).toEqual(await store.run('listSessions', { of, paa, limit: 100 }));
          found.push(prepared.items.length);
        }
      }
      expect(found.reduce((sum, each) => sum + each)).toBe(NAMES.length + 2);
      expect(Math.max(...found)).toBe(1);
    });

    it('of leases filter by home address, part of the name and home agent', async () => {
      const leases = async (filter: object) => (await store.run('listLeases', filter)).items;
      const [lease, ...others] = await leases({ of: 'Mn10@' });
      expect(lease?.nai).toBe('mn10@home.example');
      expect(others).toEqual([]);
      expect(await leases({ of: lease?.homeAddress.toUpperCase() })).toEqual([lease]);
      expect(await leases({ of: '2001:db8:1::' })).toEqual([]);
      expect(await leases({ of: 'mn_1' })).toHaveLength(1);
      const first = await leases({ homeAgent: 'ha1' });
      expect(new Set(first.map(({ homeAgent }) => homeAgent.name))).toEqual(new Set(['ha1']));
      expect(first).toHaveLength(NAMES.length / 2);
      expect(await paged(3, (page) => store.run('listLeases', { ...page, homeAgent: 'ha1' }))).toEqual(first);
      expect(await leases({ homeAgent: 'ha9' })).toEqual([]);
    });

    it('of sessions filter by Session-Id, subscriber, home agent, PAA, certificate and disabled subscriber', async () => {
      const sessions = async (filter: object) =>
        (await store.run('listSessions', filter)).items.map(({ sessionId }) => sessionId);
      expect(await sessions({ of: 'paa0.access.example;1;mn1' })).toEqual(['paa0.access.example;1;mn1']);
      expect(await sessions({ of: 'MN2@home.example' })).toEqual(['paa1.access.example;1;MN2']);
      expect(await sessions({ of: 'mn' })).toEqual([]);
      const second = await sessions({ homeAgent: 'ha2' });
      expect(second).toHaveLength(NAMES.length / 2);
      expect(await sessions({ homeAgent: '2001:db8:2::1' })).toEqual(second);
      expect(await sessions({ paa: 'paa1.access.example' })).toEqual(second);
      expect(await sessions({ paa: 'paa1' })).toEqual([]);
      // The odd issuer has issued serial number 1, and the even one a. The session with serial number 3 has no issuer.
      const [even, odd] = ISSUERS;
      const named = (...certificates: string[]) => sessions({ certificates });
      expect(await named(`${odd}:1`, `${even}:a`, `${even}:ff`)).toHaveLength(2);
      expect(await named(`${even}:1`, `${odd}:a`)).toEqual([]);
      expect(await named(`${odd}:3`)).toHaveLength(1);
      const ofOdd = NAMES.filter((_name, i) => i % 3 !== 0 && i % 2 === 1);
      expect(await sessions({ certificateIssuer: odd })).toHaveLength(ofOdd.length);
      expect(await sessions({ certificateIssuer: 'ffffffffffffffffffffffffffffffff' })).toEqual([]);
      expect(await sessions({ disabled: true })).toEqual([]);
      await store.run('changeSubscriber', { nai: 'mn2@home.example', change: { enabled: false } });
      expect(await sessions({ disabled: true })).toEqual(['paa1.access.example;1;MN2']);
      const pages = paged(2, (page) => store.run('listSessions', { ...page, paa: 'paa1.access.example' }));
      expect((await pages).map(({ sessionId }) => sessionId)).toEqual(second);
      const [one] = (await store.run('listSessions', { of: 'paa0.access.example;1;mn1' })).items;
      expect(one).toEqual({
        sessionId: 'paa0.access.example;1;mn1',
        nai: 'mn1@home.example',
        origin: 'paa0.access.example',
        originRealm: 'access.example',
        kind: 'home',
        homeAgent: '2001:db8:1::1',
        homeAddress: expect.stringMatching(/^2001:db8:1:/),
        serial: '2',
        startedAt: NOW,
        expiresAt: NOW + HOUR,
      });
    });

    it('of the audit trail filter by user, operation and detail, case-insensitively', async () => {
      await store.run('changeSubscriber', { nai: 'mn1@home.example', change: { mip6: false } }, 'Alice');
      await store.run('changeHomeAgent', { name: 'ha1', change: { weight: 2 } }, 'bob as root');
      await store.run('rotateSecret', {}, 'bob as root');
      const whats = async (of?: string, limit = 10) =>
        (await store.run('listAudit', { of, limit })).items.map(({ what }) => what);
      expect(await whats()).toEqual(['rotateSecret', 'changeHomeAgent', 'changeSubscriber']);
      expect(await whats(undefined, 2)).toEqual(['rotateSecret', 'changeHomeAgent']);
      expect(await whats('alice')).toEqual(['changeSubscriber']);
      expect(await whats('MN1@Home')).toEqual(['changeSubscriber']);
      expect(await whats('homeagent')).toEqual(['changeHomeAgent']);
      expect(await whats('%')).toEqual([]);
      // Reads are not recorded.
      await store.run('listLeases', {}, 'carol');
      expect(await whats('carol')).toEqual([]);
    });
  });
}

const onPostgres = isFor('PostgreSQL') ? describe.skipIf(withoutPostgres !== undefined) : undefined;

onPostgres?.('Lists in PostgreSQL with a dictionary collation', () => {
  let postgres: Postgres | undefined;

  afterEach(() => postgres?.stop());

  it('neither skip nor repeat an item between pages', async ({ skip }) => {
    postgres = await Postgres.start();
    const place = await postgres.database('en-US').catch((error: Error) => skip(error.message));
    store = await openStore(place);
    await fill();
    const nais = (await store.run('listSubscribers', {})).items.map(({ nai }) => nai);
    expect(nais).not.toEqual([...nais].sort());
    await expectPages();
  });
});
