import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/protocol/bytes/secret.js';
import type { BootstrapResult, Lease } from '../../src/protocol/home/records.js';
import { plainSubscriber } from '../../src/protocol/home/records.js';
import type { SessionKey } from '../../src/protocol/pana/session/session.js';
import { encodePana, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { naiOf } from './credentials.js';
import type { Broken } from './invariants.js';
import type { Arrival } from './links.js';
import { PANA_PORT, paaAddress } from './machines.js';
import type { Planned } from './plan.js';
import { type Plan, STILL } from './plan.js';
import { recoveryTime } from './recovery.js';
import { run } from './run.js';
import { keptIn, keptOf } from './seeds.js';
import { shrink } from './shrink.js';
import type { World } from './world.js';

const LIFETIME = 60;

/** A small world without events, except those of a test. */
const QUIET: Plan = {
  seed: 1,
  options: {
    nodes: 2,
    paas: 1,
    servers: 1,
    homeAgents: 1,
    lifetime: LIFETIME,
    batch: false,
    optimisedStart: false,
    identityRequest: 'paa',
    piggyback: true,
    hookWait: 500,
    probes: true,
    watchdog: 6,
  },
  events: [],
  trouble: 60_000,
  rest: recoveryTime({ lifetime: LIFETIME, watchdog: 6 }) + STILL,
};

/** Runs a world with the fault that `meddle` causes; resolves to the violations. */
async function brokenBy(meddle: (world: World) => void, plan: Plan = QUIET): Promise<readonly Broken[]> {
  return (await run(plan, { fidelity: 'plain', meddle })).broken;
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
    expect(await brokenBy(() => undefined)).toEqual([]);
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
      'no disabled subscriber gets a session',
      (world) => {
        const found = new Map<string, unknown>();
        world.store.wrongAnswer = ({ operation, given, result }) => {
          if (operation !== 'findSubscriber') return result;
          const names = JSON.stringify((given as { readonly names: unknown }).names);
          if (!found.has(names)) found.set(names, result);
          return found.get(names);
        };
        world.store.wrongCommit = ({ operation, result }) =>
          operation === 'bootstrap' && (result as BootstrapResult).result === 'refused'
            ? { result: 'none', reason: 'not-wanted', released: undefined }
            : result;
        later(
          world,
          5_000,
          () => void world.store.run('changeSubscriber', { nai: naiOf(1), change: { enabled: false } }),
        );
      },
    ],
    [
      'both ends have the same key',
      (world) => {
        const apply = world.effects.apply.bind(world.effects);
        world.effects.apply = (one) => apply(one.program === 'ha' ? { ...one, key: 'another' } : one);
      },
    ],
    [
      'the enforcement point admits exactly the authorized addresses',
      (world) => void later(world, 5_000, () => world.effects.admitted.get('paa1')?.set('2001:db8:a1::bad', 'ffff')),
    ],
    [
      'a session ends early only for a known reason',
      (world) =>
        void later(world, 20_000, () => {
          void world.paas[0]?.ask('GET /sessions').then((sessions) => {
            const [{ session } = {}] = sessions as { session?: string }[];
            return world.paas[0]?.ask('POST /session/end', { session });
          });
        }),
    ],
    [
      'at rest no session begins or ends',
      (world) => void later(world, QUIET.trouble + QUIET.rest - 60_000, () => void world.nodes[0]?.stop()),
    ],
    [
      'counters match what they count',
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
      'work for unauthenticated input is bounded',
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
      'at rest every node has access',
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
    expect((await brokenBy(meddle))[0]?.invariant).toBe(invariant);
  });
});

/** Causes an effect while a PAA receives a datagram that belongs to no session. */
function duringStarts(world: World, wrong: (arrival: Arrival) => void): void {
  const nothing = () => undefined;
  const others = {
    step: nothing,
    committed: nothing,
    diameter: nothing,
    logged: nothing,
    key: nothing,
    program: nothing,
    differed: nothing,
    asking: nothing,
    killed: nothing,
    sending: nothing,
  };
  world.watch({
    ...others,
    receiving: (arrival) => {
      if (arrival.machine === 'paa1') wrong(arrival);
      return undefined;
    },
  });
  for (const { address = '' } of world.nodes) {
    const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    later(world, 5_000, () =>
      world.links.inject(pci, { address, port: 40_000 }, { address: paaAddress(1), port: PANA_PORT }),
    );
  }
}

describe('The bound of work for unauthenticated input', () => {
  it.each<[string, (world: World) => void]>([
    [
      '1 timers',
      (world) => duringStarts(world, ({ life }) => world.paas[0]?.host.of(life).after(10_000, () => undefined)),
    ],
    ['1 effects', (world) => duringStarts(world, ({ life }) => world.ground.scene.leaves(life))],
    [
      '2 datagrams',
      (world) =>
        duringStarts(world, ({ life }) => {
          life.datagrams.sent += 1;
          life.effects += 1;
        }),
    ],
    [
      'with 1',
      (world) =>
        duringStarts(world, ({ life }) => {
          life.datagrams.octets += 1_000;
        }),
    ],
  ])('reports "%s"', async (detail, meddle) => {
    const [first] = await brokenBy(meddle);
    expect(first?.invariant).toBe('work for unauthenticated input is bounded');
    expect(first?.detail).toContain(detail);
  });
});

