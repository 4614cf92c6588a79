import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.js';
import { DATABASES } from './databases.js';
import { HOUR, LOCAL, NOW, SHA256, StoreUser } from './fixtures.js';
import { openStore } from './open-store.js';

let store: Store;
const user = new StoreUser(() => store);

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`The store in ${kind}`, () => {
    const { fresh } = places();

    beforeEach(async () => {
      store = await openStore(await fresh());
    });

    afterEach(() => store.close());

    describe('subscriber', () => {
      it('is found by the first matching name, case-insensitively', async () => {
        await user.addSubscriber('MN@Home.Example');
        const proof = { sha256: SHA256, sessionId: 'one' };
        const found = await store.run('findSubscriber', { ...proof, names: ['nobody', 'mn@HOME.example'] });
        expect(found).toMatchObject({ subscriber: { nai: 'mn@home.example', enabled: true } });
        const nobody = await store.run('findSubscriber', { ...proof, names: ['other@home.example'] });
        expect(nobody).toEqual({ refusal: 'no-subscriber' });
      });

      it('releases its lease when it is removed', async () => {
        await user.addAgent(1);
        await user.addSubscriber('mn@home.example');
        const { lease } = await user.given('mn@home.example', 'one');
        expect(await store.run('removeSubscriber', { nai: 'mn@home.example' })).toMatchObject({
          lease: { homeAddress: lease.homeAddress },
          sessions: [{ sessionId: lease.sessionId, nai: 'mn@home.example' }],
        });
        expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 0 }]);
        await expect(store.run('removeSubscriber', { nai: 'mn@home.example' })).rejects.toThrow('no subscriber');
      });
    });

    describe('assignment', () => {
      it('uses the home agent with the lowest load until capacities are exhausted', async () => {
        await user.addAgent(1, { capacity: 2 });
        await user.addAgent(2, { capacity: 4 });
        const names: string[] = [];
        for (let i = 0; i < 6; i += 1) {
          await user.addSubscriber(`mn${i}@home.example`);
          names.push((await user.given(`mn${i}@home.example`, `s${i}`)).lease.homeAgent.name);
        }
        expect(names.filter((name) => name === 'ha1')).toHaveLength(2);
        expect(names.filter((name) => name === 'ha2')).toHaveLength(4);
        await user.addSubscriber('mn7@home.example');
        expect(await user.bootstrap('mn7@home.example', 's7')).toMatchObject({
          result: 'none',
          reason: 'no-home-agent',
        });
        expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 2 }, { leases: 4 }]);
      });

      it('never exceeds a capacity or assigns an address twice under concurrency', async () => {
        await user.addAgent(1, { capacity: 20 });
        await user.addAgent(2, { capacity: 10 });
        const nais = Array.from({ length: 50 }, (_, i) => `mn${i}@home.example`);
        await Promise.all(nais.map((nai) => user.addSubscriber(nai)));
        const results = await Promise.all(nais.map((nai) => user.bootstrap(nai, `session ${nai}`)));
        const leases = results.flatMap((result) => (result.result === 'home' ? [result.lease] : []));
        expect(leases).toHaveLength(30);
        expect(new Set(leases.map(({ homeAddress }) => homeAddress)).size).toBe(30);
        expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 20 }, { leases: 10 }]);
      });

      it('distributes leases by capacity and weight', async () => {
        await user.addAgent(1, { capacity: 1000, weight: 1 });
        await user.addAgent(2, { capacity: 2000, weight: 1 });
        await user.addAgent(3, { capacity: 1000, weight: 3 });
        for (let i = 0; i < 60; i += 1) {
          await user.addSubscriber(`mn${i}@home.example`);
          await user.given(`mn${i}@home.example`, `s${i}`);
        }
        expect((await store.run('listHomeAgents', {})).map(({ leases }) => leases)).toEqual([10, 20, 30]);
      });

      it('gives a subscriber the same lease again, and a repeated request changes nothing more', async () => {
        await user.addAgent(1);
        await user.addAgent(2);
        await user.addSubscriber('mn@home.example');
        const one = await user.given('mn@home.example', 'one');
        const again = await user.given('mn@home.example', 'one');
        const moved = await user.given('mn@home.example', 'two', { leaseLifetime: 2 * HOUR });
        expect(one.renewed).toBe(false);
        expect([again.renewed, moved.renewed]).toEqual([true, true]);
        expect(new Set([one, again, moved].map(({ lease }) => lease.homeAddress)).size).toBe(1);
        expect(moved.lease).toMatchObject({ sessionId: 'two', expiresAt: NOW + 2 * HOUR });
        expect((await store.run('listHomeAgents', {})).reduce((sum, { leases }) => sum + leases, 0)).toBe(1);
        // The address depends on the subscriber, not on the time or the session.
        await store.run('endSession', { sessionId: 'two' });
        expect((await user.given('mn@home.example', 'three')).lease.homeAddress).toBe(one.lease.homeAddress);
      });

      it('frees a lease only when its newest session ends', async () => {
        await user.addAgent(1);
        await user.addSubscriber('mn@home.example');
        await user.given('mn@home.example', 'old');
        const { lease } = await user.given('mn@home.example', 'new');
        expect(await store.run('endSession', { sessionId: 'old' })).toEqual({ known: true, released: undefined });
        expect((await store.run('listLeases', {})).items).toHaveLength(1);
        expect(await store.run('endSession', { sessionId: 'new' })).toMatchObject({
          known: true,
          released: { homeAddress: lease.homeAddress },
        });
        expect(await store.run('endSession', { sessionId: 'new' })).toEqual({ known: false, released: undefined });
        expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 0 }]);
      });

      it('keeps what its own NAS reports, and octets never become less', async () => {
        await user.addSubscriber('mn@home.example');
        await user.bootstrap('mn@home.example', 'one');
        const [first] = (await store.run('listSessions', { of: 'one' })).items;
        const report = (origin: string, nas?: string, octets?: { received: number; sent: number }) =>
          store.run('reportSession', { sessionId: 'one', origin, nas, octets });
        const origin = first?.origin ?? '';
        const show = async () => (await store.run('listSessions', { of: 'one' })).items[0];
        expect(first?.reported).toBeUndefined();
        expect(await report('paa9.example', '00', { received: 1, sent: 1 })).toEqual({ known: false });
        expect(await show()).toEqual(first);
        expect(await report(origin, '2c03')).toEqual({ known: true });
        expect(await show()).toEqual({ ...first, nas: '2c03' });
        expect(await report(origin, undefined, { received: 2 ** 40, sent: 5 })).toEqual({ known: true });
        await report(origin, undefined, { received: 7, sent: 6 });
        expect(await show()).toMatchObject({ nas: '2c03', reported: { octetsIn: 2 ** 40, octetsOut: 6 } });
        // A session that is authenticated again keeps them.
        await user.bootstrap('mn@home.example', 'one');
        expect(await show()).toMatchObject({ nas: '2c03', reported: { octetsIn: 2 ** 40, octetsOut: 6 } });
        await store.run('endSession', { sessionId: 'one', unconfirmed: true });
        expect(await store.run('reportSession', { sessionId: 'one', origin, nas: '00', octets: undefined })).toEqual({
          known: false,
        });
      });

      it('frees no lease for another PAA or for a session that no longer exists', async () => {
        await user.addAgent(1);
        await user.addSubscriber('mn@home.example');
        await user.given('mn@home.example', 'one');
        const end = (origin: string) => store.run('endSession', { sessionId: 'one', origin });
        expect(await end('paa2.access.example')).toEqual({ known: false, foreign: true, released: undefined });
        expect((await store.run('listSessions', {})).items).toHaveLength(1);
        expect((await store.run('listLeases', {})).items).toHaveLength(1);
        // After a restart of its PAA the lease stays for a while, and no STR can free it.
        await store.run('endSessionsOf', { origin: 'paa.access.example', before: 101, leasesFor: 60_000 });
        for (const origin of ['paa.access.example', 'paa2.access.example']) {
          expect(await end(origin)).toEqual({ known: false, foreign: false, released: undefined });
        }
        expect((await store.run('listLeases', {})).items).toHaveLength(1);
        await user.given('mn@home.example', 'one');
        expect(await end('PAA.access.example')).toMatchObject({ known: true, released: { sessionId: 'one' } });
      });

      it('uses the home agent and home address configured for the subscriber', async () => {
        await user.addAgent(1);
        await user.addAgent(2);
        const homeAddress = '2001:db8:2::beef';
        await user.addSubscriber('mn@home.example', { homeAgent: 'ha2', homeAddress });
        const { lease } = await user.given('mn@home.example', 'one');
        expect(lease).toMatchObject({ homeAddress, homeAgent: { name: 'ha2' } });
        // Another subscriber is now configured with this address, which is still in use.
        await store.run('changeSubscriber', { nai: 'mn@home.example', change: { homeAddress: null } });
        await user.addSubscriber('other@home.example', { homeAgent: 'ha2', homeAddress });
        expect(await user.bootstrap('other@home.example', 'two')).toMatchObject({
          result: 'none',
          reason: 'prefix-full',
        });
        // A lease that was not assigned is not counted.
        expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 0 }, { leases: 1 }]);
      });

      it('refuses a subscriber without Mobile IPv6, and frees a lease that the node no longer wants', async () => {
        await user.addAgent(1);
        await user.addSubscriber('mn@home.example');
        await user.addSubscriber('no@home.example', { mip6: false });
        expect(await user.bootstrap('no@home.example', 'one')).toMatchObject({ result: 'none', reason: 'not-granted' });
        const { lease } = await user.given('mn@home.example', 'two');
        expect(await user.bootstrap('mn@home.example', 'two', { wish: undefined })).toMatchObject({
          result: 'none',
          reason: 'not-wanted',
          released: { homeAddress: lease.homeAddress },
        });
        expect((await store.run('listLeases', {})).items).toEqual([]);
      });

      it('uses the local home agent if node, PAA and subscriber allow it, or if no other is free', async () => {
        await user.addAgent(1, { capacity: 1 });
        await user.addSubscriber('mn@home.example');
        await user.addSubscriber('stay@home.example', { localHomeAgent: false });
        expect(await user.bootstrap('mn@home.example', 'a', { wish: 'local', local: LOCAL })).toMatchObject({
          result: 'local',
        });
        expect(await user.bootstrap('mn@home.example', 'a', { wish: 'local' })).toMatchObject({ result: 'home' });
        expect(await user.bootstrap('mn@home.example', 'a', { wish: 'local', local: LOCAL })).toMatchObject({
          result: 'local',
          released: { homeAgent: { name: 'ha1' } },
        });
        expect(await user.bootstrap('stay@home.example', 'b', { wish: 'local', local: LOCAL })).toMatchObject({
          result: 'home',
        });
        await user.addSubscriber('third@home.example');
        expect(await user.bootstrap('third@home.example', 'c', { wish: 'any', local: LOCAL })).toMatchObject({
          result: 'local',
        });
        expect(await user.bootstrap('third@home.example', 'c', { wish: 'home', local: LOCAL })).toMatchObject({
          result: 'none',
          reason: 'no-home-agent',
        });
      });

      it('frees exactly the expired leases', async () => {
        await user.addAgent(1);
        await user.addSubscriber('one@home.example');
        await user.addSubscriber('two@home.example');
        const { lease } = await user.given('one@home.example', 'one', {
          leaseLifetime: 1000,
          sessionLifetime: 1000,
        });
        await user.given('two@home.example', 'two');
        expect(await store.run('expire', { now: NOW + 999, limit: 10 })).toEqual([]);
        expect(await store.run('expire', { now: NOW + 1000, limit: 10 })).toMatchObject([
          { homeAddress: lease.homeAddress },
        ]);
        expect((await store.run('listLeases', {})).items).toMatchObject([{ nai: 'two@home.example' }]);
        expect(await store.run('endSession', { sessionId: 'one' })).toEqual({ known: false, released: undefined });
        expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 1 }]);
      });
    });

    describe('home agent', () => {
      it.each([
        [{ address: '192.0.2.1' }, 'is not an IPv6 address'],
        [{ prefix: '2001:db8:1::1/64' }, 'is not a /64 prefix'],
        [{ prefix: '2001:db8:1::/56' }, 'is not a /64 prefix'],
        [{ capacity: 0 }, 'a capacity is a whole number from 1'],
        [{ host: 'a;b' }, 'cannot name a home agent'],
        [{ name: '../ha' }, 'cannot name a home agent'],
      ])('with %j is rejected', async (more, message) => {
        await expect(user.addAgent(1, more)).rejects.toThrow(message);
      });

      it('cannot be added twice', async () => {
        await user.addAgent(1);
        await expect(user.addAgent(1)).rejects.toThrow('already exists');
      });
    });

    describe('lease history', () => {
      it('shows who held a home address at a given time, even after the subscriber was removed', async () => {
        await user.addAgent(1);
        await user.addSubscriber('mn1@home.example', { homeAddress: '2001:db8:1::77' });
        const first = await user.bootstrap('mn1@home.example', 's1');
        expect(first).toMatchObject({ result: 'home', lease: { homeAddress: '2001:db8:1::77' } });
        await store.run('endSession', { sessionId: 's1', now: NOW + HOUR });
        await store.run('removeSubscriber', { nai: 'mn1@home.example' });
        await user.addSubscriber('mn2@home.example', { homeAddress: '2001:db8:1::77' });
        await user.bootstrap('mn2@home.example', 's2', { now: NOW + 2 * HOUR, leaseLifetime: 3 * HOUR });
        const who = async (at: number) =>
          (await store.run('leaseHistory', { of: '2001:0db8:1::77', at })).items.map(({ nai }) => nai);
        expect(await who(NOW - 1)).toEqual([]);
        expect(await who(NOW)).toEqual(['mn1@home.example']);
        expect(await who(NOW + HOUR)).toEqual([]);
        expect(await who(NOW + 3 * HOUR)).toEqual(['mn2@home.example']);
        expect((await store.run('leaseHistory', { limit: 10 })).items).toMatchObject([
          { nai: 'mn2@home.example', homeAgent: 'ha1', endedAt: undefined },
          { nai: 'mn1@home.example', homeAgent: 'ha1', acquiredAt: NOW, endedAt: NOW + HOUR },
        ]);
        expect((await store.run('leaseHistory', { of: 'MN1@home.example', limit: 10 })).items).toHaveLength(1);
      });

      it('ends an entry when its lease expires, and forgets it after the given age', async () => {
        await user.addAgent(1);
        await user.addSubscriber('mn1@home.example');
        await user.bootstrap('mn1@home.example', 's1', { leaseLifetime: HOUR });
        // A session that takes the lease over continues the same entry.
        await user.bootstrap('mn1@home.example', 's2', { now: NOW + 1, leaseLifetime: 2 * HOUR - 1 });
        await store.run('expire', { now: NOW + 3 * HOUR, limit: 10 });
        expect((await store.run('leaseHistory', {})).items).toMatchObject([{ endedAt: NOW + 2 * HOUR }]);
        expect(await store.run('forgetHistory', { now: NOW + 3 * HOUR, age: HOUR, limit: 10 })).toBe(0);
        expect(await store.run('forgetHistory', { now: NOW + 3 * HOUR, age: HOUR - 1, limit: 10 })).toBe(1);
        expect((await store.run('leaseHistory', {})).items).toEqual([]);
      });
    });
  });
}
