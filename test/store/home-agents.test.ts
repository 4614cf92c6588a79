import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.js';
import { DATABASES } from './databases.js';
import { HOUR, StoreUser } from './fixtures.js';
import { openStore } from './open-store.js';

let store: Store;
const user = new StoreUser(() => store);

/** Reports the result of a server's probe of `ha1`; resolves to whether the state changed. */
async function probed(by: string, alive: boolean, trust = HOUR): Promise<boolean> {
  return (await store.run('probedHomeAgent', { name: 'ha1', alive, by, trust })) !== undefined;
}

const failedBy = async () => (await store.run('listHomeAgents', {}))[0]?.failedBy;

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`A home agent in ${kind}`, () => {
    const { fresh } = places();

    beforeEach(async () => {
      store = await openStore(await fresh());
      await user.addAgent(1);
    });

    afterEach(() => store.close());

    it.each([
      [{ prefix: '2001:db8:2::/63' }, '2001:db8:2::/63 is not a /64 prefix'],
      [{ prefix: '2001:db8:2::1' }, '2001:db8:2::1 is not a /64 prefix'],
      [{ address: '192.0.2.1' }, '192.0.2.1 is not an IPv6 address'],
      [{ address: '2001:db8:9::1' }, 'the address 2001:db8:9::1 is not in the prefix 2001:db8:2::/64'],
      [{ address: 'fe80::1', prefix: 'fe80::/64' }, 'the address fe80::1 is not a global unicast address'],
      [{ address: 'ff02::1', prefix: 'ff02::/64' }, 'the address ff02::1 is not a global'],
      [{ address: '::1', prefix: '::/64' }, 'the address ::1 is not a global'],
      [{ capacity: -1 }, '-1'],
      [{ weight: -1 }, '-1'],
      [{ name: 'ha 2' }, '"ha 2" cannot name a home agent'],
      [{ host: '' }, '"" cannot name a home agent'],
    ])('is not added with %j', async (more, problem) => {
      const adding = user.addAgent(2, more);
      await expect(adding).rejects.toMatchObject({ code: 'ERR_STORE_VALUE' });
      await expect(adding).rejects.toThrow(problem);
      expect((await store.run('listHomeAgents', {})).map(({ name }) => name)).toEqual(['ha1']);
    });

    describe('under probes', () => {
      it('is dead as soon as one server reports it, and alive again when the same server reports so', async () => {
        expect(await probed('aaa1', true)).toBe(false);
        expect(await probed('aaa1', false)).toBe(true);
        expect(await failedBy()).toBe('aaa1');
        expect(await probed('aaa1', false)).toBe(false);
        expect(await probed('aaa2', false)).toBe(false);
        expect(await probed('aaa2', true)).toBe(false);
        expect(await failedBy()).toBe('aaa1');
        expect(await probed('aaa1', true)).toBe(true);
        expect(await failedBy()).toBe(undefined);
      });

      it('is alive again on the report of another server if the server that reported it dead has not reported for too long', async () => {
        await probed('aaa1', false);
        expect(await probed('aaa2', true, 0)).toBe(true);
        expect(await failedBy()).toBe(undefined);
        await probed('aaa1', false);
        // It was dead already, so no node has to move again.
        expect(await probed('aaa2', false, 0)).toBe(false);
        expect(await failedBy()).toBe('aaa2');
      });

      it('is not assigned while dead, and subscribers with a lease on it get another one', async () => {
        await user.addAgent(2);
        await user.addSubscriber('mn@home.example');
        expect((await user.given('mn@home.example', 'one')).lease.homeAgent.name).toBe('ha1');
        await probed('aaa1', false);
        expect(await user.given('mn@home.example', 'one')).toMatchObject({
          renewed: false,
          lease: { homeAgent: { name: 'ha2' } },
          released: { homeAgent: { name: 'ha1' } },
        });
      });

      it('is assigned again when an operator sets it to up, until any server finds it dead', async () => {
        await user.addSubscriber('mn@home.example');
        await probed('aaa1', false);
        expect(await user.bootstrap('mn@home.example', 'one')).toMatchObject({ reason: 'no-home-agent' });
        const up = await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'up' } }, 'root');
        expect(up).toMatchObject({ state: 'up', failedBy: undefined });
        expect(await user.bootstrap('mn@home.example', 'one')).toMatchObject({ result: 'home' });
        expect((await store.run('listAudit', {})).items).toMatchObject([
          { who: 'root', what: 'changeHomeAgent', detail: '{"name":"ha1","change":{"state":"up"}}' },
        ]);
        // Any server can report it, not only the first.
        expect(await probed('aaa2', false)).toBe(true);
        expect(await failedBy()).toBe('aaa2');
      });

      it('stays dead when an operator changes anything but its state to up', async () => {
        await probed('aaa1', false);
        for (const change of [{ capacity: 7 }, { state: 'draining' }, { state: 'down' }] as const) {
          expect(await store.run('changeHomeAgent', { name: 'ha1', change })).toMatchObject({ failedBy: 'aaa1' });
        }
      });

      it('ignores probes while an operator has it set to down, and is alive after it is set to up', async () => {
        await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'down' } });
        expect(await probed('aaa1', false)).toBe(false);
        expect(await failedBy()).toBe(undefined);
        await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'up' } });
        await probed('aaa1', false);
        await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'down' } });
        expect(await probed('aaa1', true)).toBe(false);
        expect(await failedBy()).toBe('aaa1');
        await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'up' } });
        expect(await failedBy()).toBe(undefined);
      });

      it('may have been removed before the result of a probe arrives', async () => {
        await store.run('removeHomeAgent', { name: 'ha1', force: false });
        expect(await probed('aaa1', false)).toBe(false);
      });
    });

    it('is changed only in the given fields', async () => {
      const [before] = await store.run('listHomeAgents', {});
      const change = { capacity: 3, weight: 2, target: 'root@ha1', ike: ['ikev2', 'ikev1'] } as const;
      expect(await store.run('changeHomeAgent', { name: 'ha1', change })).toEqual({ ...before, ...change });
      const without = { ...before, ...change, target: undefined };
      expect(await store.run('changeHomeAgent', { name: 'ha1', change: { target: '' } })).toEqual(without);
      expect(await store.run('changeHomeAgent', { name: 'ha1', change: {} })).toEqual(without);
      await expect(store.run('changeHomeAgent', { name: 'ha1', change: { weight: 0 } })).rejects.toThrow('a weight is');
      await expect(store.run('changeHomeAgent', { name: 'ha9', change: {} })).rejects.toThrow('no home agent ha9');
    });

    it('is removed with leases only by force, and not while a subscriber is bound to it', async () => {
      await user.addSubscriber('mn@home.example', { homeAgent: 'ha1' });
      const { lease } = await user.given('mn@home.example', 'one');
      const remove = (force: boolean) => store.run('removeHomeAgent', { name: 'ha1', force });
      await expect(remove(true)).rejects.toThrow('mn@home.example is pinned to ha1');
      await store.run('changeSubscriber', { nai: 'mn@home.example', change: { homeAgent: null } });
      await expect(remove(false)).rejects.toThrow('ha1 has 1 lease:');
      expect(await remove(true)).toMatchObject([{ homeAddress: lease.homeAddress, nai: 'mn@home.example' }]);
      expect(await store.run('listHomeAgents', {})).toEqual([]);
      expect((await store.run('listLeases', {})).items).toEqual([]);
      expect((await store.run('leaseHistory', { limit: 10 })).items).toMatchObject([
        { homeAgent: 'ha1', endedAt: expect.any(Number) },
      ]);
      await expect(remove(true)).rejects.toThrow('no home agent ha1');
    });
  });
}
