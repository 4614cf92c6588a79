import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.js';
import { isFor, Postgres, withoutPostgres } from '../postgres.js';
import { StoreUser } from './fixtures.js';
import { openStore } from './open-store.js';

const HOUR = 3_600_000;

/** An event of a session: it begins, re-authenticates, or ends by STR, or its PAA restarts without its sessions. */
type Event = { readonly what: 'begin' | 'again' | 'end'; readonly session: number } | { readonly what: 'restart' };

/** All interleavings of these sequences; each keeps its own order. */
function interleavings<T>(sequences: readonly (readonly T[])[]): T[][] {
  const open = sequences.filter((sequence) => sequence.length > 0);
  if (open.length === 0) return [[]];
  return open.flatMap((sequence) => {
    const [first, ...rest] = sequence as [T, ...T[]];
    const others = open.map((other) => (other === sequence ? rest : other));
    return interleavings(others).map((tail) => [first, ...tail]);
  });
}

const life = (session: number, ...what: ('begin' | 'again' | 'end')[]): Event[] =>
  what.map((name) => ({ what: name, session }));

const ORDERS: readonly Event[][] = [
  // Two PAAs, each session re-authenticates once, and the first PAA restarts at any time.
  ...interleavings<Event>([life(1, 'begin', 'again', 'end'), life(2, 'begin', 'again', 'end'), [{ what: 'restart' }]]),
  // A node that moves three times, between two PAAs in turn.
  ...interleavings<Event>([life(1, 'begin', 'end'), life(2, 'begin', 'end'), life(3, 'begin', 'end')]),
];

function nameOf(order: readonly Event[]): string {
  return order.map((event) => (event.what === 'restart' ? 'restart' : `${event.what} ${event.session}`)).join(', ');
}

/** Applies the events to a subscriber in one order; resolves to the deviations. */
async function follow(store: Store, number: number, order: readonly Event[]): Promise<string[]> {
  const wrong: string[] = [];
  const nai = `mn${number}@home.example`;
  const user = new StoreUser(() => store);
  await user.addSubscriber(nai);
  const sessionId = (session: number) => `paa${session};${number};${session}`;
  const origin = (session: number) => `paa${session % 2}-${number}.access.example`;
  let restarts = 0;
  /** The session that authenticated last, until it ends. */
  let holder: number | undefined;
  let homeAddress: string | undefined;
  for (const [i, event] of order.entries()) {
    const fail = (text: string) => wrong.push(`${nameOf(order)}: after event ${i + 1} ${text}`);
    if (event.what === 'restart') {
      restarts += 1;
      await store.run('endSessionsOf', { origin: origin(1), before: 2, leasesFor: HOUR });
    } else if (event.what === 'end') {
      const { released } = await store.run('endSession', { sessionId: sessionId(event.session) });
      if ((released !== undefined) !== (holder === event.session)) fail(`a lease of ${released?.sessionId} came back`);
      if (holder === event.session) holder = undefined;
    } else {
      const { session } = event;
      const originState = session % 2 === 1 ? 1 + restarts : 1;
      const { lease } = await user.given(nai, sessionId(session), {
        origin: origin(session),
        originState,
        leaseLifetime: HOUR,
        now: Date.now(),
      });
      homeAddress ??= lease.homeAddress;
      if (lease.homeAddress !== homeAddress) fail(`the home address is ${lease.homeAddress}, not ${homeAddress}`);
      holder = session;
    }
    const { items } = await store.run('listLeases', { of: nai });
    const held = items.filter((lease) => lease.nai === nai);
    const expected = holder === undefined ? [] : [sessionId(holder)];
    const real = held.map((lease) => lease.sessionId);
    if (JSON.stringify(real) !== JSON.stringify(expected)) fail(`[${real}] has the lease, not [${expected}]`);
  }
  return wrong;
}

/** Orders that are followed at the same time: so few that a slow machine is not overloaded. */
const AT_ONCE = 46;

let folder: string | undefined;
let postgres: Postgres | undefined;
let store: Store | undefined;

afterEach(async () => {
  await store?.close();
  await postgres?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  store = undefined;
  postgres = undefined;
  folder = undefined;
});

const PLACES = (
  [
    {
      kind: 'SQLite',
      without: undefined,
      place: async () => {
        folder = await mkdtemp(join(tmpdir(), 'pana-store-'));
        return join(folder, 'store.db');
      },
    },
    {
      kind: 'PostgreSQL',
      without: withoutPostgres,
      place: async () => {
        postgres = await Postgres.start();
        return postgres.database();
      },
    },
  ] as const
).filter(({ kind }) => isFor(kind));

describe('Sessions that move between PAAs', () => {
  for (const { kind, without, place } of PLACES) {
    it.skipIf(without !== undefined)(
      `leave the lease with the session that authenticated last, in all ${ORDERS.length} orders, in ${kind}`,
      { timeout: 240_000 },
      async () => {
        const opened = await openStore(await place());
        store = opened;
        const user = new StoreUser(() => opened);
        await user.addAgent(1, { capacity: 1000 });
        const outcomes: string[][] = [];
        for (let i = 0; i < ORDERS.length; i += AT_ONCE) {
          const some = ORDERS.slice(i, i + AT_ONCE).map((order, n) => follow(opened, i + n, order));
          outcomes.push(...(await Promise.all(some)));
        }
        expect(outcomes.flat()).toEqual([]);
        // All sessions have ended.
        const [agent] = await opened.run('listHomeAgents', {});
        expect(agent?.leases).toBe(0);
        expect((await opened.run('listLeases', {})).items).toEqual([]);
      },
    );
  }
});
