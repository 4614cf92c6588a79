import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatorError } from '../../runtime/system/failure.js';
import { HOME_AGENT, hookPath, REALM } from '../lab.js';
import { Patience } from '../patience.js';
import type { Part } from './clean-up.js';
import { hasProgram, type NetworkHost } from './hosts.js';
import { ACCESS, routerAddress } from './network.js';
import type { Way } from './options.js';

/** Messages and their octets of one protocol on the access link. Octets undefined: not known. */
export interface Messages {
  readonly count: number;
  readonly octets?: number | undefined;
}

/** Name of the lab's home agent, in DNS and in its certificate. */
export const HOME_AGENT_HOST = `ha1.${REALM}`;

const PROGRAMS: Readonly<Record<Way, readonly string[]>> = {
  pana: [],
  ikev2: [],
  dns: ['dnsmasq'],
  dhcpv6: ['kea-dhcp6', 'dhclient'],
};

/** Why a way cannot be shown here; undefined: it can. */
export function whyNot(way: Way): string | undefined {
  const missing = PROGRAMS[way].filter((name) => !hasProgram(name));
  return missing.length > 0 ? `not installed: ${missing.join(', ')}` : undefined;
}

/** A program on a host of the lab, and what it has printed. */
class Running implements Part {
  readonly child: ChildProcess;
  output = '';

  /** The program sees private files at usual places: `script` mounts them and then executes it. */
  constructor(host: NetworkHost, script: string, words: readonly string[]) {
    const [command = '', ...parameters] = [...host.launcher, 'sh', '-ec', script, ...words];
    this.child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (text) => {
        this.output += String(text);
      });
    }
  }

  async says(text: string): Promise<void> {
    const patience = new Patience();
    while (!this.output.includes(text)) {
      if (patience.over || this.child.exitCode !== null) {
        throw new OperatorError(`a server of the lab does not start: ${this.output.trim()}`);
      }
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await gone;
  }
}

/** dnsmasq on the router of the free link, with the SRV record of the home agent. */
export class DnsServer implements Part {
  readonly #running: Running;
  /** When the first query for the SRV record was logged, in milliseconds since 1970. */
  firstQueryAt: number | undefined;

  private constructor(running: Running) {
    this.#running = running;
    running.child.stderr?.on('data', (text) => {
      if (String(text).includes('query[SRV]')) this.firstQueryAt ??= Date.now();
    });
  }

  static async start(host: NetworkHost, folder: string): Promise<DnsServer> {
    const path = join(folder, 'dnsmasq.conf');
    const lines = [
      ...['no-resolv', 'no-hosts', 'no-daemon', 'user=root', 'pid-file=', 'local-ttl=300', 'bind-interfaces'],
      ...['log-queries', 'log-facility=-', `listen-address=${routerAddress('d')}`],
      `srv-host=_mip6._ipv6.${REALM},${HOME_AGENT_HOST},500,1`,
      `host-record=${HOME_AGENT_HOST},${HOME_AGENT}`,
    ];
    await writeFile(path, `${lines.join('\n')}\n`);
    const running = new Running(host, 'exec dnsmasq -C "$0"', [path]);
    const server = new DnsServer(running);
    await running.says('started, version');
    return server;
  }

  /** Queries and answers. */
  get messages(): Messages {
    return { count: 2 * (this.#running.output.match(/ query\[/g)?.length ?? 0) };
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }
}

/** Kea on the router of the free link, with the home agent in option 69. */
export async function startDhcpServer(host: NetworkHost, folder: string): Promise<Part> {
  const path = join(folder, 'kea.json');
  const configuration = {
    Dhcp6: {
      'interfaces-config': { interfaces: [ACCESS] },
      'lease-database': { type: 'memfile', persist: false },
      'option-def': [
        { name: 'mip6-idinf', code: 69, space: 'dhcp6', type: 'empty', encapsulate: 'mip6-idinf-space' },
        { name: 'haa', code: 72, space: 'mip6-idinf-space', type: 'ipv6-address' },
      ],
      'option-data': [
        { name: 'mip6-idinf', space: 'dhcp6' },
        { name: 'haa', space: 'mip6-idinf-space', data: HOME_AGENT },
      ],
      subnet6: [{ id: 1, subnet: '2001:db8:d::/64', interface: ACCESS }],
      loggers: [{ name: 'kea-dhcp6', severity: 'INFO', output_options: [{ output: 'stdout' }] }],
    },
  };
  await writeFile(path, JSON.stringify(configuration));
  const script =
    'mount -t tmpfs tmpfs /var/lib; mkdir /var/lib/kea; KEA_PIDFILE_DIR=/run KEA_LOCKFILE_DIR=none exec kea-dhcp6 -c "$0"';
  const running = new Running(host, script, [path]);
  await running.says('DHCP6_STARTED');
  return running;
}

const DHCLIENT = `option dhcp6.mip6-idinf code 69 = string;
also request dhcp6.mip6-idinf;
`;

/** Asks with dhclient; the shipped hook writes the home agent to `file`. Its own /etc/resolv.conf: a script might write it. */
export async function askByDhcp(host: NetworkHost, access: string, folder: string, file: string): Promise<Messages> {
  const path = (name: string) => join(folder, `dhclient-${name}`);
  await writeFile(path('resolv'), '');
  await writeFile(path('conf'), DHCLIENT);
  const hook = `#!/bin/sh\nMIP6_HOME_FILE='${file}'\n. '${hookPath('dhcp-mip6.sh')}'\n`;
  await writeFile(path('script'), hook, { mode: 0o755 });
  const files = ['-cf', path('conf'), '-sf', path('script'), '-lf', path('leases'), '-pf', path('pid')];
  const running = new Running(host, 'mount --bind "$0" /etc/resolv.conf; exec dhclient "$@"', [
    path('resolv'),
    ...['-6', '-S', '-1', '-d', '-v'],
    ...files,
    access,
  ]);
  const [status] = await once(running.child, 'close');
  if (status !== 0) throw new Error(`dhclient: status ${status}: ${running.output.trim()}`);
  return { count: running.output.match(/^(XMT: Info-Request on|RCV: Reply message)/gm)?.length ?? 0 };
}