describe('The comparison of session keys', () => {
  it('reports a PANA_AUTH_KEY that differs at the PAA', async () => {
    const [first] = await brokenBy((world) => {
      const { onKey } = world.ground;
      const other = () => Secret.take(new Uint8Array(32).fill(1));
      Object.assign(world.ground, {
        onKey: (machine: string, key: SessionKey) =>
          onKey(machine, machine === 'paa1' ? { ...key, key: other() } : key),
      });
    });
    expect(first?.invariant).toBe('both ends have the same key');
    expect(first?.detail).toContain('has two PANA_AUTH_KEYs');
  });
});

describe('The check at rest', () => {
  it('reports sockets, connections, files, key files and timers that are left over', async () => {
    const broken = await brokenBy((world) => {
      const end = QUIET.trouble + QUIET.rest - 1_000;
      const [node] = world.nodes;
      const [paa] = world.paas;
      later(world, end, () => {
        if (node?.life)
          void world.links.udpOf(node, node.life).connect({ address: '::1', port: 1 }, {}, () => undefined);
        if (paa?.life)
          void world.connections
            .transportOf('::2', paa.life)
            .connect({ address: '2001:db8:d::1', port: 3868 }, 'x', new AbortController().signal);
        writeFileSync(join(world.folder, 'mn1', 'x'), '');
        mkdirSync(join(world.folder, 'mn2', 'keys'), { recursive: true });
        writeFileSync(join(world.folder, 'mn2', 'keys', 'x'), '');
        for (let i = 0; paa?.life && i < 30; i += 1) paa.host.of(paa.life).after(10_000, () => undefined);
      });
    });
    expect(broken.map(({ detail }) => detail)).toEqual(
      expect.arrayContaining([
        'mn1 has 2 sockets',
        '2 Diameter connections',
        'mn1 has the file x',
        'mn2 has 1 key files',
        expect.stringMatching(/^paa1 has \d+ timers$/),
      ]),
    );
  });
});

describe('A conversation that is left in an AAA server', () => {
  it('is reported even if a node has just authenticated', async () => {
    const broken = await brokenBy((world) => {
      const [server] = world.servers;
      if (server) Object.defineProperty(server, 'conversations', { value: 1 });
    });
    expect(broken.map(({ detail }) => detail)).toEqual(['1 conversations, and 0 nodes authenticate']);
  });
});

describe('The comparison of metrics', () => {
  it.each<[string, (world: World) => void]>([
    [
      'counts 1 moves, of which it has logged none',
      (world) => void later(world, 5_000, () => world.paas[0]?.metrics?.count('moves')),
    ],
    [
      'shows 3 for sessions instead of 2',
      (world) => {
        const metrics = world.paas[0]?.metrics;
        const text = metrics?.text.bind(metrics);
        if (metrics && text)
          metrics.text = async () => (await text()).replace('pana_paa_sessions 2', 'pana_paa_sessions 3');
      },
    ],
  ])('reports "%s"', async (detail, meddle) => {
    const [first] = await brokenBy(meddle);
    expect(first?.invariant).toBe('counters match what they count');
    expect(first?.detail).toContain(detail);
  });
});

/** An enforcement point that does nothing for one event. */
function ignoring(ignored: string) {
  return (world: World) => {
    const apply = world.effects.apply.bind(world.effects);
    world.effects.apply = (one) => one.event === ignored || apply(one);
  };
}

/** A plan with almost no rest, in which one event ends a session. */
const EVENTFUL: Plan = {
  ...QUIET,
  rest: STILL,
  events: [
    { at: 2_000, type: 'reauthenticate', node: 1 },
    { at: 4_000, type: 'strangers', paa: 1, count: 20 },
    { at: 6_000, type: 'cut', server: 1 },
    { at: 8_000, type: 'import', count: 3 },
    { at: 12_000, type: 'stop', machine: 'mn1', lasts: 2_000 },
    { at: 16_000, type: 'reload', machine: 'paa1' },
    { at: 20_000, type: 'sleep', node: 2, lasts: 1_000 },
    { at: 24_000, type: 'agent', agent: 1, state: 'draining', lasts: 2_000 },
  ],
};

describe('A plan in which the enforcement point never revokes', () => {
  it('shrinks to one event, which can be replayed', { timeout: 120_000 }, async () => {
    const invariant = 'the enforcement point admits exactly the authorized addresses';
    const attempt = async (plan: Plan) => (await brokenBy(ignoring('revoke'), plan))[0];
    const broken = await attempt(EVENTFUL);
    expect(broken?.invariant).toBe(invariant);
    const least = await shrink(EVENTFUL, invariant, attempt);
    expect(least.events.map(({ type }) => type)).toEqual(['stop']);
    const again = { ...EVENTFUL, events: keptIn(EVENTFUL.events, keptOf(EVENTFUL.events, least.events)) };
    expect(await attempt(again)).toEqual(await attempt(least));
  });
});

describe('A reduced plan', () => {
  it.each([[[]], [['a']], [['b', 'd']], [['a', 'b', 'c', 'd']]])('is restored from its event numbers: %j', (kept) => {
    const all = ['a', 'b', 'c', 'd'];
    expect(keptIn(all, keptOf(all, kept))).toEqual(kept);
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
