import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DIAMETER_PORT } from '../../protocol/diameter/wire/ports.js';
import { PANA_PORT } from '../../protocol/pana/wire/ports.js';
import type { LogLine } from '../../runtime/cli/ladder.js';
import type { LogEvent } from '../../runtime/log/events.js';
import type { DaemonProcess } from '../daemon-process.js';
import { hookPath, Lab, type Place, REALM, type Tree } from '../lab.js';
import { type Abilities, findAbilities } from './abilities.js';
import { HostCharon } from './charon.js';
import type { CleanUp } from './clean-up.js';
import { type NetworkHost, programPath } from './hosts.js';
import { ACCESS, type AccessLink, HOME, Network, NODE_INTERFACE, routerAddress, routerLinkLocal } from './network.js';
import type { LabChoices } from './options.js';
import { Echo } from './traffic.js';
import { HOME_AGENT_HOST } from './way-servers.js';

/** Maximum wait for a step on an idle computer, in milliseconds: user-mode Linux takes half a minute for a start. */
export const STEP_LIMIT = 60_000;

/** The secret of the home agent as a RADIUS client of the AAA server, on the same host. */
const RADIUS_SECRET = 'the secret of the home agent in the lab';

const EAP_RADIUS = `
    eap-radius {
      accounting = yes
      nas_identifier = ${HOME_AGENT_HOST}
      dae {
        enable = yes
        listen = 127.0.0.1
        port = 3799
        secret = ${RADIUS_SECRET}
      }
      servers {
        aaa {
          address = 127.0.0.1
          secret = ${RADIUS_SECRET}
          auth_port = 1812
          acct_port = 1813
        }
      }
    }`;

/** How a node finds its PAA: by configured global addresses, or as its default router, by a link-local address. */
export type Discovery = 'global' | 'link-local';

/** The network of the lab with the programs of routers, home agent and nodes. */
export class Installation {
  readonly network: Network;
  readonly abilities: Abilities;
  readonly lab: Lab;
  readonly cleanUp: CleanUp;
  /** strongSwan of the home agent, and of each node by number. */
  readonly charons: { readonly ha: HostCharon; readonly nodes: ReadonlyMap<number, HostCharon> } | undefined;
  #servers: { readonly aaa: DaemonProcess; readonly paas: ReadonlyMap<AccessLink, DaemonProcess> } | undefined;

  private constructor(
    parts: Pick<Installation, 'network' | 'abilities' | 'lab' | 'cleanUp'>,
    charons: Installation['charons'],
  ) {
    this.network = parts.network;
    this.abilities = parts.abilities;
    this.lab = parts.lab;
    this.cleanUp = parts.cleanUp;
    this.charons = charons;
  }

  /** Builds the network, starts strongSwan, and prepares the configuration. `describe` gets what this host has. */
  static async make(
    folder: string,
    { nodes, handover, ways }: LabChoices,
    cleanUp: CleanUp,
    describe: (abilities: Abilities) => void,
  ): Promise<Installation> {
    const network = await Network.build(folder, nodes, handover, cleanUp);
    const abilities = await findAbilities(network.HA);
    describe(abilities);
    const byEap = ways !== undefined;
    const charons = await startCharons(network, abilities, byEap ? EAP_RADIUS : '');
    const lab = await Lab.make({
      folder,
      // Without its plugin openssl, charon has no EC keys.
      keys: byEap ? 'rsa' : 'p256',
      family: 'ipv6',
      launcher: (_daemon, name) => hostOf(network, name).launcher,
      hookSettings: (name) => (byEap ? eapHookSettings(name, abilities) : hookSettings(name, abilities)),
    });
    // Clean-up ends the daemons before the hosts, and removes the folder last.
    await cleanUp.add({ stop: () => lab.close(true) });
    return new Installation({ network, abilities, lab, cleanUp }, charons);
  }

