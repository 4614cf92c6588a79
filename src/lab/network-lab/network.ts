import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOME_AGENT } from '../lab.js';
import { Patience } from '../patience.js';
import type { CleanUp } from './clean-up.js';
import { link, NetworkHost } from './hosts.js';
import { PACE } from './pace.js';

/** An access link, by the digit of its prefix 2001:db8:…::/64. */
export type AccessLink = 'a' | 'd';

export const HOME = '2001:db8:b::2';
export const CORRESPONDENT = '2001:db8:c::2';

/** The access interface of each router, and its addresses there. */
export const ACCESS = 'ar0';
export const routerAddress = (at: AccessLink) => `2001:db8:${at}::1`;
export const routerLinkLocal = (at: AccessLink) => `fe80::${at}`;

/** The interface of each node. */
export const NODE_INTERFACE = 'mn0';

/** Describes the hosts to the user. */
export function picture(nodes: number, two: boolean): string {
  const node = nodes === 1 ? 'MN1' : `MN1…MN${nodes}`;
  const lines = [
    `   ${node.padEnd(9)} ────────── AR1 ────────────── HA ──────────────── CN`,
    '   pana-pac             pana-paa           pana-aaa            a correspondent',
    '   strongSwan           packet filter      strongSwan',
    '              …:a::/64 a::1   b::1     b::2   c::1     c::2          (2001:db8)',
    '                                        home link 2001:db8:1::/64',
  ];
  if (two) lines.push('              …:d::/64  AR2, pana-paa, packet filter: d::1, and e::1 to the home agent');
  return lines.join('\n');
}

/**
 * As often as RFC 6275, section 7.5, allows; less often in user-mode Linux, where every node spends much time on each. radvd
 * accepts these intervals if a prefix has the flag R. Without the interval option: mip6d would take a router for lost as
 * soon as one advertisement is late.
 */
const radvdConf = (at: AccessLink) => `interface ${ACCESS} {
  AdvSendAdvert on;
  MinRtrAdvInterval ${(30 * PACE) / 1_000};
  MaxRtrAdvInterval ${(70 * PACE) / 1_000};
  MinDelayBetweenRAs 0.03;
  AdvDefaultLifetime 1800;
  prefix ${routerAddress(at)}/64 {
    AdvRouterAddr on;
  };
};
`;

/** The hosts of the lab and the links between them. */
export class Network {
  /** Mobile nodes, from number 1. */
  readonly nodes: readonly NetworkHost[];
  readonly routers: { readonly a: NetworkHost; readonly d: NetworkHost | undefined };
  readonly HA: NetworkHost;
  readonly CN: NetworkHost;
  readonly #folder: string;
  #advertised = false;
  #metric = 1024;
  readonly #at = new Map<number, AccessLink>();

  private constructor(
    folder: string,
    hosts: Pick<Network, 'HA' | 'CN' | 'nodes'> & { readonly AR1: NetworkHost; readonly AR2: NetworkHost | undefined },
  ) {
    this.#folder = folder;
    this.nodes = hosts.nodes;
    this.routers = { a: hosts.AR1, d: hosts.AR2 };
    this.HA = hosts.HA;
    this.CN = hosts.CN;
  }

  /** Creates the hosts. `two`: a second access router. Rejects with the error of `ip`. */
  static async build(folder: string, count: number, two: boolean, cleanUp: CleanUp): Promise<Network> {
    const host = async (name: string) => {
      const made = await NetworkHost.make(name, join(folder, 'hosts'));
      await cleanUp.add({ stop: () => made.remove() });
      return made;
    };
    const [AR1, AR2] = [await host('AR1'), two ? await host('AR2') : undefined];
    const [HA, CN] = [await host('HA'), await host('CN')];
    const nodes: NetworkHost[] = [];
    for (let n = 1; n <= count; n += 1) nodes.push(await host(`MN${n}`));
    const network = new Network(folder, { AR1, AR2, HA, CN, nodes });
    await link([HA, 'ha1', '2001:db8:c::1/64'], [CN, 'cn0', `${CORRESPONDENT}/64`]);
    const home = `address add ${HOME_AGENT}/64 dev home0 nodad`;
    await HA.ip('link add home0 type bridge', 'link set home0 up', home);
    await HA.set('ipv6/conf/all/forwarding', 1);
    await CN.ip('route add default via 2001:db8:c::1');
    await network.#connect(AR1, 'a', ['2001:db8:b::1', 'ha0', HOME]);
    if (AR2) await network.#connect(AR2, 'd', ['2001:db8:e::1', 'ha2', '2001:db8:e::2']);
    return network;
  }

