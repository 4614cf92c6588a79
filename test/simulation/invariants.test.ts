import { describe, expect, it } from 'vitest';
import { type BootstrapResult, type Lease, plainSubscriber } from '../../src/protocol/home/records.js';
import { LEASE_GRACE, type Plan, type Planned } from './plan.js';
import { run } from './run.js';
import { shrink } from './shrink.js';
import type { World } from './world.js';

const LIFETIME = 60;

/** A small world without events, except those of a test. */
const QUIET: Plan = {
  seed: 1,
  options: {
    ...{ nodes: 2, paas: 1, servers: 1, homeAgents: 1, lifetime: LIFETIME },
    ...{ batch: false, optimisedStart: false, piggyback: true, hookWait: 500, probes: true, watchdog: 6 },
  },
  events: [],
  trouble: 60_000,
  rest: LIFETIME * 1_000 + LEASE_GRACE + 150_000,
};

/** The first invariant that breaks in a world that `meddle` has changed; undefined: none. */
async function brokenBy(meddle: (world: World) => void, plan: Plan = QUIET): Promise<string | undefined> {
  const { broken } = await run(plan, { fidelity: 'plain', meddle });
  return broken[0]?.invariant;
}

/** Changes the leases that bootstraps return. */
function withLeases(change: (lease: Lease, nth: number) => Lease) {
  let count = 0;
  return ({ operation, result }: { readonly operation: string; readonly result: unknown }): unknown => {
    const bootstrap = result as BootstrapResult;
    if (operation !== 'bootstrap' || bootstrap.result !== 'home') return result;
    count += 1;
    return { ...bootstrap, lease: change(bootstrap.lease, count) };
  };
}

const ADDRESS = '2001:db8:1::99';
const later = (world: World, milliseconds: number, action: () => void) => world.clock.after(milliseconds, action);

describe('A world without faults', () => {
  it('breaks no invariant', async () => {
    expect(await brokenBy(() => undefined)).toBeUndefined();
  });
});

describe('Invariants', () => {
  it.each<[string, (world: World) => void]>([
    [
      'no home address has two subscribers',
      (world) => {
        world.store.wrongCommit = withLeases((lease) => ({ ...lease, homeAddress: ADDRESS }));
      },
    ],
    [
      'no lease is moved while it is valid',
      (world) => {
        world.store.wrongCommit = withLeases((lease, nth) => ({ ...lease, homeAddress: `2001:db8:1::${nth}` }));
      },
    ],
    [
      'a promise is committed before it is sent',
      (world) => {
        world.store.wrongAnswer = withLeases((lease) => ({ ...lease, homeAddress: ADDRESS }));
      },
    ],
    [
      'both ends have one key',
      (world) => {
        const apply = world.effects.apply.bind(world.effects);
        world.effects.apply = (one) => apply(one.program === 'ha' ? { ...one, key: 'another' } : one);
      },
    ],
    [
      'the enforcement point admits exactly the authorised',
      (world) => void later(world, 5_000, () => world.effects.admitted.get('paa1')?.set('2001:db8:a1::bad', 'ffff')),
    ],
    [
      'a session ends before its lifetime only for a reason',
      (world) =>
        void later(world, 20_000, () => {
          void world.paas[0]?.ask('GET /sessions').then((sessions) => {
            const [{ session } = {}] = sessions as { session?: string }[];
            return world.paas[0]?.ask('POST /session/end', { session });
          });
        }),
    ],
    [
      'at rest no session ends',
      (world) => void later(world, QUIET.trouble + QUIET.rest - 60_000, () => void world.nodes[0]?.stop()),
    ],
    [
      'counts equal what they count',
      (world) => {
        const { engine } = world.store;
        const ask = engine.run.bind(engine);
        engine.run = (async (operation: 'statistics', given: Record<string, never>) => {
          const result = await ask(operation, given);
          return operation === 'statistics' ? { ...result, leases: result.leases + 1 } : result;
        }) as typeof engine.run;
      },
    ],
    [
      'what strangers cause is bounded',
      (world) => {
        const { life, host } = world.paas[0] ?? {};
        for (let i = 0; life && i < 1_000; i += 1) host?.of(life).after(10_000, () => undefined);
      },
    ],
    [
      'no daemon has a fault',
      (world) =>
        world.ground.onLog({
          machine: 'paa1',
          at: 0,
          level: 'error',
          message: 'fault contained',
          fields: { reason: 'a test' },
        }),
    ],
    [
      'at rest every willing node is in',
      (world) => {
        const [node] = world.nodes;
        if (node) node.start = () => Promise.resolve();
        node?.kill();
      },
    ],
    [
      'at rest nothing is left over',
      (world) => {
        const nai = 'nobody@home.example';
        const more = { sessionId: 'x', origin: 'x', originRealm: 'x', originState: 1, certificate: 'x:1' };
        const lifetimes = { sessionLifetime: 86_400_000, leaseLifetime: 86_400_000 };
        const wish = { homeAgent: undefined, ike: [] };
        void world.store
          .run('addSubscriber', { subscriber: plainSubscriber(nai) })
          .then(() => world.store.run('bootstrap', { nai, ...more, ...lifetimes, wish, local: undefined } as never));
      },
    ],
  ])('report a violation of: %s', async (invariant, meddle) => {
    expect(await brokenBy(meddle)).toBe(invariant);
  });
});

describe('shrink', () => {
  it('removes all events that the violation does not need', async () => {
    const event = (type: string, at: number) => ({ type, at }) as unknown as Planned;
    const plan = { ...QUIET, events: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(event) };
    let tries = 0;
    const least = await shrink(plan, 'x', ({ events }) => {
      tries += 1;
      const types = events.map(({ type }) => String(type));
      const isBroken = types.includes('b') && types.includes('g');
      return Promise.resolve(isBroken ? { invariant: 'x', detail: '', at: 0 } : undefined);
    });
    expect(least.events.map(({ type }) => String(type))).toEqual(['b', 'g']);
    expect(tries).toBeLessThan(40);
  });
});
