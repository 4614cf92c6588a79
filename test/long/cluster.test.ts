import { afterEach, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { Lab } from '../../dist/lab/lab.js';
import type { HomeAgent } from '../../src/protocol/home/records.js';
import { leaseViolations, makeLoad, untilFreed } from '../daemons/load.js';
import { Postgres, withoutPostgres } from '../postgres.js';
import { generator } from '../protocol/pana/session/simulation.js';

/** Bootstraps for each cluster size, from `PANA_BOOTSTRAPS`. */
const BOOTSTRAPS = Number(process.env['PANA_BOOTSTRAPS'] ?? 600);
const NODES = 200;
const AT_ONCE = 8;
/** The longest time between two restarts, in milliseconds. */
const BETWEEN = 2_000;

/** The home agents with their share of the load: capacity times weight. */
const HOME_AGENTS = [
  { name: 'ha1', capacity: 1000, weight: 1 },
  { name: 'ha2', capacity: 2000, weight: 1 },
  { name: 'ha3', capacity: 1000, weight: 2 },
] as const;

let lab: Lab | undefined;
let postgres: Postgres | undefined;

afterEach(async () => {
  await lab?.close();
  await postgres?.stop();
  lab = undefined;
  postgres = undefined;
});

it.skipIf(withoutPostgres !== undefined).each([2, 3])(
  '%i servers on one PostgreSQL share subscribers, home agents and load while servers restart',
  { timeout: 900_000 },
  async (count) => {
    const random = generator(100 + count);
    postgres = await Postgres.start();
    const store = await postgres.database();
    const made = await Lab.make({
      hooks: false,
      logLevel: 'info',
      aaa: { store, diameter: { 'shared-store': true } },
      paa: {
        pana: { limits: { 'pci-per-address': 1000, 'half-open-per-address': 1000 } },
        diameter: { reconnect: '100ms', 'request-timeout': '5s' },
      },
    });
    lab = made;
    const servers: { readonly name: string; readonly port: number; daemon: DaemonProcess }[] = [];
    for (let i = 1; i <= count; i += 1) {
      const name = i === 1 ? 'aaa' : `aaa${i}`;
      if (i > 1) await made.issueServer(name, [`${name}.home.example`]);
      const { daemon, place } = await made.startAaa(name, { diameter: { host: `${name}.home.example` } });
      servers.push({ name, port: place.port, daemon });
    }
    for (const [i, { name, capacity, weight }] of HOME_AGENTS.entries()) {
      if (name === 'ha1') continue;
      const number = i + 1;
      const agent = {
        name,
        capacity,
        weight,
        address: `2001:db8:${number}::1`,
        host: `${name}.home.example`,
        prefix: `2001:db8:${number}::/64`,
        ike: ['ikev1'],
      };
      await made.administer('aaa', 'addHomeAgent', { agent });
    }
    const { daemon: paa, place } = await made.startPaa({ address: made.address, port: servers[0]?.port ?? 0 }, 'paa', {
      diameter: {
        peers: servers.map(({ name, port }) => ({ host: `${name}.home.example`, address: made.address, port })),
      },
    });
    const connections = (name: string) =>
      paa.lines.filter(({ msg, ...line }) => msg === 'peer connected' && line['peer'] === `${name}.home.example`)
        .length;
    for (const { name } of servers) await paa.line('peer connected', (line) => line['peer'] === `${name}.home.example`);

    let kills = 0;
    let ending = false;
    const nodes = await makeLoad(made, place, NODES, { kills: () => kills, ending: () => ending });
    const each = Math.ceil(BOOTSTRAPS / NODES);
    const waiting = [...nodes];
    let loading = true;
    const worker = async () => {
      for (let node = waiting.pop(); node; node = waiting.pop()) await node.run(each);
    };
    const load = Promise.all(Array.from({ length: AT_ONCE }, worker)).finally(() => {
      loading = false;
    });
    // Meanwhile servers are killed or stopped, and restarted.
    while (loading) {
      await Promise.race([load, new Promise((resolve) => setTimeout(resolve, random() * BETWEEN))]);
      const server = servers[Math.floor(random() * count)];
      if (!server || !loading) continue;
      const seen = connections(server.name);
      kills += 1;
      ending = true;
      server.daemon.signal(random() < 0.5 ? 'SIGKILL' : 'SIGTERM');
      await server.daemon.exited;
      ending = false;
      server.daemon = made.start(`${server.name} ${kills}`, 'aaa', made.path(`${server.name}.yaml`));
      await paa.line('peer connected', () => connections(server.name) > seen);
      expect(nodes.flatMap(({ failures }) => failures)).toEqual([]);
    }
    await load;
    // A restarted server opens its control socket last.
    for (const { daemon } of servers) await daemon.line('ready');
    expect(nodes.flatMap(({ failures }) => failures)).toEqual([]);
    process.stderr.write(`*** ${count} servers: ${kills} restarts during ${BOOTSTRAPS} bootstraps ***\n`);
    expect(kills).toBeGreaterThan(count);
    expect(nodes.reduce((sum, { done }) => sum + done, 0)).toBeGreaterThanOrEqual(BOOTSTRAPS);

    // All nodes have a session, and all servers report the same numbers.
    const granted = nodes.flatMap((node) => node.granted);
    for (const { name } of servers) expect(await leaseViolations(made, name, granted)).toEqual([]);
    expect(await made.leases()).toHaveLength(NODES);
    const agents = (await made.administer('aaa', 'listHomeAgents', {})) as HomeAgent[];
    const shares = HOME_AGENTS.reduce((sum, { capacity, weight }) => sum + capacity * weight, 0);
    for (const { name, capacity, weight, leases } of agents) {
      const fair = (NODES * capacity * weight) / shares;
      expect(Math.abs(leases - fair), `${name} has ${leases} leases of ${fair}`).toBeLessThanOrEqual(0.05 * fair);
    }
    for (const node of nodes) await node.end();
    await untilFreed(
      made,
      servers.map(({ daemon }) => daemon),
    );
  },
);
