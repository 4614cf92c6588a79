import { expect } from 'vitest';
import { Lab } from '../../dist/lab/lab.js';
import { generator } from '../protocol/pana/session/simulation.js';
import { leaseViolations, makeLoad, untilFreed } from './load.js';

/** From `PANA_KILLS`. */
export const KILLS = Number(process.env['PANA_KILLS'] ?? 100);
const NODES = 6;
/**
 * The server is killed after at most BOOTSTRAPS bootstraps, within WITHIN milliseconds of the start of the next one.
 */
const BOOTSTRAPS = 4;
const WITHIN = 40;

/**
 * Kills the AAA server KILLS times while nodes bootstrap. Some nodes leave without terminating; their leases must
 * expire.
 */
export async function killServer(store: string | undefined, seed: number): Promise<void> {
  const random = generator(seed);
  const lab = await Lab.make({
    hooks: false,
    logLevel: 'info',
    aaa: {
      ...(store === undefined ? {} : { store }),
      session: { lifetime: '20s', grace: '2s' },
    },
    paa: {
      pana: { limits: { 'pci-per-address': 1000, 'half-open-per-address': 1000 } },
      diameter: { reconnect: '50ms', 'request-timeout': '3s' },
    },
  });
  try {
    const { daemon, place: aaa } = await lab.startAaa();
    const { daemon: paa, place } = await lab.startPaa(aaa);
    let kills = 0;
    let up: Promise<unknown> = Promise.resolve();
    let done = 0;
    let onDone: () => void = () => undefined;
    const nodes = await makeLoad(lab, place, NODES, {
      kills: () => kills,
      ready: async () => {
        await up;
      },
      terminates: (bootstraps) => bootstraps % 3 !== 0,
      onDone: () => {
        done += 1;
        onDone();
      },
    });
    const running = nodes.map((node) => node.run());
    let server = daemon;
    for (; kills < KILLS; ) {
      const connected = () => paa.lines.filter(({ msg }) => msg === 'peer connected').length;
      const seen = connected();
      const enough = done + Math.floor(random() * BOOTSTRAPS);
      await new Promise<void>((resolve) => {
        onDone = () => {
          if (done >= enough) resolve();
        };
        onDone();
      });
      await new Promise((resolve) => setTimeout(resolve, random() * WITHIN));
      let open: () => void = () => undefined;
      up = new Promise((resolve) => {
        open = () => resolve(undefined);
      });
      kills += 1;
      server.signal('SIGKILL');
      await server.exited;
      server = lab.start(`aaa ${kills}`, 'aaa', lab.path('aaa.yaml'));
      await paa.line('peer connected', () => connected() > seen);
      open();
      expect(nodes.flatMap(({ failures }) => failures)).toEqual([]);
    }
    for (const node of nodes) node.stop();
    await Promise.all(running);
    expect(nodes.flatMap(({ failures }) => failures)).toEqual([]);

    const granted = nodes.flatMap((node) => node.granted);
    expect(granted.length).toBeGreaterThan(KILLS);
    expect(await leaseViolations(lab, 'aaa', granted)).toEqual([]);
    // Leases that no node gives back must expire.
    await untilFreed(lab, [server]);
    expect(await leaseViolations(lab, 'aaa', granted)).toEqual([]);
  } finally {
    await lab.close();
  }
}
