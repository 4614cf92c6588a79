import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BootstrapRequest } from '../../src/protocol/home/records.js';
import type { Store } from '../../src/store/store.js';
import { isFor, Postgres, withoutPostgres } from '../postgres.js';
import { runs as runsOf } from '../seed.js';
import { ClockedServer, World } from './clock-world.js';
import { HOUR, NOW, StoreUser } from './fixtures.js';

const DAY = 24 * HOUR;
const MINUTE = 60_000;

let folder: string;
let postgres: Postgres | undefined;
let where: string;
let world: World;
let servers: ClockedServer[];

beforeAll(async () => {
  if (withoutPostgres === undefined && isFor('PostgreSQL')) postgres = await Postgres.start();
});

afterAll(async () => {
  await postgres?.stop();
});

const DATABASES = (
  [
    { kind: 'SQLite', runs: 50, without: undefined, place: async () => join(folder, `${crypto.randomUUID()}.db`) },
    { kind: 'PostgreSQL', runs: 10, without: withoutPostgres, place: async () => (await postgres?.database()) ?? '' },
  ] as const
).filter(({ kind }) => isFor(kind));

async function start(): Promise<ClockedServer> {
  const server = await ClockedServer.start(where, world);
  servers.push(server);
  return server;
}

async function stopAll(): Promise<void> {
  for (const server of servers.splice(0)) await server.stop();
}

function userOf(server: ClockedServer): StoreUser {
  return new StoreUser(() => server as unknown as Store);
}

/** Adds a subscriber with a lease of one hour. */
async function given(server: ClockedServer, nai = 'mn@home.example', more: Partial<BootstrapRequest> = {}) {
  const user = userOf(server);
  await user.addSubscriber(nai);
  return (await user.given(nai, `session of ${nai}`, { ...OWN_TIME, ...more })).lease;
}

/** Times are the server's own; lifetimes are one hour. */
const OWN_TIME = { now: undefined as never, sessionLifetime: HOUR, leaseLifetime: HOUR };

