import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.js';
import { DATABASES } from './databases.js';
import { HOUR, NOW, StoreUser, subscriberOf } from './fixtures.js';
import { openStore } from './open-store.js';

let store: Store;
const user = new StoreUser(() => store);

const NAI = 'mn@home.example';

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`Upkeep in ${kind}`, () => {
    const { fresh, execute } = places();
    let place: string;

    beforeEach(async () => {
      place = await fresh();
      store = await openStore(place);
    });

    afterEach(() => store.close());

    describe('leases', () => {
      it('are found by home address or subscriber', async () => {
        await user.addAgent(1);
        await user.addSubscriber(NAI);
        const { lease } = await user.given(NAI, 'one');
        expect(await store.run('showLease', { of: 'MN@home.example' })).toEqual(lease);
        expect(await store.run('showLease', { of: lease.homeAddress.toUpperCase() })).toEqual(lease);
        await expect(store.run('showLease', { of: '2001:db8::1' })).rejects.toThrow('no lease 2001:db8::1');
      });

      it('are released during an open session only with force', async () => {
        await user.addAgent(1);
        await user.addSubscriber(NAI);
        const hour = { sessionLifetime: HOUR, leaseLifetime: 5 * HOUR };
        const { lease } = await user.given(NAI, 'one', { now: Date.now(), ...hour });
        const free = (force: boolean) => store.run('releaseLease', { of: lease.homeAddress, force });
        await expect(free(false)).rejects.toThrow(`the session of ${NAI} is open`);
        expect(await free(true)).toEqual(lease);
        expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 0 }]);
        await expect(free(true)).rejects.toThrow('no lease');
        // The session is still open and gets the same address again.
        expect((await user.given(NAI, 'one')).lease.homeAddress).toBe(lease.homeAddress);
        await user.given(NAI, 'one', { now: Date.now() - 2 * HOUR, ...hour });
        expect(await free(false)).toMatchObject({ homeAddress: lease.homeAddress });
      });

      it('expire in batches of the given limit, and so does their history', async () => {
        await user.addAgent(1);
        for (let i = 0; i < 5; i += 1) {
          await user.addSubscriber(`mn${i}@home.example`);
          await user.given(`mn${i}@home.example`, `s${i}`);
        }
        const expire = async () => (await store.run('expire', { now: NOW + 2 * HOUR, limit: 2 })).length;
        const gone = [await expire(), await expire(), await expire(), await expire()];
        expect(gone).toEqual([2, 2, 1, 0]);
        expect((await store.run('listSessions', {})).items).toEqual([]);
        expect(await store.run('listHomeAgents', {})).toMatchObject([{ leases: 0 }]);
        const forget = () => store.run('forgetHistory', { now: NOW + 4 * HOUR, age: HOUR, limit: 3 });
        const forgotten = [await forget(), await forget(), await forget()];
        expect(forgotten).toEqual([3, 2, 0]);
      });

      it('and administrative changes are forgotten when they are old, the oldest first', async () => {
        for (let i = 1; i <= 3; i += 1) {
          await store.run('addSubscriber', { subscriber: subscriberOf(`mn${i}@home.example`) }, `admin${i}`);
        }
        await execute(place, `UPDATE audit SET at = ${NOW} - 1000 * (4 - id)`);
        const forget = (age: number) => store.run('forgetHistory', { now: NOW, age, limit: 1 });
        expect([await forget(1_500), await forget(1_500), await forget(1_500)]).toEqual([1, 1, 0]);
        expect((await store.run('listAudit', {})).items).toMatchObject([{ who: 'admin3' }]);
      });

      it('outlive a restart of their PAA for a while, and the node gets the same address again', async () => {
        await user.addAgent(1);
        for (const name of ['a', 'b', 'c']) await user.addSubscriber(`${name}@home.example`);
        const first = await user.given('a@home.example', 'a1', { originState: 4 });
        await user.given('b@home.example', 'b1', { originState: 5 });
        await user.given('c@home.example', 'c1', { originState: 4, origin: 'paa2.access.example' });
        const restarted = { origin: 'paa.access.example', before: 5, leasesFor: 60_000 };
        expect(await store.run('endSessionsOf', restarted)).toBe(1);
        expect(await store.run('endSessionsOf', restarted)).toBe(0);
        const sessions = (await store.run('listSessions', {})).items;
        expect(sessions.map(({ sessionId }) => sessionId)).toEqual(['b1', 'c1']);
        expect((await store.run('showLease', { of: 'a@home.example' })).expiresAt).toBeLessThan(NOW);
        const again = await user.given('a@home.example', 'a2', { originState: 5, now: Date.now() });
        expect(again).toMatchObject({ renewed: true, takenFrom: undefined });
        expect(again.lease.homeAddress).toBe(first.lease.homeAddress);
      });
    });

    it('accepts home agents with the largest capacity that the database can store', async () => {
      const most = 2 ** 31 - 1;
      await user.addAgent(1, { capacity: most, weight: 1000 });
      await user.addAgent(2, { capacity: most, weight: 1 });
      await expect(user.addAgent(3, { capacity: most + 1 })).rejects.toThrow(`a whole number from 1 to ${most}, not`);
      const names: string[] = [];
      for (let i = 0; i < 3; i += 1) {
        await user.addSubscriber(`mn${i}@home.example`);
        names.push((await user.given(`mn${i}@home.example`, `s${i}`)).lease.homeAgent.name);
      }
      expect(names).toEqual(['ha1', 'ha2', 'ha1']);
    });

    it('counts subscribers, sessions, leases and takeovers in statistics', async () => {
      await user.addAgent(1);
      const nothing = { subscribers: 0, disabled: 0, sessions: 0, leases: 0, takeovers: 0, duties: 0 };
      expect(await store.run('statistics', {})).toEqual(nothing);
      for (const name of ['a', 'b', 'c']) {
        await user.addSubscriber(`${name}@home.example`, { enabled: name !== 'c' });
        await user.bootstrap(`${name}@home.example`, `${name}1`);
      }
      await user.given('a@home.example', 'a2');
      await user.given('b@home.example', 'b2');
      const counted = { subscribers: 3, disabled: 1, sessions: 4, leases: 2, takeovers: 2, duties: 0 };
      expect(await store.run('statistics', {})).toEqual(counted);
    });

    it('shares the ticket key between servers until it expires', async () => {
      const ask = (every: number) => store.run('ticketKey', { every });
      const first = await ask(HOUR);
      expect(first.value).toMatch(/^[0-9a-f]{96}$/);
      expect(first.validFor).toBe(HOUR);
      const both = await Promise.all([ask(HOUR), ask(HOUR)]);
      expect(both.map(({ value }) => value)).toEqual([first.value, first.value]);
      for (const { validFor } of both) expect(validFor).toBeLessThanOrEqual(HOUR);
      await execute(place, `UPDATE ticket_keys SET valid_from = valid_from - ${HOUR}`);
      const second = await ask(HOUR);
      expect(second.value).not.toBe(first.value);
      expect((await ask(HOUR)).value).toBe(second.value);
      // A key that starts in the future, because a clock was wrong, is replaced at once.
      await execute(place, `UPDATE ticket_keys SET valid_from = valid_from + ${24 * HOUR}`);
      expect((await ask(HOUR)).value).not.toBe(second.value);
    });

    it('gives new leases other home addresses after the secret is rotated, and keeps existing leases', async () => {
      await user.addAgent(1);
      await user.addSubscriber(NAI);
      const { lease } = await user.given(NAI, 'one');
      await store.run('rotateSecret', {});
      expect((await user.given(NAI, 'one')).lease).toEqual(lease);
      await store.run('endSession', { sessionId: 'one' });
      expect((await user.given(NAI, 'two')).lease.homeAddress).not.toBe(lease.homeAddress);
    });

    it('records an administrative change in the audit trail only if it succeeds', async () => {
      await user.addAgent(1);
      await expect(store.run('removeHomeAgent', { name: 'ha9', force: true }, 'root')).rejects.toThrow('no home agent');
      await store.run('removeHomeAgent', { name: 'ha1', force: true }, 'root');
      expect((await store.run('listAudit', {})).items).toEqual([
        { at: expect.any(Number), who: 'root', what: 'removeHomeAgent', detail: '{"name":"ha1","force":true}' },
      ]);
    });
  });
}
