import { afterEach, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { Lab, type LabOptions, type Place } from '../../dist/lab/lab.js';
import { leaseViolations, makeLoad } from '../daemons/load.js';
import { Postgres, withoutPostgres } from '../postgres.js';
import { generator } from '../protocol/pana/session/simulation.js';

/** A third of `PANA_KILLS`. */
const KILLS = Math.ceil(Number(process.env['PANA_KILLS'] ?? 100) / 3);
const NODES = 4;
/** A server is killed at most this many milliseconds after it is ready. */
const WITHIN = 150;

let lab: Lab | undefined;
let postgres: Postgres | undefined;

afterEach(async () => {
  await lab?.close();
  await postgres?.stop();
  lab = undefined;
  postgres = undefined;
});

interface Server {
  readonly name: string;
  daemon: DaemonProcess;
}

it.skipIf(withoutPostgres !== undefined)(
  'Killing one of two servers on one store fails only the bootstraps that it was serving',
  {
    timeout: 400_000,
  },
  async () => {
    /** The log, for the message of a failed test. */
    const log: string[] = [];
    postgres = await Postgres.start();
    const options: LabOptions = {
      hooks: false,
      logLevel: 'info',
      aaa: { store: await postgres.database(), diameter: { 'shared-store': true } },
      paa: {
        pana: { limits: { 'pci-per-address': 1000, 'half-open-per-address': 1000 } },
        diameter: { reconnect: '200ms', 'request-timeout': '5s' },
      },
    };
    const made = await Lab.make(options, (daemon, line) => {
      if (line.msg !== 'session authorized' && line.msg !== 'session ended')
        log.push(`${daemon} ${JSON.stringify(line)}`);
    });
    lab = made;
    const first = await made.startAaa();
    await made.issueServer('aaa2', ['aaa2.home.example']);
    const second = await made.startAaa('aaa2', {
      diameter: { host: 'aaa2.home.example' },
    });
    const peer = (host: string, { address, port }: Place) => ({ host, address, port });
    const { daemon: paa, place } = await made.startPaa(first.place, 'paa', {
      diameter: { peers: [peer('aaa.home.example', first.place), peer('aaa2.home.example', second.place)] },
    });
    await paa.line('peer connected', (line) => line['peer'] === 'aaa2.home.example');

    let kills = 0;
    const clients = await makeLoad(made, place, NODES, { kills: () => kills });
    const running = clients.map((client) => client.run());

    const random = generator(7);
    const servers: Server[] = [
      { name: 'aaa', daemon: first.daemon },
      { name: 'aaa2', daemon: second.daemon },
    ];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const server = servers[kill % 2];
      if (!server) break;
      const connections = () =>
        paa.lines.filter((line) => line.msg === 'peer connected' && line['peer'] === `${server.name}.home.example`)
          .length;
      const before = connections();
      await new Promise((resolve) => setTimeout(resolve, random() * WITHIN));
      kills += 1;
      server.daemon.signal('SIGKILL');
      await server.daemon.exited;
      server.daemon = made.start(`${server.name} ${kill}`, 'aaa', made.path(`${server.name}.yaml`));
      await paa.line('peer connected', () => connections() > before);
      expect(
        clients.flatMap(({ failures }) => failures),
        log.slice(-60).join('\n'),
      ).toEqual([]);
    }
    for (const client of clients) client.stop();
    await Promise.all(running);
    // A restarted server opens its control socket last.
    for (const { daemon } of servers) await daemon.line('ready');
    expect(clients.flatMap(({ failures }) => failures)).toEqual([]);

    // The PAA logged every loss of a server and resent requests.
    expect(paa.lines.filter(({ msg }) => msg === 'peer disconnected').length).toBeGreaterThanOrEqual(KILLS);
    expect(paa.lines.filter(({ msg }) => msg === 'request failed over').length).toBeGreaterThan(0);
    // Each node has one home address, whichever server assigned it.
    for (const client of clients) expect(client.addresses.size).toBe(1);
    expect(
      await leaseViolations(
        made,
        'aaa',
        clients.flatMap(({ granted }) => granted),
      ),
    ).toEqual([]);
    expect(clients.reduce((sum, { done }) => sum + done, 0)).toBeGreaterThan(KILLS);
  },
);