  /** Starts the AAA server with RADIUS for the home agent, whose nodes come by EAP, and a PAA on the first link only. */
  async startForWays(): Promise<void> {
    const { network, lab } = this;
    await lab.issueServer('ha', [HOME_AGENT_HOST]);
    for (const [folder, from] of [
      ['x509', 'ha.pem'],
      ['private', 'ha-key.pem'],
    ] as const) {
      await mkdir(join(network.HA.folder, 'swanctl', folder), { recursive: true });
      await copyFile(lab.path('pki', from), join(network.HA.folder, 'swanctl', folder, 'ha.pem'));
    }
    const secret = lab.path('ha.secret');
    await writeFile(secret, `${RADIUS_SECRET}\n`, { mode: 0o600 });
    // The TLS of strongSwan 5.9.8 does not know it.
    const older = { 'extended-master-secret': 'wanted' };
    const client = { name: 'ha1', from: ['127.0.0.0/8'], 'secret-file': secret, 'home-agent': true };
    const { aaa, place } = await this.#startAaa({
      // A probe gives the home agent the connection of nodes that it does not know yet.
      hooks: { probe: hookPath('ha-linux.sh') },
      radius: { listen: ['127.0.0.1'], clients: [{ ...client, ...older, dae: { address: '127.0.0.1' } }] },
    });
    this.#servers = { aaa, paas: new Map([['a', await this.#startPaa('a', place)]]) };
    if (this.abilities.radvd) await network.advertise();
  }

  /** Starts the AAA server, the PAAs with their enforcement points, and the router advertisements. */
  async startServers(): Promise<void> {
    const { aaa, place } = await this.#startAaa();
    const paas = new Map<AccessLink, DaemonProcess>();
    for (const at of ['a', 'd'] as const) {
      if (this.network.routers[at]) paas.set(at, await this.#startPaa(at, place));
    }
    this.#servers = { aaa, paas };
    if (this.abilities.radvd) await this.network.advertise();
    await this.cleanUp.add(await Echo.start(this.network.CN));
  }

  async #startAaa(more: Tree = {}): Promise<{ readonly aaa: DaemonProcess; readonly place: Place }> {
    const { daemon: aaa, place } = await this.lab.startAaa('aaa', {
      diameter: { listen: [HOME], port: DIAMETER_PORT },
      ...more,
    });
    await this.lab.administer('aaa', 'changeHomeAgent', { name: 'ha1', change: { ike: ['ikev2'] } });
    return { aaa, place };
  }

  async #startPaa(at: AccessLink, aaa: Place): Promise<DaemonProcess> {
    const [name, host] = at === 'a' ? ['paa', 'paa.access.example'] : ['paa2', 'paa2.access.example'];
    const listen = [routerAddress(at), `${routerLinkLocal(at)}%${ACCESS}`];
    const { daemon } = await this.lab.startPaa(aaa, name, {
      pana: { listen, port: PANA_PORT, interface: ACCESS, 'pre-authentication': { allow: true } },
      diameter: { host },
      hooks: { ep: hookPath(this.abilities.enforcement.hook), 'ep-batch': true },
    });
    return daemon;
  }

  get aaa(): DaemonProcess {
    return this.#started.aaa;
  }

  paa(at: AccessLink): DaemonProcess {
    const paa = this.#started.paas.get(at);
    if (!paa) throw new Error(`there is no PAA on link ${at}`);
    return paa;
  }

  get #started() {
    if (!this.#servers) throw new Error('the servers have not been started');
    return this.#servers;
  }

  /** Starts pana-pac on a node that is connected to an access link. */
  async startPac(n: number, discovery: Discovery): Promise<DaemonProcess> {
    await this.lab.addSubscriber(nai(n), `mn${n}`);
    return this.lab.start(`mn${n}`, 'pac', await this.configurePac(n, discovery));
  }

  /** Writes the configuration of a node. Resolves with the path of the file. */
  configurePac(n: number, discovery: Discovery): Promise<string> {
    const links: AccessLink[] = this.network.routers.d ? ['a', 'd'] : ['a'];
    return this.lab.configurePac(`mn${n}`, {
      pana: {
        paa: discovery === 'global' ? links.map(routerAddress) : [],
        port: PANA_PORT,
        interface: NODE_INTERFACE,
      },
      mobility: { ike: ['ikev2'], 'home-agent': 'home' },
    });
  }

  /** The established IKE_SAs of a node on the home agent. */
  async ikeSas(n: number) {
    const all = (await this.charons?.ha.established()) ?? [];
    return all.filter(({ remoteId }) => remoteId === nai(n));
  }
}

export function nai(n: number): string {
  return `mn${n}@${REALM}`;
}

/** The host of a daemon or node. */
function hostOf(network: Network, name: string): NetworkHost {
  if (name === 'aaa') return network.HA;
  if (name === 'paa') return network.router('a');
  if (name === 'paa2') return network.router('d');
  return network.node(Number(name.slice('mn'.length)));
}

/** `plugins`: settings of the home agent's charon. */
async function startCharons(network: Network, abilities: Abilities, plugins: string): Promise<Installation['charons']> {
  const { charon } = abilities;
  if (charon === undefined) return undefined;
  const start = (host: NetworkHost) => HostCharon.start(host, charon, abilities, host === network.HA ? plugins : '');
  const [ha, ...nodes] = await Promise.all([network.HA, ...network.nodes].map(start));
  return ha && { ha, nodes: new Map(nodes.map((each, index) => [index + 1, each])) };
}

/** Without Mobile IPv6: charon tunnels the home address. */
function eapHookSettings(name: string, abilities: Abilities): string {
  const settings = hookSettings(name, { ...abilities, noMobility: 'charon tunnels the home address' });
  if (name === 'aaa') return `${settings}HOME_AGENT_CERTIFICATE=ha.pem\n`;
  // DHCPv6 gives an address only.
  return name.startsWith('paa') ? settings : `${settings}HOME_AGENT_ID=${HOME_AGENT_HOST}\n`;
}

function hookSettings(name: string, { charon, esp, noMobility, enforcement }: Abilities): string {
  if (name.startsWith('paa')) return enforcement.settings;
  const lines = ['IKE=strongswan', `MOBILITY=${noMobility === undefined ? 'umip' : 'none'}`];
  lines.push(`INTERFACE=${name === 'aaa' ? 'home0' : NODE_INTERFACE}`);
  lines.push(charon === undefined ? 'DRY_RUN=yes' : `CHARON=${charon}`);
  if (esp === undefined) lines.push('CHILD_SA=no');
  // A mip6d that was built from source may be in a folder that is not in the PATH of hooks.
  const mip6d = noMobility === undefined ? programPath('mip6d') : undefined;
  if (mip6d !== undefined) lines.push(`PATH="$PATH:${dirname(mip6d)}"`);
  return `${lines.join('\n')}\n`;
}

/** The first line of a log with this message since a time, already logged or still to come. */
export function lineSince(
  daemon: DaemonProcess,
  message: LogEvent,
  since: number,
  test: (line: LogLine) => boolean = () => true,
): Promise<LogLine> {
  return daemon.line(message, (line) => line.at >= since && test(line), STEP_LIMIT);
}
