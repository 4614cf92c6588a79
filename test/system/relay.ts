import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import type { Lab, Place } from '../../dist/lab/lab.js';
import type { AccessNetwork } from './access-network.js';

const EXTENSIONS = '/usr/lib/freeDiameter';

export interface RelayPeer {
  readonly host: string;
  /** Undefined: the peer connects to the relay. */
  readonly place?: Place;
}

export interface RelayOptions {
  readonly host: string;
  readonly address: string;
  readonly tls: boolean;
  /** Seconds without a message after which the relay sends a DWR, at least 6. */
  readonly watchdog?: number;
  readonly peers: readonly RelayPeer[];
}

/** freeDiameter as a relay agent on an address of the access router. */
export class Relay {
  readonly host: string;
  readonly #child: ChildProcess;
  readonly lines: string[] = [];

  private constructor(host: string, child: ChildProcess) {
    this.host = host;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
  }

  /**
   * Writes the configuration and starts the relay, which runs until the test finishes. Its peers log when it is
   * connected.
   */
  static async start(lab: Lab, network: AccessNetwork, options: RelayOptions): Promise<Relay> {
    const { host, address, tls, peers } = options;
    const name = host.split('.', 1)[0] ?? host;
    await lab.issueServer(name, [host]);
    const access = lab.path(`${name}.acl`);
    // Peers without TLS need their own entry in the access list.
    const prefix = tls ? '' : 'ALLOW_IPSEC ';
    await writeFile(access, peers.map((peer) => `${prefix}${peer.host}\n`).join(''));
    const connections = peers.flatMap(({ host: peer, place }) =>
      place
        ? [`ConnectPeer = "${peer}" { ConnectTo = "${place.address}"; Port = ${place.port}; ${tls ? '' : 'No_TLS; '}};`]
        : [],
    );
    const config = lab.path(`${name}.conf`);
    await writeFile(
      config,
      [
        `Identity = "${host}";`,
        `Realm = "${host.slice(name.length + 1)}";`,
        'Port = 3868;',
        'SecPort = 5868;',
        'No_SCTP;',
        'TcTimer = 1;',
        `TwTimer = ${options.watchdog ?? 6};`,
        `ListenOn = "${address}";`,
        `TLS_Cred = "${lab.path('pki', `${name}.pem`)}", "${lab.path('pki', `${name}-key.pem`)}";`,
        `TLS_CA = "${lab.path('pki', 'ca.pem')}";`,
        `LoadExtension = "${EXTENSIONS}/acl_wl.fdx" : "${access}";`,
        ...connections,
        '',
      ].join('\n'),
    );
    const child = spawn('ip', ['netns', 'exec', network.router, 'freeDiameterd', '-c', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const relay = new Relay(host, child);
    onTestFinished(() => relay.kill());
    return relay;
  }

  /** Sends SIGKILL, so that the relay's peers get no DPR. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