  /** Creates an access link, and connects its router to the home agent. */
  async #connect(router: NetworkHost, at: AccessLink, [inside, device, home]: readonly [string, string, string]) {
    // Without an address of its own, a bridge takes that of a port, and another one when ports come and go.
    await router.ip(`link add ${ACCESS} address 02:00:00:00:00:0${at} type bridge`);
    await router.set(`ipv6/conf/${ACCESS}/addr_gen_mode`, 1);
    // A link has a carrier whether or not a node is there. Without one, radvd pauses.
    await router.ip(
      `link set ${ACCESS} up`,
      'link add stub type veth peer name stub-end',
      ...['stub', 'stub-end'].map((port) => `link set ${port} up`),
      `link set stub master ${ACCESS}`,
      ...[routerAddress(at), routerLinkLocal(at)].map((address) => `address add ${address}/64 dev ${ACCESS} nodad`),
    );
    await link([router, 'ar1', `${inside}/64`], [this.HA, device, `${home}/64`]);
    await router.set('ipv6/conf/all/forwarding', 1);
    await router.ip(`route add default via ${home}`);
    await this.HA.ip(`route add 2001:db8:${at}::/64 via ${inside}`);
  }

  /** The host of a node. */
  node(n: number): NetworkHost {
    const host = this.nodes[n - 1];
    if (!host) throw new Error(`there is no node ${n}`);
    return host;
  }

  /** The access link of a node. */
  at(n: number): AccessLink {
    return this.#at.get(n) ?? 'a';
  }

  /** The router of an access link. */
  router(at: AccessLink): NetworkHost {
    const router = this.routers[at];
    if (!router) throw new Error(`there is no router on link ${at}`);
    return router;
  }

  /** Starts radvd on the access routers. It ends with them. */
  async advertise(): Promise<void> {
    this.#advertised = true;
    for (const at of ['a', 'd'] as const) {
      const router = this.routers[at];
      if (!router) continue;
      const config = join(this.#folder, `radvd-${at}.conf`);
      await writeFile(config, radvdConf(at));
      await router.exec('radvd', '--config', config, '--pidfile', '/run/radvd.pid', '--logmethod', 'none');
    }
  }

  /** Connects a node to an access link. It loses the carrier of its former one. */
  async plug(n: number, at: AccessLink): Promise<void> {
    const port = `port${n}`;
    const [node, router] = [this.node(n), this.router(at)];
    const former = this.#at.get(n);
    if (former === undefined) {
      await node.ip(
        `link add ${NODE_INTERFACE} type veth peer name ${port} netns ${router.namespace}`,
        `link set ${NODE_INTERFACE} up`,
      );
    } else {
      await this.router(former).ip(`link set ${port} netns ${router.namespace}`);
    }
    this.#at.set(n, at);
    await router.ip(`link set ${port} master ${ACCESS}`, `link set ${port} up`);
    if (this.#advertised) return;
    // As from an advertisement. The kernel prefers the route of the former link.
    this.#metric += 1;
    await node.ip(
      `address add 2001:db8:${at}::${10 + n}/64 dev ${NODE_INTERFACE} nodad`,
      `route add default via ${routerLinkLocal(at)} dev ${NODE_INTERFACE} proto ra metric ${this.#metric}`,
    );
  }

  /** The care-of address of a node on its present link, once it has one. Rejects if it gets none. */
  async careOf(n: number): Promise<string> {
    const prefix = `2001:db8:${this.at(n)}:`;
    const patience = new Patience();
    while (!patience.over) {
      const text = await this.node(n).exec('ip', '-6', '-o', 'address', 'show', 'dev', NODE_INTERFACE, '-tentative');
      const address = [...text.matchAll(/ inet6 ([^/ ]+)/g)].map(([, each = '']) => each);
      const found = address.find((each) => each.startsWith(prefix));
      if (found !== undefined) return found;
      await sleep(20);
    }
    throw new Error(`MN${n} has no address on link ${this.at(n)} after ${patience}`);
  }
}
