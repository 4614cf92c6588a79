import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DUTY_RETRY,
  DUTY_TERM,
  type EndedDuty,
  type HeldDuty,
  subjectOfLease,
} from '../../src/protocol/home/duties.js';
import type { Lease } from '../../src/protocol/home/records.js';
import { systemHost } from '../../src/runtime/system/host.js';
import { type Backend, isPostgresUrl } from '../../src/store/backend.js';
import { SqliteBackend } from '../../src/store/database.js';
import { StoreEngine } from '../../src/store/engine.js';
import type { StorePort } from '../../src/store/port.js';
import { PostgresBackend } from '../../src/store/postgres.js';
import type { DutyHolder } from '../../src/store/rows.js';
import { DATABASES } from './databases.js';
import { HOUR, StoreUser } from './fixtures.js';

const NAI = 'mn@home.example';
const HOOKS = { server: 'aaa1.home.example', run: 1, hooks: true };

/** The lifetimes of a session by the clock of the store. */
const now = () => ({ now: Date.now(), sessionLifetime: HOUR, leaseLifetime: HOUR });

function openBackend(place: string): Promise<Backend> {
  return isPostgresUrl(place) ? PostgresBackend.open(place) : SqliteBackend.open(place, 'server');
}

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`Duties in ${kind}`, () => {
    const { fresh, execute } = places();
    let place: string;
    let backend: Backend;
    let engine: StoreEngine;
    let holder: DutyHolder | undefined;
    const store: Pick<StorePort, 'run'> = {
      run: (operation, given, who) => engine.run(operation, given, who, undefined, holder),
    };
    const user = new StoreUser(() => store);

    beforeEach(async () => {
      place = await fresh();
      backend = await openBackend(place);
      engine = await StoreEngine.open(backend, systemHost);
      become(HOOKS);
      await user.addAgent(1);
      await user.addSubscriber(NAI);
    });

    afterEach(async () => {
      await engine.close();
      await backend.close();
    });

    /** Makes this server the caller from now on. */
    function become(server: DutyHolder | undefined): void {
      holder = server;
    }

    const look = (held: readonly HeldDuty[] = [], ended: readonly EndedDuty[] = []) =>
      store.run('duties', { held, ended, term: DUTY_TERM, retry: DUTY_RETRY, limit: 10 });
    const count = async () => (await store.run('statistics', {})).duties;
    /** Makes the terms of duties older by this many milliseconds. */
    const pass = (milliseconds: number) =>
      execute(place, `UPDATE duties SET held_until = held_until - ${milliseconds}`);
    const heldOf = (lease: Lease): HeldDuty => ({ subject: subjectOfLease(lease), mark: lease.duty ?? '' });
    const done = (lease: Lease, event: 'up' | 'down'): EndedDuty => {
      const { duty: _, ...plain } = lease;
      return { ...heldOf(lease), over: true, notified: { event, lease: plain } };
    };

    async function given(sessionId = 's1'): Promise<Lease> {
      return (await user.given(NAI, sessionId, now())).lease;
    }

    /** Ends a session that has a lease; resolves to the lease. */
    async function freed(sessionId = 's1'): Promise<Lease> {
      const { released } = await store.run('endSession', { sessionId });
      if (!released) throw new Error('nothing was released');
      return released;
    }

    it('are created by each change of a lease and removed once they are done', async () => {
      const up = await given();
      expect(up.duty).toMatch(/^[0-9a-f]{16}$/);
      expect(await count()).toBe(1);
      expect(await look([heldOf(up)])).toEqual({ lost: [], taken: [] });
      await look([], [done(up, 'up')]);
      expect(await count()).toBe(0);
      const refresh = await given();
      expect(refresh.duty).not.toBe(up.duty);
      const down = await freed();
      expect(down).toMatchObject({ homeAddress: up.homeAddress, sessionId: 's1', duty: expect.any(String) });
      // A newer duty of a lease replaces the older one.
      expect(await count()).toBe(1);
      await look([], [done(refresh, 'up'), done(down, 'down')]);
      expect(await count()).toBe(0);
      expect(await look()).toEqual({ lost: [], taken: [] });
    });

    it.each(['expire', 'releaseLease', 'removeHomeAgent', 'removeSubscriber'] as const)(
      'are created by %s',
      async (operation) => {
        const { homeAddress } = await given();
        if (operation === 'expire') await store.run('expire', { now: Date.now() + 2 * HOUR, limit: 10 });
        if (operation === 'releaseLease') await store.run('releaseLease', { of: homeAddress, force: true });
        if (operation === 'removeHomeAgent') await store.run('removeHomeAgent', { name: 'ha1', force: true });
        if (operation === 'removeSubscriber') await store.run('removeSubscriber', { nai: NAI });
        become({ ...HOOKS, run: 2 });
        const { taken } = await look();
        const expected = { event: 'down', lease: { homeAddress, nai: NAI, homeAgent: { name: 'ha1' } } };
        expect(taken.find(({ event }) => event === 'down')).toMatchObject(expected);
      },
    );

    it('are not created for a server without a hook', async () => {
      become({ ...HOOKS, hooks: false });
      expect((await given()).duty).toBeUndefined();
      expect(await freed()).not.toHaveProperty('duty');
      become(undefined);
      await given('s2');
      await freed('s2');
      expect(await count()).toBe(0);
    });

    it('are taken by the same server after its restart, each once', async () => {
      await given();
      const down = await freed();
      expect((await look()).taken).toEqual([]);
      become({ ...HOOKS, run: 2 });
      const { taken } = await look();
      const { duty, ...lease } = down;
      expect(taken).toEqual([{ event: 'down', lease: { ...lease, duty: expect.any(String) } }]);
      expect(taken).not.toMatchObject([{ lease: { duty } }]);
      expect((await look()).taken).toEqual([]);
    });

    it('are taken by another server when their term is over, unless they were prolonged', async () => {
      await given();
      const down = await freed();
      await pass(DUTY_TERM - 5_000);
      expect((await look([heldOf(down)])).lost).toEqual([]);
      become({ ...HOOKS, server: 'aaa2.home.example' });
      await pass(DUTY_TERM - 5_000);
      expect((await look()).taken).toEqual([]);
      await pass(10_000);
      const { taken } = await look();
      expect(taken).toMatchObject([{ event: 'down', lease: { homeAddress: down.homeAddress } }]);
      // The first server is still running: it loses the duty.
      become(HOOKS);
      expect(await look([heldOf(down)])).toEqual({ lost: [heldOf(down).subject], taken: [] });
    });

    it('are taken at once from a server that has stopped', async () => {
      await given();
      await freed();
      await store.run('duties', { held: [], ended: [], term: DUTY_TERM, retry: DUTY_RETRY, limit: 10, leaving: true });
      become({ ...HOOKS, server: 'aaa2.home.example' });
      expect((await look()).taken).toMatchObject([{ event: 'down' }]);
    });

    it('are taken in batches of up to the limit', async () => {
      for (let i = 0; i < 3; i += 1) {
        await user.addSubscriber(`mn${i}@home.example`);
        await user.given(`mn${i}@home.example`, `s${i}`, now());
        await freed(`s${i}`);
      }
      become({ ...HOOKS, run: 2 });
      const some = async () =>
        (await store.run('duties', { held: [], ended: [], term: DUTY_TERM, retry: DUTY_RETRY, limit: 2 })).taken.length;
      expect([await some(), await some(), await some()]).toEqual([2, 1, 0]);
    });

    it('with a lost key request a re-authentication, again after DUTY_RETRY, until there is a new key', async () => {
      await given();
      become({ ...HOOKS, run: 2 });
      const { taken } = await look();
      expect(taken).toMatchObject([
        { event: 'up', session: { sessionId: 's1', nai: NAI, origin: 'paa.access.example' } },
      ]);
      await pass(DUTY_RETRY - 5_000);
      expect((await look()).taken).toEqual([]);
      await pass(5_001);
      expect((await look()).taken).toEqual(taken);
      const refresh = await given();
      await pass(1);
      expect((await look([heldOf(refresh)])).taken).toEqual([]);
      await look([], [done(refresh, 'up')]);
      expect(await count()).toBe(0);
    });

    it('with a lost key end with their session', async () => {
      await given();
      await store.run('endSessionsOf', { origin: 'paa.access.example', before: 101, leasesFor: HOUR });
      become({ ...HOOKS, run: 2 });
      expect((await look()).taken).toEqual([]);
      expect(await count()).toBe(0);
    });

    it('do not take down a lease that its subscriber holds again', async () => {
      const { homeAddress } = await given();
      await freed();
      become({ ...HOOKS, server: 'aaa2.home.example', hooks: false });
      expect((await given('s2')).homeAddress).toBe(homeAddress);
      become({ ...HOOKS, run: 2 });
      expect((await look()).taken).toMatchObject([{ event: 'up', session: { sessionId: 's2' } }]);
    });

    it('of two servers for one lease leave the home agent in the current state', async () => {
      const first = await given();
      const down = await freed();
      const other = { ...HOOKS, server: 'aaa2.home.example' };
      become(other);
      const again = await given('s2');
      await look([], [done(again, 'up')]);
      // The first server's `down` ends after that.
      become(HOOKS);
      expect((await look([], [done(down, 'down')])).taken).toMatchObject([
        { event: 'up', session: { sessionId: 's2' } },
      ]);
      become(other);
      const freedAgain = await freed('s2');
      await look([], [done(freedAgain, 'down')]);
      expect(await count()).toBe(0);
      // An old `up` ends after the `down`.
      become(HOOKS);
      expect((await look([], [done(first, 'up')])).taken).toMatchObject([
        { event: 'down', lease: { homeAddress: first.homeAddress, sessionId: 's1' } },
      ]);
    });

    it.each(['before', 'after'] as const)(
      'to take down a lease that two servers hold are done once both have run the hook: this server %s the other',
      async (order) => {
        const second = { ...HOOKS, server: 'aaa2.home.example' };
        await given();
        const down = await freed();
        await pass(DUTY_TERM);
        become(second);
        const [taken] = (await look()).taken;
        if (taken?.event !== 'down') throw new Error(JSON.stringify(taken));
        const ends = async (server: DutyHolder, lease: Lease) => {
          become(server);
          expect(await look([], [done(lease, 'down')])).toEqual({ lost: [], taken: [] });
        };
        if (order === 'before') await ends(HOOKS, down);
        await ends(second, taken.lease);
        if (order === 'after') await ends(HOOKS, down);
        expect(await count()).toBe(0);
      },
    );

    it('of one server are done in order, so the end of an older one changes nothing', async () => {
      await given();
      const down = await freed();
      const again = await given('s2');
      expect(await look([heldOf(again)], [done(down, 'down')])).toEqual({ lost: [], taken: [] });
      expect(await look([], [done(again, 'up')])).toEqual({ lost: [], taken: [] });
      expect(await count()).toBe(0);
    });

    it('of one server whose hooks end in another order than their commits leave the home agent in the current state', async () => {
      const up = await given();
      const down = await freed();
      expect((await look([], [done(down, 'down'), done(up, 'up')])).taken).toMatchObject([
        { event: 'down', lease: { homeAddress: up.homeAddress, sessionId: 's1' } },
      ]);
      become({ ...HOOKS, run: 2 });
      const [again] = (await look()).taken;
      if (again?.event !== 'down') throw new Error(JSON.stringify(again));
      await look([], [done(again.lease, 'down')]);
      const released = again.lease;
      const anew = await given('s2');
      expect((await look([], [done(anew, 'up'), done(released, 'down')])).taken).toMatchObject([
        { event: 'up', session: { sessionId: 's2' } },
      ]);
    });

    it("that took down an old home address request a new key for the subscriber's current lease", async () => {
      await given();
      await freed();
      await store.run('rotateSecret', {});
      const second = await given('s2');
      await look([], [done(second, 'up')]);
      become({ ...HOOKS, run: 2 });
      const [duty] = (await look()).taken;
      if (duty?.event !== 'down') throw new Error(JSON.stringify(duty));
      expect(duty.lease.homeAddress).not.toBe(second.homeAddress);
      expect((await look([], [done(duty.lease, 'down')])).taken).toMatchObject([
        { event: 'up', session: { sessionId: 's2' } },
      ]);
    });

    it('to disconnect sessions of a removed subscriber are created for a server without a hook', async () => {
      become({ ...HOOKS, hooks: false });
      await given();
      const { sessions } = await store.run('removeSubscriber', { nai: NAI });
      expect(sessions).toMatchObject([{ sessionId: 's1', duty: expect.any(String) }]);
      become({ ...HOOKS, run: 2, hooks: false });
      const { taken } = await look();
      expect(taken).toMatchObject([
        { event: 'disconnect', session: { sessionId: 's1', origin: 'paa.access.example' } },
      ]);
      const [duty] = taken;
      const mark = duty?.event === 'disconnect' ? (duty.session.duty ?? '') : '';
      await look([], [{ subject: 'session s1', mark, over: true, notified: undefined }]);
      expect(await count()).toBe(0);
    });

    it('to disconnect a session are created when it ends and its PAA was not notified, and removed when it returns', async () => {
      await given();
      await store.run('endSession', { sessionId: 's1' });
      expect((await look()).taken).toEqual([]);
      await given();
      await store.run('endSession', { sessionId: 's1', unconfirmed: true });
      become({ ...HOOKS, run: 2, hooks: false });
      expect((await look()).taken).toMatchObject([{ event: 'disconnect', session: { sessionId: 's1' } }]);
      await given();
      become({ ...HOOKS, run: 3, hooks: false });
      expect((await look()).taken).toEqual([]);
    });

    it('to disconnect a session end when the session would have expired', async () => {
      await user.given(NAI, 's1', { ...now(), now: Date.now() - 2 * HOUR });
      await store.run('removeSubscriber', { nai: NAI });
      become({ ...HOOKS, run: 2, hooks: false });
      expect((await look()).taken).toEqual([]);
    });

    it('of hooks are not taken by a server without a hook', async () => {
      await given();
      await freed();
      become({ ...HOOKS, run: 2, hooks: false });
      expect((await look()).taken).toEqual([]);
      expect(await count()).toBe(1);
    });

    it('created by a command are taken by the next server that asks', async () => {
      become({ ...HOOKS, server: '', run: 0 });
      const { homeAddress } = await given();
      await store.run('releaseLease', { of: homeAddress, force: true });
      become(HOOKS);
      expect((await look()).taken).toMatchObject([{ event: 'down', lease: { homeAddress } }]);
    });
  });
}
