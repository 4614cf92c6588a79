import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../../src/store/store.js';
import { eventually, within } from '../../eventually.js';
import { Postgres, withoutPostgres } from '../../postgres.js';
import { HOUR, StoreUser } from '../../store/fixtures.js';
import { openStore } from '../../store/open-store.js';

const SUBSCRIBERS = 120;
const AT_ONCE = 12;
const nai = (n: number) => `mn${n}@home.example`;

/** Forwards connections to the primary, as the name or address that follows it does. */
class Route {
  target = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (near) => {
      const far = connect(this.target, '127.0.0.1');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.pipe(other);
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
      }
    });
  }

  static async open(): Promise<Route> {
    const server = createServer().listen(0, '127.0.0.1');
    await within(once(server, 'listening'), 'the route listens');
    return new Route(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

describe.skipIf(withoutPostgres !== undefined)('A synchronous replica that is promoted under load', () => {
  let primary: Postgres;
  let replica: Postgres;
  let route: Route;
  let servers: Store[];

  beforeEach(async () => {
    servers = [];
    primary = await Postgres.start();
    replica = await primary.replica();
    route = await Route.open();
    route.target = primary.port;
  });

  afterEach(async () => {
    for (const store of servers) await store.close();
    route?.close();
    await replica?.stop();
    await primary?.stop();
  });

  it('keeps every lease that was promised, and every end of a session that was acknowledged', async () => {
    await primary.query('postgres', "ALTER SYSTEM SET synchronous_standby_names = '*'");
    await primary.query('postgres', 'SELECT pg_reload_conf()');
    await eventually(async () =>
      expect(await primary.query('postgres', 'SELECT sync_state FROM pg_stat_replication')).toEqual([
        { sync_state: 'sync' },
      ]),
    );
    const name = new URL(await primary.database()).pathname;
    for (let n = 0; n < 2; n += 1) {
      const holder = { server: `aaa${n}.home.example`, run: 1, hooks: true };
      servers.push(await openStore(`postgres://pana@127.0.0.1:${route.port}${name}`, { holder }));
    }
    const any = (n = 0) => new StoreUser(() => servers[n % servers.length] as Store);
    await any().addAgent(1, { capacity: SUBSCRIBERS });
    await any().addAgent(2, { capacity: SUBSCRIBERS });
    await Promise.all(Array.from({ length: SUBSCRIBERS }, (_, n) => any().addSubscriber(nai(n))));

    /** What the servers have been told: the home address, or undefined after the end of the session. */
    const promised = new Map<string, string | undefined>();
    let next = 0;
    let half: () => void = () => undefined;
    const loaded = new Promise<void>((resolve) => {
      half = resolve;
    });
    const work = async () => {
      for (let n = next++; n < SUBSCRIBERS; n = next++) {
        const lifetimes = { now: Date.now(), sessionLifetime: HOUR, leaseLifetime: HOUR };
        const { lease } = await eventually(() => any(n).given(nai(n), `s${n}`, lifetimes));
        promised.set(nai(n), lease.homeAddress);
        if (n % 4 === 0) {
          promised.delete(nai(n));
          await eventually(() => (servers[n % 2] as Store).run('endSession', { sessionId: `s${n}` }));
          promised.set(nai(n), undefined);
        }
        if (promised.size >= SUBSCRIBERS / 2) half();
      }
    };
    const working = Promise.all(Array.from({ length: AT_ONCE }, work));
    await Promise.race([loaded, working]);
    await primary.kill();
    const before = new Map(promised);
    await replica.query('postgres', "ALTER SYSTEM SET synchronous_standby_names = ''");
    await replica.query('postgres', 'SELECT pg_promote(true, 60)');
    const held = async () => {
      const rows = await replica.query<{ nai: string; hoa: string }>(
        replica.url(name.slice(1)),
        'SELECT nai, leases.hoa FROM leases JOIN subscribers ON subscribers.id = subscriber_id',
      );
      return new Map(rows.map((row) => [row.nai, row.hoa]));
    };
    const kept = await held();
    // The servers are not connected to it yet.
    expect([...before].filter(([who, hoa]) => kept.get(who) !== hoa)).toEqual([]);
    expect(before.size).toBeLessThan(SUBSCRIBERS);
    route.target = replica.port;
    await working;
    const all = await held();
    expect(promised.size).toBe(SUBSCRIBERS);
    expect([...promised].filter(([who, hoa]) => all.get(who) !== hoa)).toEqual([]);
    const counted = await replica.query(
      replica.url(name.slice(1)),
      'SELECT 1 FROM home_agents a WHERE leases <> (SELECT count(*) FROM leases l WHERE l.home_agent_id = a.id)',
    );
    expect(counted).toEqual([]);
  });
});
