import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import type { Lab, Tree } from '../../dist/lab/lab.js';
import type { Session } from '../../src/protocol/home/records.js';
import { freePorts } from '../system/radius/free-radius.js';

const SECRET = 'a secret of more than sixteen octets';

export interface RadiusNetwork {
  readonly lab: Lab;
  readonly aaa: DaemonProcess;
  readonly paa: DaemonProcess;
  readonly sessions: () => Promise<readonly Session[]>;
}

export interface RadiusChoice {
  /** Name of the AAA server in the lab. */
  readonly name?: string;
  /** Port of the PAA for Disconnect-Requests and CoA-Requests. */
  readonly dae?: number;
  readonly family?: 'ipv4' | 'ipv6';
  /** The secret of the PAA, if it is not that of the AAA server. */
  readonly secret?: string;
  readonly accounting?: boolean;
  /** Stands between the PAA and this port of the AAA server; returns the port to use instead. */
  readonly between?: (address: string, port: number) => Promise<number>;
  readonly radius?: Tree;
  readonly paa?: Tree;
  readonly aaa?: Tree;
}

/** Writes the configurations of an AAA server and a PAA that speak RADIUS, and starts the server. */
export async function radiusServer(
  lab: Lab,
  choice: RadiusChoice = {},
): Promise<{ readonly aaa: DaemonProcess; readonly paa: Tree }> {
  const { address } = lab;
  const [port = 0, accounting = 0, free = 0] = await freePorts(address, 3);
  const { name = 'aaa', dae = free } = choice;
  await writeFile(lab.path('aaa.secret'), `${SECRET}\n`, { mode: 0o600 });
  await writeFile(lab.path('paa.secret'), `${choice.secret ?? SECRET}\n`, { mode: 0o600 });
  const client = { name: 'paa1', from: [address], 'secret-file': lab.path('aaa.secret'), dae: { address, port: dae } };
  const radius = { listen: [address], port, 'accounting-port': accounting, clients: [client] };
  const { daemon: aaa } = await lab.startAaa(name, { ...choice.aaa, radius });
  const { between = async (_: string, at: number) => at } = choice;
  const server = {
    address,
    port: await between(address, port),
    ...(choice.accounting === false ? {} : { 'accounting-port': await between(address, accounting) }),
    'secret-file': lab.path('paa.secret'),
  };
  const section = { servers: [server], dae: { listen: [address], port: dae }, watchdog: '6s', ...choice.radius };
  return { aaa, paa: { aaa: 'radius', nas: { identifier: 'paa1.access.example' }, radius: section, ...choice.paa } };
}

/** Starts an AAA server and a PAA that speak RADIUS. */
export async function radiusNetwork(lab: Lab, choice: RadiusChoice = {}): Promise<RadiusNetwork> {
  const { aaa, paa: tree } = await radiusServer(lab, choice);
  // The place of Diameter is not used.
  const { daemon: paa } = await lab.startPaa({ address: lab.address, port: 1 }, 'paa', tree);
  return { lab, aaa, paa, sessions: () => sessionsOf(lab) };
}

export async function sessionsOf(lab: Lab, server = 'aaa'): Promise<readonly Session[]> {
  return ((await lab.administer(server, 'listSessions', {})) as { items: readonly Session[] }).items;
}

/** Relays datagrams between a client and a UDP port, and drops those for which `isLost` says so. */
export class LossyLink {
  readonly #sockets: Socket[] = [];
  readonly #isLost: (octets: Buffer) => boolean;
  lost = 0;
  relayed = 0;

  constructor(isLost: (octets: Buffer) => boolean) {
    this.#isLost = isLost;
  }

  /** Returns the port that stands for this one. */
  async to(address: string, port: number): Promise<number> {
    const front = await this.#open(address);
    const backs = new Map<number, Promise<Socket>>();
    front.on('message', (octets, from) => {
      if (this.#drops(octets)) return;
      const back = backs.get(from.port) ?? this.#back(address, front, from.port);
      backs.set(from.port, back);
      void back.then((socket) => socket.send(octets, port, address));
    });
    return front.address().port;
  }

  async #back(address: string, front: Socket, client: number): Promise<Socket> {
    const socket = await this.#open(address);
    socket.on('message', (octets) => {
      if (!this.#drops(octets)) front.send(octets, client, address);
    });
    return socket;
  }

  #drops(octets: Buffer): boolean {
    const isLost = this.#isLost(octets);
    if (isLost) this.lost += 1;
    else this.relayed += 1;
    return isLost;
  }

  async #open(address: string): Promise<Socket> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    this.#sockets.push(socket);
    socket.bind({ address, port: 0 });
    await once(socket, 'listening');
    return socket;
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.splice(0).map((socket) => once(socket.close(), 'close')));
  }
}
