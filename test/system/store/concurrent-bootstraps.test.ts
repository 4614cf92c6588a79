import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Drbg } from '../../../src/protocol/bytes/drbg.js';
import { encodeUtf8 } from '../../../src/protocol/bytes/octets.js';
import { type EndedDuty, subjectOfLease } from '../../../src/protocol/home/duties.js';
import type { Lease } from '../../../src/protocol/home/records.js';
import { DatabaseError } from '../../../src/store/database-error.js';
import type { Store } from '../../../src/store/store.js';
import { Postgres, withoutPostgres } from '../../postgres.js';
import { SEED } from '../../seed.js';
import { HOUR, LOCAL, NOW, StoreUser } from '../../store/fixtures.js';
import { openStore } from '../../store/open-store.js';

const SUBSCRIBERS = 30;
const CALLS = 600;
const AT_ONCE = 60;
const nai = (n: number) => `MN${n}@home.example`;

describe.skipIf(withoutPostgres !== undefined)('Bootstraps of several servers at the same time', () => {
  let postgres: Postgres;
  let url: string;
  let servers: Store[];

  beforeAll(async () => {
    postgres = await Postgres.start();
  });

  beforeEach(async () => {
    url = await postgres.database();
    servers = [];
    for (let i = 0; i < 3; i += 1) {
      servers.push(await openStore(url, { holder: { server: `aaa${i}.home.example`, run: 1, hooks: true } }));
    }
  });

  afterEach(async () => {
    for (const store of servers) await store.close();
  });

  afterAll(() => postgres?.stop());

  /** On a slow machine a call may wait longer than the store permits. It has then changed nothing, and is repeated. */
  const patient = (store: Store): Pick<Store, 'run'> => ({
    run: async (operation, given, who) => {
      for (;;) {
        try {
          return await store.run(operation, given, who);
        } catch (error) {
          if (!(error instanceof DatabaseError && error.code === 'ERR_STORE_BUSY')) throw error;
        }
      }
    },
  });
  const any = (n = 0) => new StoreUser(() => patient(servers[n % servers.length] as Store));
  const rows = <T extends object>(text: string) => postgres.query<T & pg.QueryResultRow>(url, text);

  it('may be the first of servers that open an empty database at the same time', async () => {
    const empty = await postgres.database();
    const opened = await Promise.all(Array.from({ length: 4 }, () => openStore(empty)));
    try {
      await new StoreUser(() => opened[0] as Store).addSubscriber(nai(1));
      const all = await Promise.all(opened.map((store, n) => new StoreUser(() => store).bootstrap(nai(1), `s${n}`)));
      expect(all.map(({ result }) => result)).toEqual(['none', 'none', 'none', 'none']);
    } finally {
      for (const store of opened) await store.close();
    }
  });

  it('leave counters, leases, history, sessions and duties consistent, with ends, expiry and duties in between', async () => {
    const drbg = new Drbg(encodeUtf8(`${SEED}`));
    const below = (limit: number) => Math.floor(drbg.unit() * limit);
    await any().addAgent(1, { capacity: 5 });
    await any().addAgent(2, { capacity: 8, weight: 2 });
    await any().addAgent(3, { capacity: 6 });
    for (let n = 0; n < SUBSCRIBERS; n += 1) {
      const own = n % 10 === 0 ? { homeAgent: 'ha3', homeAddress: `2001:db8:3::${n + 2}` } : {};
      await any().addSubscriber(nai(n), { sessions: n % 4 === 1 ? 'one' : 'replace', mip6: n % 9 !== 5, ...own });
    }
    const results: Record<string, number> = {};
    /** Hooks that the servers have run, for their next reports. */
    const run: EndedDuty[][] = servers.map(() => []);
    const hookOf = (i: number, event: 'up' | 'down', lease: Lease | undefined) => {
      if (lease?.duty === undefined) return;
      const { duty, ...plain } = lease;
      const ended = { subject: subjectOfLease(lease), mark: duty, over: false, notified: { event, lease: plain } };
      run[i % servers.length]?.push(ended);
    };
    const call = async (i: number) => {
      const n = below(SUBSCRIBERS);
      const sessionId = `s${below(3)};${n}`;
      // The clocks of the servers agree.
      const now = NOW + Math.floor(i / AT_ONCE) * 1_200_000;
      const what = below(15);
      const server = patient(servers[i % servers.length] as Store);
      if (what === 0 || what === 2) {
        const { released } = await server.run('endSession', { sessionId, unconfirmed: below(2) === 0 });
        return hookOf(i, 'down', released);
      }
      if (what === 1) {
        for (const lease of await server.run('expire', { now, limit: 50 })) hookOf(i, 'down', lease);
        return undefined;
      }
      if (what === 3) {
        const ended = run[i % servers.length]?.splice(0) ?? [];
        return server.run('duties', { held: ended, ended, term: 60_000, retry: 15_000, limit: 5 });
      }
      if (what === 4) return server.run('probedHomeAgent', { name: 'ha2', alive: below(2) === 0, by: 'a', trust: 0 });
      if (what === 5) {
        const origin = { origin: 'paa.access.example', before: 100 + below(2) };
        return below(4) === 0 ? server.run('endSessionsOf', { ...origin, leasesFor: HOUR }) : undefined;
      }
      if (what === 6) return server.run('forgetHistory', { now, age: HOUR, limit: 5 });
      const wish = (['home', 'any', 'local', undefined] as const)[below(20) < 17 ? 0 : below(4)];
      const local = below(2) === 0 ? LOCAL : undefined;
      const given = await any(i).bootstrap(nai(n), sessionId, { wish, local, now });
      results[given.result] = (results[given.result] ?? 0) + 1;
      hookOf(i, 'down', given.released);
      if (given.result === 'home') hookOf(i, 'up', given.lease);
      return undefined;
    };
    for (let i = 0; i < CALLS; i += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => call(i + n)));
    }
    const agents = await rows<{ leases: number; capacity: number; held: string }>(
      'SELECT leases, capacity, (SELECT count(*) FROM leases l WHERE l.home_agent_id = a.id) AS held FROM home_agents a',
    );
    for (const { leases, capacity, held } of agents) {
      expect({ seed: SEED, leases, fits: leases <= capacity }).toEqual({
        seed: SEED,
        leases: Number(held),
        fits: true,
      });
    }
    const [broken] = await rows(`SELECT
      (SELECT count(*)::int FROM leases l WHERE NOT EXISTS (SELECT FROM lease_history h
        WHERE h.hoa = l.hoa AND h.ended_at IS NULL AND h.acquired_at = l.acquired_at)) AS without_history,
      (SELECT count(*)::int FROM lease_history h WHERE ended_at IS NULL
        AND NOT EXISTS (SELECT FROM leases l WHERE l.hoa = h.hoa)) AS history_without_lease,
      (SELECT count(*)::int FROM lease_history a JOIN lease_history b ON a.hoa = b.hoa AND a.id < b.id
        AND a.acquired_at < coalesce(b.ended_at, 1e15) AND b.acquired_at < coalesce(a.ended_at, 1e15)) AS held_twice,
      (SELECT count(*)::int FROM leases l JOIN sessions s ON s.id = l.session_id
        WHERE s.subscriber_id <> l.subscriber_id OR s.hoa <> l.hoa) AS of_other_session,
      (SELECT count(*)::int FROM leases l JOIN subscribers u ON u.id = l.subscriber_id
        JOIN home_agents a ON a.id = l.home_agent_id JOIN sessions s ON s.id = l.session_id
        WHERE NOT EXISTS (SELECT FROM duties d
        WHERE d.subject = format('lease %s %s %s', a.address, l.hoa, u.nai) AND d.content::jsonb->>'event' = 'up'))
        AS without_duty`);
    expect({ seed: SEED, ...broken }).toEqual({
      seed: SEED,
      without_history: 0,
      history_without_lease: 0,
      held_twice: 0,
      of_other_session: 0,
      without_duty: 0,
    });
    expect(Object.keys(results).sort()).toEqual(['home', 'local', 'none', 'refused']);
  });

  it('fill home agents to their capacity and no further', async () => {
    await any().addAgent(1, { capacity: 7 });
    await any().addAgent(2, { capacity: 5 });
    for (let n = 0; n < 20; n += 1) await any().addSubscriber(nai(n));
    const given = await Promise.all(Array.from({ length: 20 }, (_, n) => any(n).bootstrap(nai(n), `s${n}`)));
    expect(given.filter(({ result }) => result === 'home')).toHaveLength(12);
    expect(given.filter((one) => one.result === 'none' && one.reason === 'no-home-agent')).toHaveLength(8);
    expect(await servers[0]?.run('listHomeAgents', {})).toMatchObject([{ leases: 7 }, { leases: 5 }]);
  });

  it('share the load of home agents by capacity and weight', async () => {
    await any().addAgent(1, { capacity: 300 });
    await any().addAgent(2, { capacity: 600 });
    await any().addAgent(3, { capacity: 100, weight: 9 });
    for (let n = 0; n < 90; n += 1) await any().addSubscriber(nai(n));
    await Promise.all(Array.from({ length: 90 }, (_, n) => any(n).bootstrap(nai(n), `s${n}`)));
    const agents = (await servers[0]?.run('listHomeAgents', {})) ?? [];
    for (const [i, fair] of [15, 30, 45].entries()) {
      expect(Math.abs((agents[i]?.leases ?? 0) - fair), JSON.stringify(agents)).toBeLessThanOrEqual(2);
    }
  });

  it('of one subscriber give one lease, and one session where only one is permitted', async () => {
    await any().addAgent(1);
    await any().addSubscriber(nai(1), { sessions: 'one' });
    await any().addSubscriber(nai(2));
    const one = await Promise.all(Array.from({ length: 12 }, (_, n) => any(n).bootstrap(nai(1), `one${n}`)));
    expect(one.filter(({ result }) => result === 'home')).toHaveLength(1);
    const two = await Promise.all(Array.from({ length: 12 }, (_, n) => any(n).given(nai(2), `two${n}`)));
    expect(new Set(two.map(({ lease }) => lease.homeAddress)).size).toBe(1);
    expect(two.filter(({ takenFrom }) => takenFrom !== undefined)).toHaveLength(11);
    expect(await rows('SELECT leases FROM home_agents')).toEqual([{ leases: 2 }]);
  });

  it('of two subscribers with one Session-Id are accepted for one of them', async () => {
    await any().addAgent(1);
    for (let round = 0; round < 10; round += 1) {
      const users = [2 * round, 2 * round + 1];
      for (const n of users) await any().addSubscriber(nai(n));
      const given = await Promise.all(users.map((n) => any(n).bootstrap(nai(n), `same${round}`)));
      expect(given.map(({ result }) => result).sort()).toEqual(['home', 'refused']);
    }
  });

  it('do not wait for an import that has changed their subscribers and has not ended', async () => {
    await any().addAgent(1);
    await any().addSubscriber(nai(1));
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query('BEGIN; UPDATE subscribers SET enabled = 0');
      expect(await any().bootstrap(nai(1), 's1')).toMatchObject({ result: 'home' });
      await client.query('COMMIT');
      expect(await any().bootstrap(nai(1), 's1')).toMatchObject({ result: 'refused', reason: 'disabled' });
    } finally {
      await client.end();
    }
  });

  it('of a server whose database is locked by others for too long fail as overload, and the database counts as working', async () => {
    const states: boolean[] = [];
    const store = await openStore(url, { events: { state: (works) => states.push(works) } });
    servers.push(store);
    await any().addSubscriber(nai(1));
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query('BEGIN; SELECT pg_advisory_xact_lock(1346457153)');
      const user = new StoreUser(() => store);
      await expect(user.bootstrap(nai(1), 's1')).rejects.toMatchObject({ code: 'ERR_STORE_BUSY' });
      await client.query('ROLLBACK');
      expect(await user.bootstrap(nai(1), 's1')).toMatchObject({ result: 'none', reason: 'no-home-agent' });
      expect(states).toEqual([]);
    } finally {
      await client.end();
    }
  });

  it('give the home addresses that SQLite gives', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pana-same-'));
    const path = join(folder, 'store.db');
    const file = await openStore(path);
    try {
      await file.close();
      const secret = `${'0f'.repeat(31)}a5`;
      const database = new Database(path);
      database.prepare("UPDATE meta SET value = ? WHERE key = 'secret'").run(secret);
      database.close();
      await rows(`UPDATE meta SET value = '${secret}' WHERE key = 'secret'`);
      const sqlite = await openStore(path);
      for (const user of [any(), new StoreUser(() => sqlite)]) {
        await user.addAgent(1, { capacity: 100, prefix: '2001:db8:0:1::/64', address: '2001:db8:0:1::1' });
        for (let n = 0; n < 40; n += 1) await user.addSubscriber(`mn-${n}.a@home.example`);
      }
      for (let n = 0; n < 40; n += 1) {
        const own = `mn-${n}.A@home.example`;
        const [here, there] = [await any().given(own, `s${n}`), await new StoreUser(() => sqlite).given(own, `s${n}`)];
        const { duty: _, ...lease } = here.lease as typeof here.lease & { duty?: string };
        // The function of PostgreSQL does not say it.
        expect({ ...here, lease, alone: true }).toEqual(there);
      }
      await sqlite.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
