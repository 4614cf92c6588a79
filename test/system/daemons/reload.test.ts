import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { parse, stringify } from 'yaml';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { LAB_NETWORKS, Lab } from '../../../dist/lab/lab.js';
import type { LogLine } from '../../../src/runtime/cli/ladder.js';
import type { LogEvent } from '../../../src/runtime/log/events.js';
import { Postgres, withoutPostgres } from '../../postgres.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** A peer as the lab configures it. */
const peer = (name: string) => ({ host: `${name}.access.example`, from: LAB_NETWORKS });

type Tree = { [key: string]: Tree } & { [key: string]: unknown };

/** Changes a daemon's configuration file and sends SIGHUP. Resolves with the log line of the result. */
async function reload(
  made: Lab,
  daemon: DaemonProcess,
  change: (tree: Tree) => void,
  message: LogEvent = 'configuration reloaded',
) {
  const path = made.path(`${daemon.name}.yaml`);
  const tree = parse(await readFile(path, 'utf8')) as Tree;
  change(tree);
  await writeFile(path, stringify(tree));
  return again(daemon, message);
}

function again(daemon: DaemonProcess, message: LogEvent): Promise<LogLine> {
  const before = daemon.lines.length;
  daemon.signal('SIGHUP');
  return daemon.line(message, (line) => daemon.lines.indexOf(line) >= before);
}

function said(daemon: DaemonProcess, message: LogEvent, test: (line: LogLine) => boolean = () => true): LogLine[] {
  return daemon.lines.filter((line) => line.msg === message && test(line));
}

describe('A reload of Diameter peers', () => {
  it('adds and removes peers of a server without closing other connections', async () => {
    lab = await Lab.make();
    const { daemon: aaa, place } = await lab.startAaa();
    const { daemon: paa } = await lab.startPaa(place);
    await reload(lab, aaa, ({ diameter }) => {
      (diameter as Tree)['peers'] = ['paa', 'paa3'].map(peer) as never;
    });
    // paa2 is no longer a peer, paa3 is.
    const third = { diameter: { host: 'paa3.access.example' } };
    await lab.startPaa(place, 'paa3', third);
    const second = await lab.configure('paa2', {
      ...(parse(await readFile(lab.path('paa3.yaml'), 'utf8')) as Tree),
      control: { socket: lab.socket('paa2') },
      pana: { listen: [lab.address], port: 0 },
      diameter: {
        host: 'paa2.access.example',
        realm: 'access.example',
        peers: [{ host: 'aaa.home.example', address: place.address, port: place.port }],
      },
    });
    lab.start('paa2', 'paa', second);
    await aaa.line('peer refused', ({ reason }) => reason === 'unknown-peer');
    expect(said(paa, 'peer disconnected')).toEqual([]);
    expect(said(aaa, 'peer disconnected')).toEqual([]);

    await reload(lab, aaa, ({ diameter }) => {
      (diameter as Tree)['peers'] = [peer('paa3')] as never;
    });
    await paa.line('peer disconnected');
    expect(await aaa.line('peer disconnected')).toMatchObject({ peer: 'paa.access.example' });
    expect(said(aaa, 'peer disconnected')).toHaveLength(1);
    await lab.addSubscriber('mn1@home.example', 'mn1');
    const pac = await lab.startPac('mn1');
    await pac.line('bootstrap completed');
  });

  it.skipIf(withoutPostgres !== undefined)(
    'adds and removes servers of a PAA, and a session outlives the removed server',
    async () => {
      const postgres = await Postgres.start();
      onTestFinished(() => postgres.stop());
      lab = await Lab.make({ aaa: { store: await postgres.database() } });
      const { place } = await lab.startAaa();
      await lab.issueServer('aaa2', ['aaa2.home.example']);
      const second = await lab.startAaa('aaa2', {
        diameter: { host: 'aaa2.home.example' },
      });
      const { daemon: paa } = await lab.startPaa(place);
      await reload(lab, paa, ({ diameter }) => {
        ((diameter as Tree)['peers'] as unknown as object[]).push({
          host: 'aaa2.home.example',
          address: second.place.address,
          port: second.place.port,
          priority: 1,
        });
      });
      await paa.line('peer connected', ({ peer }) => peer === 'aaa2.home.example');
      await lab.addSubscriber('mn1@home.example', 'mn1');
      const pac = await lab.startPac('mn1');
      await pac.line('bootstrap completed');
      expect(said(second.daemon, 'authentication succeeded')).toEqual([]);
      // A change of priorities needs no new connection.
      await reload(lab, paa, ({ diameter }) => {
        for (const [i, peer] of ((diameter as Tree)['peers'] as unknown as Tree[]).entries())
          peer['priority'] = (1 - i) as never;
      });
      expect(said(paa, 'peer connected')).toHaveLength(2);
      await reload(lab, paa, ({ diameter }) => {
        (diameter as Tree)['peers'] = ((diameter as Tree)['peers'] as unknown as object[]).slice(1) as never;
      });
      await paa.line('peer disconnected', ({ peer }) => peer === 'aaa.home.example');
      await lab.addSubscriber('mn2@home.example', 'mn2');
      const other = await lab.startPac('mn2');
      await other.line('bootstrap completed');
      await second.daemon.line('authentication succeeded');
      expect(said(pac, 'session ended')).toEqual([]);
    },
  );

  it('reconnects to a peer with a changed address', async () => {
    lab = await Lab.make();
    const { daemon: aaa, place } = await lab.startAaa();
    const { daemon: paa } = await lab.startPaa(place);
    await reload(lab, paa, ({ diameter }) => {
      // The same address in another option.
      (diameter as Tree)['peers'] = [
        { host: 'aaa.home.example', addresses: [place.address], port: place.port },
      ] as never;
    });
    await aaa.line('peer disconnected');
    await paa.line('peer connected', (line) => said(paa, 'peer connected').indexOf(line) === 1);
  });
});

