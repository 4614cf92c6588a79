import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { eventually, within } from '../eventually.js';
import { type AccessNetwork, NODE, ROUTER } from './access-network.js';

const run = promisify(execFile);

export const NEIGHBOUR = '2001:db8:a::22';
export const NODE_MAC = '02:00:00:00:00:11';
const NEIGHBOUR_MAC = '02:00:00:00:00:22';
const ROUTER_MAC = '02:00:00:00:00:01';
/** The link-local address that the router derives from its MAC address. */
export const ROUTER_LINK_LOCAL = 'fe80::ff:fe00:1';
/** The address of a host behind the router. */
export const CORRESPONDENT = '2001:db8:c::2';
const ROUTER_OUTSIDE = '2001:db8:c::1';

export const ROUTER4 = '192.0.2.1';
export const NODE4 = '192.0.2.11';
export const NEIGHBOUR4 = '192.0.2.22';
export const CORRESPONDENT4 = '198.51.100.2';
const ROUTER4_OUTSIDE = '198.51.100.1';

/** Echoes on any address of both families and prints "open" when it listens. */
const ECHO = `
const { createSocket } = require('node:dgram');
let open = 0;
for (const type of ['udp6', 'udp4']) {
  const socket = createSocket({ type, ipv6Only: type === 'udp6' });
  socket.on('message', (octets, from) => socket.send(octets, from.port, from.address));
  socket.bind(7, () => { open += 1; if (open === 2) console.log('open'); });
}`;

/** Sends from an address until it is answered; prints its port, then "answered". */
const ASK = `
const { createSocket } = require('node:dgram');
const [from, to] = process.argv.slice(1);
const socket = createSocket(from.includes(':') ? 'udp6' : 'udp4');
socket.on('message', () => { console.log('answered'); process.exit(0); });
socket.bind(0, from, () => {
  console.log(socket.address().port);
  const send = () => socket.send('hello', 7, to, () => undefined);
  send();
  setInterval(send, 100);
});`;

/** Records the ports of requests and answers, before and after the enforcement point. */
const WATCH = `
table inet watch {
  set asked { type inet_service; size 1024; flags dynamic; }
  set asked_on { type inet_service; size 1024; flags dynamic; }
  set answered { type inet_service; size 1024; flags dynamic; }
  set answered_on { type inet_service; size 1024; flags dynamic; }
  chain before {
    type filter hook forward priority -10; policy accept;
    udp dport 7 update @asked { udp sport }
    udp sport 7 update @answered { udp dport }
  }
  chain after {
    type filter hook forward priority 10; policy accept;
    udp dport 7 update @asked_on { udp sport }
    udp sport 7 update @answered_on { udp dport }
  }
}`;

interface Listed {
  readonly set?: { readonly name: string; readonly elem?: readonly unknown[] };
}

/**
 * The node and a neighbour on the bridge of the access router, and a correspondent behind it. All echo what arrives at
 * the echo port.
 */
export class ForwardingNetwork {
  readonly access: AccessNetwork;
  readonly neighbour: string;
  readonly correspondent: string;
  readonly #children: ChildProcess[] = [];

  constructor(access: AccessNetwork) {
    this.access = access;
    this.neighbour = `${access.node}n`;
    this.correspondent = `${access.node}c`;
  }