for (const { kind, runs, without, place } of DATABASES) {
  describe.skipIf(without !== undefined)(`A step of the wall clock in ${kind}`, () => {
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pana-clock-'));
      where = await place();
      world = new World();
      servers = [];
    });

    afterEach(async () => {
      await stopAll();
      await rm(folder, { recursive: true, force: true });
    });

    it.each([
      ['a day forwards', DAY],
      ['a day backwards', -DAY],
      ['two seconds forwards', 2_000],
      ['two seconds backwards', -2_000],
    ])('of %s ends lease and session exactly when their hour is over', async (_what, step) => {
      const server = await start();
      await userOf(server).addAgent(1);
      const lease = await given(server);
      world.pass(10 * MINUTE);
      world.step(step);
      // No server has noticed the step yet.
      expect(await server.run('expire', { limit: 10 })).toEqual([]);
      await server.keeper.look();
      expect(server.steps).toEqual([step]);
      expect(await server.run('expire', { limit: 10 })).toEqual([]);
      const [session] = (await server.run('listSessions', {})).items;
      expect(session?.expiresAt).toBe(world.wall + 50 * MINUTE);
      world.pass(50 * MINUTE - 1);
      await server.keeper.look();
      expect(await server.run('expire', { limit: 10 })).toEqual([]);
      world.pass(1);
      expect(await server.run('expire', { limit: 10 })).toMatchObject([{ homeAddress: lease.homeAddress }]);
      expect((await server.run('listSessions', {})).items).toEqual([]);
      const [held] = (await server.run('leaseHistory', {})).items;
      expect(held?.endedAt).toBe(world.wall);
      // The recorded time is one hour; a small step may be added to it.
      expect(Math.abs(world.wall - HOUR - (held?.acquiredAt ?? 0))).toBeLessThan(10_000);
      expect(server.steps).toEqual([step]);
    });

    it('is recorded in the audit trail', async () => {
      const server = await start();
      world.step(-DAY);
      await server.keeper.look();
      expect((await server.run('listAudit', {})).items).toEqual([
        { at: NOW - DAY, who: 'clock', what: 'clockStep', detail: `{"milliseconds":${-DAY}}` },
      ]);
    });

    it.each([DAY, -DAY])('of %i ms changes neither the ticket key nor its remaining validity', async (step) => {
      const server = await start();
      const { value } = await server.run('ticketKey', { every: HOUR });
      world.pass(10 * MINUTE);
      world.step(step);
      await server.keeper.look();
      expect(await server.run('ticketKey', { every: HOUR })).toEqual({ value, validFor: 50 * MINUTE });
    });

    it.each([DAY, -DAY])('of %i ms does not shorten the trust in a probe by another server', async (step) => {
      const server = await start();
      await userOf(server).addAgent(1);
      const probe = { name: 'ha1', trust: MINUTE };
      await server.run('probedHomeAgent', { ...probe, alive: false, by: 'other' });
      world.step(step);
      await server.keeper.look();
      world.pass(MINUTE - 1);
      expect(await server.run('probedHomeAgent', { ...probe, alive: true, by: 'this' })).toBeUndefined();
      world.pass(1);
      expect(await server.run('probedHomeAgent', { ...probe, alive: true, by: 'this' })).toBeDefined();
    });

    it('is applied once, by the first of several servers that notices it', async () => {
      const [one, two, three] = [await start(), await start(), await start()];
      await userOf(one).addAgent(1);
      await given(one);
      const reported = () => servers.flatMap(({ steps }) => steps).sort((a, b) => b - a);
      const expires = async () => (await one.run('showLease', { of: 'mn@home.example' })).expiresAt - world.wall;
      world.step(DAY);
      // SQLite connections of one thread cannot wait for each other.
      if (kind === 'PostgreSQL') await Promise.all(servers.map(({ keeper }) => keeper.look()));
      else for (const { keeper } of servers) await keeper.look();
      expect(reported()).toEqual([DAY]);
      expect(await expires()).toBe(HOUR);
      // A server that has not noticed the step uses the corrected time as soon as it writes.
      world.step(-HOUR);
      await two.keeper.look();
      expect(await three.run('expire', { limit: 10 })).toEqual([]);
      await given(three, 'mn3@home.example');
      expect((await one.run('showLease', { of: 'mn3@home.example' })).expiresAt).toBe(world.wall + HOUR);
      await one.keeper.look();
      await three.keeper.look();
      expect(reported()).toEqual([DAY, -HOUR]);
      expect(await expires()).toBe(HOUR);
      // So does a server that missed two steps.
      world.step(DAY);
      await one.keeper.look();
      world.step(DAY);
      await one.keeper.look();
      await given(two, 'mn2@home.example');
      expect((await one.run('showLease', { of: 'mn2@home.example' })).expiresAt).toBe(world.wall + HOUR);
      world.pass(HOUR);
      expect(await two.run('expire', { limit: 10 })).toHaveLength(3);
    });

    it("leaves times before the server's start unchanged, unless they would lie in the future", async () => {
      let server = await start();
      await userOf(server).addAgent(1);
      await given(server, 'mn@home.example');
      world.pass(MINUTE);
      await server.run('endSession', { sessionId: 'session of mn@home.example' });
      await stopAll();
      world.pass(MINUTE);
      server = await start();
      world.step(DAY);
      await server.keeper.look();
      const times = async () =>
        (await server.run('leaseHistory', {})).items.map(({ acquiredAt, endedAt = 0 }) => [acquiredAt, endedAt]);
      expect(await times()).toEqual([[NOW, NOW + MINUTE]]);
      // The opposite step restores the original times.
      world.step(-DAY);
      await server.keeper.look();
      expect(await times()).toEqual([[NOW, NOW + MINUTE]]);
      world.step(-DAY);
      await server.keeper.look();
      expect(await times()).toEqual([[NOW - DAY, NOW - DAY + MINUTE]]);
    });

    it('keeps the history ordered and each lease at its full time in random sequences of events', {
      timeout: 120_000,
    }, async () => {
      const event = fc.oneof(
        { weight: 4, arbitrary: fc.record({ what: fc.constant('begin' as const), node: fc.nat(2), by: fc.nat(1) }) },
        { weight: 2, arbitrary: fc.record({ what: fc.constant('end' as const), node: fc.nat(2), by: fc.nat(1) }) },
        {
          weight: 4,
          arbitrary: fc.record({ what: fc.constant('pass' as const), time: fc.integer({ min: 1, max: DAY }) }),
        },
        {
          weight: 3,
          arbitrary: fc.record({
            what: fc.constant('step' as const),
            time: fc.oneof(fc.integer({ min: 10_000, max: 9 * DAY }), fc.integer({ min: -9 * DAY, max: -10_000 })),
            by: fc.nat(1),
          }),
        },
        { weight: 1, arbitrary: fc.record({ what: fc.constant('restart' as const), by: fc.nat(1) }) },
      );
      const check = fc.asyncProperty(fc.array(event, { maxLength: 20, size: 'max' }), async (events) => {
        where = await place();
        world = new World();
        const both = [await start(), await start()];
        const server = (by: number) => both[by] ?? fail();
        await userOf(server(0)).addAgent(1);
        // All subscribers use one address, so its history shows the order of holders.
        for (const node of [0, 1, 2]) await userOf(server(0)).addSubscriber(`mn${node}@home.example`);
        let pinned: number | undefined;
        const pin = async (node: number, homeAddress: string | null) =>
          server(0).run('changeSubscriber', { nai: `mn${node}@home.example`, change: { homeAddress } });
        /** The holder of the address and the end of its lease on the monotonic clock. */
        let held: { readonly node: number; readonly until: number } | undefined;
        for (const happened of events) {
          if (happened.what === 'pass') {
            world.pass(happened.time);
            for (const { keeper } of servers) await keeper.look();
          } else if (happened.what === 'step') {
            world.step(happened.time);
            await server(happened.by).keeper.look();
          } else if (happened.what === 'restart') {
            const old = server(happened.by);
            servers.splice(servers.indexOf(old), 1);
            await old.stop();
            both[happened.by] = await start();
          } else {
            const { node, by } = happened;
            const sessionId = `s${node}`;
            const now = server(by);
            if (happened.what === 'end') {
              const { released } = await now.run('endSession', { sessionId });
              expect(released !== undefined).toBe(held?.node === node);
              if (released) held = undefined;
            } else {
              if (pinned !== undefined) await pin(pinned, null);
              await pin(node, '2001:db8:1::77');
              pinned = node;
              const result = await userOf(now).bootstrap(`mn${node}@home.example`, sessionId, OWN_TIME);
              expect(result.result).toBe(held === undefined || held.node === node ? 'home' : 'none');
              if (result.result === 'home') held = { node, until: world.monotonic + HOUR };
            }
          }
          const over = await server(0).run('expire', { limit: 10 });
          const isOver = held !== undefined && held.until <= world.monotonic;
          expect(over).toHaveLength(isOver ? 1 : 0);
          if (isOver) held = undefined;
          const rows = [...(await server(1).run('leaseHistory', {})).items].reverse();
          let last = Number.NEGATIVE_INFINITY;
          for (const { acquiredAt, endedAt = world.wall } of rows) {
            expect(acquiredAt).toBeGreaterThanOrEqual(last);
            expect(endedAt).toBeGreaterThanOrEqual(acquiredAt);
            last = endedAt;
          }
          expect(last).toBeLessThanOrEqual(world.wall);
        }
        await stopAll();
      });
      await fc.assert(check, { numRuns: runsOf(runs) });
    });
  });
}

function fail(): never {
  throw new Error('no such server');
}
