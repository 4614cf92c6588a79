import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HomeAgentRequest } from '../../src/protocol/home/records.js';
import type { Store } from '../../src/store/store.js';
import { runs } from '../seed.js';
import { DATABASES } from './databases.js';
import { HOUR, NOW, StoreUser } from './fixtures.js';
import { openStore } from './open-store.js';

let store: Store;
const user = new StoreUser(() => store);
const NAI = 'mn@home.example';
const holder = { server: 'aaa.home.example', run: 1, hooks: true };

/** The home agent of this number asks for a node. */
function asks(number: number, sessionId = `ike${number}`, more: Partial<HomeAgentRequest> = {}) {
  return store.run('bootstrapAtHomeAgent', {
    nai: NAI,
    sessionId,
    origin: `radius:ha${number}`,
    originRealm: undefined,
    originState: undefined,
    sessionLifetime: HOUR,
    leaseLifetime: HOUR + 60_000,
    homeAgent: `HA${number}`,
    now: NOW,
    ...more,
  });
}

const sessions = async () =>
  (await store.run('listSessions', {})).items.map(({ sessionId, kind }) => `${sessionId} ${kind}`);
const addresses = async () => (await store.run('listLeases', {})).items.map(({ homeAddress }) => homeAddress);

for (const { kind, without, places } of DATABASES) {
  describe.skipIf(without !== undefined)(`Sessions of home agents in ${kind}`, () => {
    const { fresh } = places();

    beforeEach(async () => {
      store = await openStore(await fresh(), { holder });
      await user.addAgent(1, { ike: ['ikev2'] });
      await user.addSubscriber(NAI, { ikev2HomeAddress: true });
    });

    afterEach(() => store.close());

    it('get the lease of the access session, which keeps it, and do not outlast it', async () => {
      const { lease: given } = await user.given(NAI, 'access', { leaseLifetime: 600_000 });
      const { duty: _, ...lease } = given;
      const result = await asks(1);
      expect(result).toMatchObject({ result: 'home', renewed: true, lease, sessionLifetime: 600_000 });
      expect((await store.run('showLease', { of: NAI })).sessionId).toBe('access');
      expect(await sessions()).toEqual(['access home', 'ike1 ikev2']);
      await store.run('endSession', { sessionId: 'ike1', now: NOW });
      expect(await addresses()).toEqual([lease.homeAddress]);
      expect(await store.run('statistics', {})).toMatchObject({ takeovers: 0 });
    });

    it('end with the lease, and the home agent is told', async () => {
      await user.given(NAI, 'access');
      await asks(1);
      const { released } = await store.run('endSession', { sessionId: 'access', now: NOW });
      expect(released?.ended).toMatchObject([
        {
          sessionId: 'ike1',
          nai: NAI,
          origin: 'radius:ha1',
          kind: 'ikev2',
          duty: expect.stringMatching(/^[0-9a-f]{16}$/),
        },
      ]);
      expect(await sessions()).toEqual([]);
      expect(await addresses()).toEqual([]);
      expect(await store.run('statistics', {})).toMatchObject({ duties: 2 });
    });

    it('end when the access session gets another lease', async () => {
      await user.addAgent(2, { ike: ['ikev2'] });
      await user.given(NAI, 'access');
      await asks(1);
      await store.run('changeSubscriber', { nai: NAI, change: { homeAgent: 'ha2' } });
      const { released, lease } = await user.given(NAI, 'access');
      expect(lease.homeAgent.name).toBe('ha2');
      expect(released?.ended).toMatchObject([{ sessionId: 'ike1' }]);
    });

    it('have a lease of their own without an access session, which takes it over', async () => {
      const first = await asks(1);
      expect(first).toMatchObject({ result: 'home', renewed: false, sessionLifetime: HOUR });
      const again = await asks(1, 'ike2');
      expect(again).toMatchObject({ renewed: true });
      expect(await sessions()).toEqual(['ike2 ikev2']);
      const { lease, renewed, takenFrom } = await user.given(NAI, 'access');
      expect([renewed, takenFrom]).toEqual([true, undefined]);
      expect(await addresses()).toEqual([lease.homeAddress]);
      expect(await store.run('endSession', { sessionId: 'ike2', now: NOW })).toMatchObject({ known: true });
      expect(await addresses()).toEqual([lease.homeAddress]);
      await store.run('endSession', { sessionId: 'access', now: NOW });
      await asks(1, 'ike3');
      await store.run('endSession', { sessionId: 'ike3', now: NOW });
      expect(await addresses()).toEqual([]);
      expect(await store.run('statistics', {})).toMatchObject({ takeovers: 0 });
    });

    it('are refused', async () => {
      await user.addAgent(2, { ike: ['ikev2'] });
      await user.addAgent(3, { ike: ['ikev1'] });
      const { lease } = await user.given(NAI, 'access');
      const [own, other] = lease.homeAgent.name === 'ha1' ? [1, 2] : [2, 1];
      expect(await asks(other)).toMatchObject({ result: 'refused', reason: 'other-home-agent' });
      expect(await asks(3)).toMatchObject({ result: 'refused', reason: 'no-common-ike' });
      expect(await asks(9)).toMatchObject({ result: 'refused', reason: 'unknown-home-agent' });
      expect(await asks(own, 'access')).toMatchObject({ result: 'home' });
      await user.addSubscriber('other@home.example', { ikev2HomeAddress: true });
      expect(await asks(own, 'access', { nai: 'other@home.example' })).toMatchObject({ reason: 'other-subscriber' });
      await user.addSubscriber('plain@home.example');
      expect(await asks(own, 'p', { nai: 'plain@home.example' })).toMatchObject({ reason: 'not-permitted' });
      expect(await asks(own, 'p', { nai: 'nobody@home.example' })).toMatchObject({ reason: 'no-subscriber' });
      await store.run('changeSubscriber', { nai: NAI, change: { mip6: false } });
      expect(await asks(own)).toMatchObject({ reason: 'not-permitted' });
      await store.run('changeSubscriber', { nai: NAI, change: { mip6: true, enabled: false } });
      expect(await asks(own)).toMatchObject({ reason: 'disabled' });
      expect((await store.run('listLeases', {})).items).toHaveLength(1);
    });

    it('of a home agent out of service are refused, and a lease on it is released', async () => {
      await user.addAgent(2, { ike: ['ikev2'] });
      await store.run('changeSubscriber', { nai: NAI, change: { homeAgent: 'ha1' } });
      await user.given(NAI, 'access');
      await store.run('changeSubscriber', { nai: NAI, change: { homeAgent: null } });
      await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'down' } });
      expect(await asks(1)).toMatchObject({ reason: 'no-home-agent', released: { homeAgent: { name: 'ha1' } } });
      expect(await asks(2)).toMatchObject({ result: 'home', renewed: false });
      await store.run('changeSubscriber', { nai: NAI, change: { homeAgent: 'ha2' } });
      await store.run('changeHomeAgent', { name: 'ha1', change: { state: 'up' } });
      expect(await asks(1)).toMatchObject({ reason: 'other-home-agent' });
    });

    it('are none besides the one session that a subscriber may have', async () => {
      await store.run('changeSubscriber', { nai: NAI, change: { sessions: 'one' } });
      await user.given(NAI, 'access');
      const proof = { names: [NAI], sha256: 'ab'.repeat(32) };
      const other = { ...proof, sessionId: 'ike1' };
      expect(await store.run('findSubscriber', other)).toMatchObject({ refusal: 'second-session' });
      expect(await store.run('findSubscriber', { ...other, isAtHomeAgent: true })).toHaveProperty('subscriber');
      expect(await asks(1)).toMatchObject({ result: 'home' });
      await store.run('endSession', { sessionId: 'access', now: NOW });
      await asks(1);
      expect(await user.bootstrap(NAI, 'access2')).toMatchObject({ result: 'home' });
      expect(await user.bootstrap(NAI, 'access3')).toMatchObject({ reason: 'second-session' });
    });

    it('never make a second lease, in whatever order a node comes and goes', async () => {
      await user.addAgent(2, { ike: ['ikev2'] });
      const step = fc.constantFrom(
        () => user.bootstrap(NAI, 'access1', { now: Date.now() }),
        () => user.bootstrap(NAI, 'access2', { now: Date.now() }),
        () => user.bootstrap(NAI, 'access1', { now: Date.now(), wish: undefined }),
        () => asks(1, 'ike1', { now: Date.now() }),
        () => asks(2, 'ike2', { now: Date.now() }),
        () => asks(1, 'ike3', { now: Date.now() }),
        () => asks(1, 'ike3', { now: Date.now(), leaseLifetime: 0 }),
        () => store.run('endSession', { sessionId: 'access1' }),
        () => store.run('endSession', { sessionId: 'access2' }),
        () => store.run('endSession', { sessionId: 'ike1' }),
        () => store.run('endSession', { sessionId: 'ike3' }),
        () => store.run('expire', { limit: 100 }),
        () => store.run('changeHomeAgent', { name: 'ha1', change: { state: 'down' } }),
        () => store.run('changeHomeAgent', { name: 'ha1', change: { state: 'up' } }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }), async (steps) => {
          await store.run('removeSubscriber', { nai: NAI });
          await user.addSubscriber(NAI, { ikev2HomeAddress: true });
          for (const act of steps) {
            await act();
            const leases = (await store.run('listLeases', {})).items;
            expect(leases.length).toBeLessThanOrEqual(1);
            const agents = await store.run('listHomeAgents', {});
            expect(agents.reduce((sum, agent) => sum + agent.leases, 0)).toBe(leases.length);
            // No session at a home agent has an address that its subscriber does not have there.
            for (const { kind, expiresAt, homeAddress, homeAgent } of (await store.run('listSessions', {})).items) {
              if (kind !== 'ikev2' || expiresAt <= Date.now()) continue;
              expect(leases).toMatchObject([{ homeAddress, homeAgent: { address: homeAgent } }]);
            }
          }
        }),
        { numRuns: runs(kind === 'SQLite' ? 60 : 15) },
      );
    });
  });
}
