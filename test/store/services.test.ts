import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Service } from '../../src/protocol/mip6/services.js';
import type { Store } from '../../src/store/store.js';
import { DATABASES } from './databases.js';
import { StoreUser } from './fixtures.js';
import { openStore } from './open-store.js';

let store: Store;
const user = new StoreUser(() => store);

const HA4 = { name: 'ha4', service: 'mip4' as const, address: '192.0.2.1', pool: '192.0.2.0/29', capacity: 10 };
const RVS = { name: 'rvs', service: 'hip' as const, address: '2001:db8::5', hit: '2001:20::5', capacity: 1 };

const add = (server: object) => store.run('addServiceServer', { server: { ...HA4, ...server } });

/** Stores a session without Mobile IPv6, and assigns services to it. */
async function assign(name: string, services: readonly Service[], sessionId = name) {
  const nai = `${name}@home.example`;
  const origin = { origin: 'paa.access.example', originRealm: undefined, originState: undefined };
  const lifetimes = { sessionLifetime: 60_000, leaseLifetime: 90_000 };
  await store.run('bootstrap', { nai, sessionId, ...origin, wish: undefined, local: undefined, ...lifetimes });
  const { assigned, refused, released } = await store.run('assignServices', {
    nai,
    sessionId,
    services,
    leaseLifetime: 90_000,
  });
  return {
    given: assigned.map(({ lease, renewed }) => `${lease.server.name} ${lease.address} ${renewed}`),
    refused: refused.map(({ service, reason }) => `${service} ${reason}`),
    released: released.map(({ server }) => server.name),
  };
}

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`Services in ${kind}`, () => {
    const { fresh } = places();

    beforeEach(async () => {
      store = await openStore(await fresh());
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
        await user.addSubscriber(`${name}@home.example`, { services: 'mip4,hip' });
      }
    });

    afterEach(() => store.close());

    it('give each node another address of the pool, until it is full', async () => {
      await add({});
      const given: string[] = [];
      for (const name of ['a', 'b', 'c', 'd', 'e']) given.push(...(await assign(name, ['mip4'])).given);
      // A /29 has six addresses for hosts, one of them the home agent's.
      expect(given.sort()).toEqual([2, 3, 4, 5, 6].map((last) => `ha4 192.0.2.${last} false`));
      expect(await assign('f', ['mip4'])).toEqual({ given: [], refused: ['mip4 pool-full'], released: [] });
      await store.run('endSession', { sessionId: 'c' });
      expect(await store.run('endServices', {})).toMatchObject([{ nai: 'c@home.example' }]);
      expect((await assign('f', ['mip4'])).given).toHaveLength(1);
    });

    it('stay with a subscriber whose newer session takes them over', async () => {
      await add({});
      const [first = ''] = (await assign('a', ['mip4'], 'one')).given;
      expect((await assign('a', ['mip4'], 'two')).given).toEqual([first.replace('false', 'true')]);
      await store.run('endSession', { sessionId: 'one' });
      expect(await store.run('endServices', {})).toEqual([]);
      await store.run('endSession', { sessionId: 'two' });
      expect(await store.run('endServices', {})).toMatchObject([{ sessionId: 'two' }]);
      expect(await store.run('listServiceServers', {})).toMatchObject([{ leases: 0 }]);
    });

    it('end if they are not permitted or not asked for any more', async () => {
      await add({});
      await store.run('addServiceServer', { server: RVS });
      expect((await assign('a', ['mip4', 'hip'])).given).toHaveLength(2);
      expect(await assign('a', ['hip'])).toMatchObject({ given: ['rvs undefined true'], released: ['ha4'] });
      await store.run('changeSubscriber', { nai: 'a@home.example', change: { services: 'mip4' } });
      expect(await assign('a', ['hip'])).toEqual({ given: [], refused: ['hip not-granted'], released: ['rvs'] });
    });

    it('are not assigned on a server that is full, draining or down', async () => {
      await store.run('addServiceServer', { server: RVS });
      await assign('a', ['hip']);
      expect((await assign('b', ['hip'])).refused).toEqual(['hip no-server']);
      await store.run('changeServiceServer', { name: 'rvs', change: { capacity: 5, state: 'draining' } });
      expect((await assign('a', ['hip'])).given).toEqual(['rvs undefined true']);
      expect((await assign('b', ['hip'])).refused).toEqual(['hip no-server']);
      await store.run('changeServiceServer', { name: 'rvs', change: { state: 'down' } });
      expect(await assign('a', ['hip'])).toEqual({ given: [], refused: ['hip no-server'], released: ['rvs'] });
    });

    it('end with a server that is removed', async () => {
      await add({});
      await assign('a', ['mip4']);
      await expect(store.run('removeServiceServer', { name: 'ha4', force: false })).rejects.toThrow('ha4 has 1 lease');
      expect(await store.run('removeServiceServer', { name: 'ha4', force: true })).toMatchObject([
        { nai: 'a@home.example' },
      ]);
      expect(await store.run('listServiceLeases', {})).toEqual([]);
    });

    it.each([
      [{ pool: undefined }, 'needs a pool of home addresses'],
      [{ pool: '192.0.2.1/29' }, 'is not a pool'],
      [{ pool: '192.0.0.0/15' }, 'is not a pool'],
      [{ pool: '198.51.100.0/24' }, 'is not in 198.51.100.0/24'],
      [{ address: '2001:db8::1' }, 'is not an IPv4 address'],
      [{ address: '192.0.2.9', pool: '192.0.2.0/24' }, 'overlaps 192.0.2.0/29 of ha4'],
      [{ address: '203.0.113.1', pool: '203.0.113.0/24', hit: '2001:20::5' }, 'hit is only for the service hip'],
      [{ ...RVS, pool: undefined, hit: '2001:db8::1' }, 'is not a HIT'],
      [{ ...RVS, pool: undefined, hit: undefined }, 'needs its HIT'],
      [{ ...RVS, pool: '192.0.2.0/24' }, 'pool is only for the service mip4'],
      [{ name: 'a b' }, 'cannot name a server'],
      [{ address: '192.0.2.2', pool: '203.0.113.0/24', capacity: 0 }, 'a capacity is a whole number'],
    ])('are refused for a server with %o', async (server, reason) => {
      await add({});
      await expect(add({ name: 'other', ...server })).rejects.toThrow(reason);
    });
  });
}
