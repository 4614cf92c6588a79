import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { Lab, type LabOptions, type Place } from '../../dist/lab/lab.js';

const run = promisify(execFile);

/** Both access routers have these addresses, so that the links differ in nothing that the node can see. */
export const ROUTER = '2001:db8:a::1';
export const ROUTER_LINK_LOCAL = 'fe80::1';
export const NODE = '2001:db8:a::11';
const PREFIX = '2001:db8:a::/64';

const AAA = '2001:db8:d::1';
const OTHER_ROUTER = '2001:db8:d::2';
const PORT = 716;

export type Link = 'a' | 'b';

let made = 0;

/**
 * A mobile node whose interface `mn0` is connected to one of two links, each with an access router: the node's end is a
 * port of a switch that is attached to one of two bridges. The AAA server is on the router of link a.
 */
export class TwoLinks {
  readonly node: string;
  readonly #switch: string;
  readonly #routers: Readonly<Record<Link, string>>;
  #paaAt: Link = 'a';

  private constructor() {
    made += 1;
    const name = (kind: string) => `p${kind}${process.pid}-${made}`;
    this.node = name('tn');
    this.#switch = name('ts');
    this.#routers = { a: name('ta'), b: name('tb') };
  }

  static async make(): Promise<TwoLinks> {
    const links = new TwoLinks();
    onTestFinished(() => links.#remove());
    for (const space of links.#spaces) {
      await run('ip', ['netns', 'add', space]);
      // Addresses can be used at once, because no other host exists.
      const settings = ['all', 'default'].map((which) => `echo 0 > /proc/sys/net/ipv6/conf/${which}/accept_dad`);
      await links.exec(space, 'sh', '-c', settings.join('; '));
      await links.ip(space, 'link', 'set', 'lo', 'up');
    }
    await links.#connect();
    return links;
  }

  get #spaces(): readonly string[] {
    return [this.node, this.#switch, this.#routers.a, this.#routers.b];
  }

  async #connect(): Promise<void> {
    const between = (one: string, at: string, other: string, where: string) =>
      run('ip', ['link', 'add', one, 'netns', at, 'type', 'veth', 'peer', 'name', other, 'netns', where]);
    await between('mn0', this.node, 'port', this.#switch);
    await between('core', this.#routers.a, 'core', this.#routers.b);
    await this.ip(this.#routers.a, 'address', 'add', `${AAA}/64`, 'dev', 'core', 'nodad');
    await this.ip(this.#routers.b, 'address', 'add', `${OTHER_ROUTER}/64`, 'dev', 'core', 'nodad');
    for (const link of ['a', 'b'] as const) {
      const router = this.#routers[link];
      await between('ar0', router, `to-${link}`, this.#switch);
      await this.ip(this.#switch, 'link', 'add', `br-${link}`, 'type', 'bridge');
      await this.ip(this.#switch, 'link', 'set', `to-${link}`, 'master', `br-${link}`);
      await this.ip(this.#switch, 'link', 'set', `to-${link}`, 'up');
      await this.ip(this.#switch, 'link', 'set', `br-${link}`, 'up');
      await this.ip(router, 'link', 'set', 'ar0', 'addrgenmode', 'none');
      await this.ip(router, 'address', 'add', `${ROUTER}/64`, 'dev', 'ar0', 'nodad');
      await this.ip(router, 'address', 'add', `${ROUTER_LINK_LOCAL}/64`, 'dev', 'ar0', 'nodad');
      await this.ip(router, 'link', 'set', 'ar0', 'up');
      await this.ip(router, 'link', 'set', 'core', 'up');
    }
    await this.ip(this.node, 'address', 'add', `${NODE}/64`, 'dev', 'mn0', 'nodad');
    await this.ip(this.node, 'link', 'set', 'mn0', 'up');
    await this.plug('a');
  }

  /** Connects the node to a link. */
  async plug(link: Link): Promise<void> {
    await this.ip(this.#switch, 'link', 'set', 'port', 'master', `br-${link}`);
    await this.ip(this.#switch, 'link', 'set', 'port', 'up');
  }

  /** Disconnects the node: its interface loses the carrier. */
  async unplug(): Promise<void> {
    await this.ip(this.#switch, 'link', 'set', 'port', 'down');
  }

  /** Connects the node to another link so fast that its kernel often reports no loss of the carrier. */
  async swap(link: Link): Promise<void> {
    const lines = ['link set port down', `link set port master br-${link}`, 'link set port up'];
    await this.exec(this.#switch, 'sh', '-c', `printf '${lines.join('\\n')}\\n' | ip -batch -`);
  }

  /** Starts router advertisements on a link. They end with the test. */
  async advertise(link: Link, lab: Lab): Promise<void> {
    const [config, pid] = [lab.path(`radvd-${link}.conf`), lab.path(`radvd-${link}.pid`)];
    // As RFC 6275 7.5. radvd accepts these intervals if a prefix has the flag R.
    const often = 'MinRtrAdvInterval 0.03; MaxRtrAdvInterval 0.07; MinDelayBetweenRAs 0.03; AdvDefaultLifetime 1800;';
    await writeFile(config, `interface ar0 { AdvSendAdvert on; ${often} prefix ${PREFIX} { AdvRouterAddr on; }; };\n`);
    const router = this.#routers[link];
    await this.exec(router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    await this.exec(router, 'radvd', '--config', config, '--pidfile', pid, '--logmethod', 'none');
    onTestFinished(async () => {
      await this.exec(router, 'sh', '-c', `kill $(cat ${pid})`).catch(() => undefined);
    });
  }

  /** The namespace of the access router of a link. */
  router(link: Link): string {
    return this.#routers[link];
  }

  /** Runs an `ip` command in a namespace. */
  async ip(namespace: string, ...parameters: readonly string[]): Promise<void> {
    await run('ip', ['-n', namespace, ...parameters]);
  }

  /** Runs a command in a namespace. */
  async exec(namespace: string, ...command: readonly string[]): Promise<string> {
    return (await run('ip', ['netns', 'exec', namespace, ...command])).stdout;
  }

  /**
   * A lab with the PaC on the node, the AAA server on the router of link a, and a PAA with the same addresses on each.
   * `node`: a program in which the PaC runs. `more`: options of the PAA of a link.
   */
  async lab(
    options: LabOptions = {},
    node: readonly string[] = [],
    more: (lab: Lab, link: Link) => object = () => ({}),
  ) {
    const within = {
      pac: () => [this.node, ...node],
      aaa: () => [this.#routers.a],
      paa: () => [this.#routers[this.#paaAt]],
      pre: () => [this.#routers.a],
    };
    const lab = await Lab.make({
      hooks: false,
      ...options,
      launcher: (daemon) => ['ip', 'netns', 'exec', ...within[daemon]()],
      aaa: { ...options.aaa, diameter: { listen: [AAA] } },
      paa: { pana: { listen: [ROUTER, `${ROUTER_LINK_LOCAL}%ar0`], port: PORT } },
    });
    onTestFinished(async () => {
      await lab.close();
    });
    const { place } = await lab.startAaa();
    const first = await this.#startPaa('a', lab, place, more(lab, 'a'));
    const second = await this.#startPaa('b', lab, place, more(lab, 'b'));
    await lab.addSubscriber('mn1@home.example', 'mn1');
    return { lab, paas: { a: first, b: second } };
  }

  async #startPaa(link: Link, lab: Lab, aaa: Place, more: object) {
    this.#paaAt = link;
    const [name, host] = link === 'a' ? ['paa', 'paa.access.example'] : ['paa2', 'paa2.access.example'];
    return (await lab.startPaa(aaa, name, { diameter: { host }, ...more })).daemon;
  }

  async #remove(): Promise<void> {
    for (const name of this.#spaces) await run('ip', ['netns', 'delete', name]).catch(() => undefined);
  }
}