  /** Builds the network, which is removed when the test finishes. */
  async build(): Promise<void> {
    onTestFinished(() => this.#remove());
    const { access, neighbour, correspondent } = this;
    const { node, router } = access;
    const ip = (namespace: string, text: string) => access.ip(namespace, ...text.split(' '));
    for (const name of [neighbour, correspondent]) {
      await run('ip', ['netns', 'add', name]);
      for (const which of ['all', 'default']) {
        await access.exec(name, 'sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${which}/accept_dad`);
      }
      await ip(name, 'link set lo up');
    }
    await ip(router, `link add br0 address ${ROUTER_MAC} type bridge`);
    await ip(router, 'address flush dev ar0 scope global');
    await ip(router, `link add nb1 type veth peer name nb0 netns ${neighbour}`);
    await ip(router, `link add cn1 type veth peer name cn0 netns ${correspondent}`);
    for (const port of ['ar0', 'nb1']) await ip(router, `link set ${port} master br0 up`);
    await ip(router, 'link set br0 up');
    await ip(router, 'link set cn1 up');
    for (const address of [`${ROUTER}/64`, `${ROUTER4}/24`]) await ip(router, `address add ${address} dev br0`);
    await ip(router, `address add ${ROUTER_OUTSIDE}/64 dev cn1 nodad`);
    await ip(router, `address add ${ROUTER4_OUTSIDE}/24 dev cn1`);
    await access.exec(router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    await access.exec(router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');

    // A change of the MAC address removes the node's IPv6 addresses.
    await ip(node, 'link set mn0 down');
    await ip(node, `link set mn0 address ${NODE_MAC} up`);
    await ip(node, `address replace ${NODE}/64 dev mn0 nodad`);
    await ip(node, `address add ${NODE4}/24 dev mn0`);
    await this.#defaultRoutes(node, ROUTER, ROUTER4);
    await this.setNeighbour(NEIGHBOUR_MAC);
    await ip(correspondent, 'link set cn0 up');
    await ip(correspondent, `address add ${CORRESPONDENT}/64 dev cn0 nodad`);
    await ip(correspondent, `address add ${CORRESPONDENT4}/24 dev cn0`);
    await this.#defaultRoutes(correspondent, ROUTER_OUTSIDE, ROUTER4_OUTSIDE);
    await access.exec(router, 'nft', WATCH);
    for (const name of [node, router, neighbour, correspondent]) await this.#answer(name);
  }

  async #defaultRoutes(namespace: string, ...gateways: readonly string[]): Promise<void> {
    for (const gateway of gateways) await this.access.ip(namespace, 'route', 'replace', 'default', 'via', gateway);
  }

  /** Sets the neighbour's MAC address and additional addresses. The router is a permanent neighbour entry. */
  async setNeighbour(mac: string, ...more: readonly string[]): Promise<void> {
    const { access, neighbour } = this;
    const ip = (text: string) => access.ip(neighbour, ...text.split(' '));
    await ip('address flush dev nb0');
    await ip('link set nb0 down');
    await ip(`link set nb0 address ${mac} up`);
    await ip(`address add ${NEIGHBOUR}/64 dev nb0 nodad`);
    await ip(`address add ${NEIGHBOUR4}/24 dev nb0`);
    for (const address of more) {
      await ip(
        address.includes(':') ? `address add ${address}/128 dev nb0 nodad` : `address add ${address}/32 dev nb0`,
      );
    }
    for (const router of [ROUTER, ROUTER4]) {
      await ip(`neighbour replace ${router} lladdr ${ROUTER_MAC} dev nb0 nud permanent`);
    }
    await this.#defaultRoutes(neighbour, ROUTER, ROUTER4);
  }

  /** Restores the neighbour's own addresses. */
  restoreNeighbour(): Promise<void> {
    return this.setNeighbour(NEIGHBOUR_MAC);
  }

  /** Gives the neighbour the addresses of another node. */
  takeAddress(...addresses: readonly string[]): Promise<void> {
    return this.setNeighbour(NEIGHBOUR_MAC, ...addresses);
  }

  async #answer(namespace: string): Promise<void> {
    const child = this.#node(namespace, ECHO);
    if (child.stdout)
      await within(once(createInterface({ input: child.stdout }), 'line'), 'the program prints its first line');
  }

  #node(namespace: string, script: string, ...parameters: readonly string[]): ChildProcess {
    const command = ['netns', 'exec', namespace, process.execPath, '-e', script, ...parameters];
    const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  /** Sends a packet and resolves to whether it was answered, or the router dropped request or answer. */
  async fate(namespace: string, from: string, to: string): Promise<'answered' | 'dropped'> {
    const child = this.#node(namespace, ASK, from, to);
    const said: string[] = [];
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => said.push(line));
    try {
      return await eventually(
        async () => {
          const [port, answer] = said;
          if (answer !== undefined) return 'answered';
          if (port !== undefined && (await this.#isDropped(Number(port)))) return 'dropped';
          throw new Error(`no answer to ${from} from ${to}, and no packet dropped`);
        },
        { interval: 0 },
      );
    } finally {
      await ended(child);
    }
  }

  /** The ports whose requests passed the enforcement point, answered or not. */
  async passed(): Promise<readonly unknown[]> {
    return (await this.#sets('watch'))['asked_on'] ?? [];
  }

  async #isDropped(port: number): Promise<boolean> {
    const {
      asked = [],
      asked_on: askedOn = [],
      answered = [],
      answered_on: answeredOn = [],
    } = await this.#sets('watch');
    const lost = (before: readonly unknown[], after: readonly unknown[]) =>
      before.includes(port) && !after.includes(port);
    return lost(asked, askedOn) || lost(answered, answeredOn);
  }

  /** The non-empty sets of a table; none if the table does not exist. */
  async #sets(table: string): Promise<Record<string, readonly unknown[]>> {
    const command = `nft -j list table inet ${table} 2>/dev/null || echo "{}"`;
    const text = await this.access.exec(this.access.router, 'sh', '-c', command);
    const { nftables = [] } = JSON.parse(text) as { readonly nftables?: readonly Listed[] };
    return Object.fromEntries(nftables.flatMap(({ set }) => (set?.elem ? [[set.name, set.elem]] : [])));
  }

  /** The non-empty sets of clients. */
  async elements(): Promise<Record<string, readonly unknown[]>> {
    const { access: _, ...sets } = await this.#sets('pana_ep');
    return sets;
  }

  async #remove(): Promise<void> {
    for (const child of this.#children) await ended(child);
    for (const name of [this.neighbour, this.correspondent]) {
      await run('ip', ['netns', 'delete', name]).catch(() => undefined);
    }
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