describe('A reload of a PAA', () => {
  it('changes Mobile IPv6 and the local home agent for new sessions', async () => {
    lab = await Lab.make({ localHomeAgent: true });
    const { place } = await lab.startAaa();
    const { daemon: paa } = await lab.startPaa(place);
    const local = { mobility: { 'home-agent': 'local' } };
    await lab.addSubscriber('mn1@home.example', 'mn1');
    await lab.addSubscriber('mn2@home.example', 'mn2');
    await lab.addSubscriber('mn3@home.example', 'mn3');
    const first = await lab.startPac('mn1', local);
    expect(await first.line('bootstrap completed')).toMatchObject({ homeAgent: '2001:db8:a::1' });

    let kept: unknown;
    await reload(lab, paa, (tree) => {
      kept = tree['local-home-agent'];
      delete tree['local-home-agent'];
    });
    const second = await lab.startPac('mn2', local);
    expect(await second.line('bootstrap completed')).toMatchObject({ homeAgent: '2001:db8:1::1' });
    // A node with the local home agent keeps it.
    expect(said(first, 'session ended')).toEqual([]);
    const refused = await reload(
      lab,
      paa,
      (tree) => {
        tree['local-home-agent'] = { ...(kept as object), address: '2001:db8:a::2' } as never;
      },
      'reload failed',
    );
    expect(refused['reason']).toContain('1 nodes use the home agent 2001:db8:a::1');

    await reload(lab, paa, (tree) => {
      tree['local-home-agent'] = kept as never;
      tree['mobility'] = { offer: false } as never;
    });
    const third = await lab.startPac('mn3', local);
    await third.line('session authorized');
    await third.line('Mobile IPv6 unavailable');
    await reload(lab, paa, (tree) => {
      tree['mobility'] = { offer: true } as never;
    });
    await third.stop();
    expect(await (await lab.startPac('mn3', local)).line('bootstrap completed')).toMatchObject({
      homeAgent: '2001:db8:a::1',
    });
  });
});

describe('A reload', () => {
  it('applies reloadable keys, names the others, and an invalid file changes nothing', async () => {
    lab = await Lab.make();
    const { daemon: aaa, place } = await lab.startAaa();
    const { daemon: paa } = await lab.startPaa(place);
    await reload(lab, paa, (tree) => {
      (tree['pana'] as Tree)['port'] = 7160 as never;
      (tree['pana'] as Tree)['ping-interval'] = '9s' as never;
      (tree['log'] as Tree)['level'] = 'trace' as never;
    });
    expect(said(paa, 'restart required').map(({ option }) => option)).toEqual(['pana.port']);
    // It is reported at each reload until the restart.
    await again(paa, 'configuration reloaded');
    expect(said(paa, 'restart required')).toHaveLength(2);

    const broken = await reload(
      lab,
      aaa,
      (tree) => {
        (tree['diameter'] as Tree)['peers'] = [] as never;
        (tree['tls'] as Tree)['certificate'] = '/nowhere.pem' as never;
      },
      'reload failed',
    );
    expect(broken['reason']).toContain('tls.certificate: cannot read /nowhere.pem');
    await lab.addSubscriber('mn1@home.example', 'mn1');
    await (await lab.startPac('mn1')).line('bootstrap completed');
  });

  it('gives a PaC another certificate for its next session', async () => {
    lab = await Lab.make();
    const { place } = await lab.startAaa();
    await lab.startPaa(place);
    await lab.addSubscriber('mn1@home.example', 'mn1');
    await lab.issueClient('mn9', 'mn9@home.example');
    const pac = await lab.startPac('mn1', {
      tls: { certificate: lab.path('pki', 'mn9.pem'), key: lab.path('pki', 'mn9-key.pem') },
      retry: { first: '100ms', longest: '100ms' },
    });
    await pac.line('session refused');
    const made = lab;
    await reload(made, pac, (tree) => {
      Object.assign(tree['tls'] as Tree, {
        certificate: made.path('pki', 'mn1.pem'),
        key: made.path('pki', 'mn1-key.pem'),
      });
    });
    await pac.line('bootstrap completed');
  });

  it('watches another CRL file if the path changes', async () => {
    lab = await Lab.make();
    const made = lab;
    const { daemon: aaa, place } = await made.startAaa();
    await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const crl = await readFile(made.path('pki', 'crl.pem'));
    await writeFile(made.path('other-crl.pem'), crl);
    await reload(made, aaa, (tree) => {
      (tree['tls'] as Tree)['crl'] = made.path('other-crl.pem') as never;
    });
    const pac = await made.startPac('mn1');
    await pac.line('bootstrap completed');
    await made.pki.revoke('mn1');
    await writeFile(made.path('other-crl.pem'), await readFile(made.path('pki', 'crl.pem')));
    await aaa.line('CRL reloaded');
    await pac.line('session ended');
  });
});
