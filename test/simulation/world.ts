import { plainSubscriber } from '../../src/protocol/home/records.js';
import type { SessionKey } from '../../src/protocol/pana/session/session.js';
import { Dice, Life, MachineHost, WorldClock } from './clock.js';
import { Connections } from './connections.js';
import { type Credentials, credentials, naiOf, writeFiles } from './credentials.js';
import { Effects } from './effects.js';
import { type Arrival, PanaLinks } from './links.js';
import type { Ground, LogLine } from './machine.js';
import { NodeMachine, PaaMachine, ServerMachine, type WorldOptions } from './machines.js';
import { type ProgramRun, Programs } from './programs.js';
import type { Disagreement } from './repeats.js';
import type { Scene } from './scene.js';
import { makeScratch, removeScratch } from './scratch.js';
import { type Committed, SharedStore } from './shared-store.js';
import { StandInMaterial } from './stand-in.js';
import { Trace } from './trace.js';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);

/** An observer of a world. */
export interface Watcher {
  /** Called after each event, when the world is quiet. */
  step(): void;
  committed(commit: Committed): void;
  /** Called when a Diameter message leaves a process for another. */
  diameter(from: string, to: string, octets: Uint8Array): void;
  logged(line: LogLine): void;
  /** Called with a copy of each new PANA_AUTH_KEY of a daemon. The watcher owns the copy. */
  key(machine: string, key: SessionKey): void;
  /** Called when an operator's program is about to take effect. */
  program(run: ProgramRun): void;
  /** Called when a Diameter request and its copy got different answers. */
  differed(disagreement: Disagreement): void;
  /** Called when the process of a daemon was killed. */
  killed(machine: string): void;
  /** Called before a server sends an operation to the store. */
  asking(operation: string, given: unknown): void;
  /** Called when a daemon sends a datagram. */
  sending(machine: string, octets: Uint8Array): void;
  /** Called before a datagram is received. The returned function is called afterwards. */
  receiving(datagram: Arrival): (() => void) | undefined;
}

/**
 * Nodes, PAAs, AAA servers, their store and their hooks, in one process and in virtual time.
 *
 * Not in it: Diameter over TLS, because Node's TLS needs real sockets or streams whose events come in real time; PostgreSQL, which
 * is another process; and home agents of visited networks (`local-home-agent` of a PAA), which test/protocol/nas and test/paa test.
 */
export class World {
  readonly seed: number;
  readonly options: WorldOptions;
  readonly clock: WorldClock;
  readonly trace: Trace;
  readonly effects = new Effects();
  readonly programs: Programs;
  readonly links: PanaLinks;
  readonly connections: Connections;
  readonly folder: string;
  readonly ground: Ground;
  readonly storeHost: MachineHost;
  /** PANA sessions that strangers have begun, by Session Identifier. */
  readonly begun = new Set<number>();
  readonly #scene: Scene;
  /** Certificates of the stand-in for TLS; undefined in a world with TLS. */
  readonly material: StandInMaterial | undefined;
  readonly #watchers: Watcher[] = [];
  /** The number of effects that a process may still have before it is killed. */
  readonly #doomed = new Map<Life, { left: number; readonly end: () => void }>();
  nodes: readonly NodeMachine[] = [];
  paas: readonly PaaMachine[] = [];
  servers: readonly ServerMachine[] = [];
  /** Nodes, PAAs and servers. */
  machines: readonly (NodeMachine | PaaMachine | ServerMachine)[] = [];
  #store: SharedStore | undefined;

  constructor(seed: number, options: WorldOptions, fidelity: 'tls' | 'plain') {
    this.seed = seed;
    this.options = options;
    this.material = fidelity === 'plain' ? new StandInMaterial(options.nodes) : undefined;
    this.clock = new WorldClock(fidelity);
    this.trace = new Trace(this.clock);
    const scene: Scene = {
      clock: this.clock,
      dice: new Dice(seed),
      trace: this.trace,
      leaves: (life) => this.#leaves(life),
    };
    this.#scene = scene;
    this.folder = makeScratch();
    this.programs = new Programs(scene, (run) => {
      for (const watcher of this.#watchers) watcher.program(run);
      return this.effects.apply(run);
    });
    this.links = new PanaLinks(scene, {
      sending: (machine, octets) => {
        for (const watcher of this.#watchers) watcher.sending(machine, octets);
      },
      receiving: (arrival) => this.#watchers.flatMap((watcher) => watcher.receiving(arrival) ?? []),
    });
    this.connections = new Connections(
      scene,
      (from, to, octets) => {
        for (const watcher of this.#watchers) watcher.diameter(from.name, to.name, octets);
      },
      (disagreement) => {
        for (const watcher of this.#watchers) watcher.differed(disagreement);
      },
    );
    this.storeHost = new MachineHost(this.clock, scene.dice);
    this.ground = {
      scene,
      links: this.links,
      connections: this.connections,
      programs: this.programs,
      folder: this.folder,
      onLog: (line) => {
        for (const watcher of this.#watchers) watcher.logged(line);
      },
      onKey: (machine, key) => {
        for (const watcher of this.#watchers) watcher.key(machine, key);
      },
      onKill: (machine) => {
        for (const watcher of this.#watchers) watcher.killed(machine);
      },
      versions: new Map(),
    };
  }

  watch(watcher: Watcher): void {
    this.#watchers.push(watcher);
  }

  /** Opens the store with its subscribers and home agents, and starts all daemons. */
  async start(openStore: typeof SharedStore.open = SharedStore.open): Promise<void> {
    const { nodes, paas, servers, homeAgents } = this.options;
    const material = this.material ?? (await this.#writeCredentials());
    const onCommit = (commit: Committed) => {
      for (const watcher of this.#watchers) watcher.committed(commit);
    };
    const store = await openStore(this.#scene, this.storeHost.of(new Life('store')), onCommit);
    store.onAsk = (operation, given) => {
      for (const watcher of this.#watchers) watcher.asking(operation, given);
    };
    this.#store = store;
    for (const agent of numbers(homeAgents)) {
      const [address, prefix] = [`2001:db8:${agent}::1`, `2001:db8:${agent}::/64`];
      const more = { capacity: 1_000, weight: 1, target: undefined, ike: ['ikev2' as const] };
      const given = { agent: { name: `ha${agent}`, address, host: `ha${agent}.home.example`, prefix, ...more } };
      await this.complete(store.run('addHomeAgent', given));
    }
    // The pool has an address for each of most nodes.
    const servers4 = { service: 'mip4' as const, address: '192.0.2.1', pool: '192.0.2.0/28' };
    const rendezvous = { service: 'hip' as const, address: '192.0.2.200', hit: '2001:20::5' };
    for (const server of [servers4, rendezvous])
      await this.complete(
        store.run('addServiceServer', { server: { ...server, name: server.service, capacity: 100 } }),
      );
    for (const node of numbers(nodes)) {
      // A third of those that ask for both services may have one of them only.
      const services = node % 3 === 0 ? 'mip4' : 'mip4,hip';
      await this.complete(store.run('addSubscriber', { subscriber: { ...plainSubscriber(naiOf(node)), services } }));
    }
    this.servers = numbers(servers).map((n) => new ServerMachine(n, this.options, material, store, this.ground));
    this.paas = numbers(paas).map((n) => new PaaMachine(n, this.options, this.ground));
    this.nodes = numbers(nodes).map((n) => new NodeMachine(n, this.options, material, this.ground));
    this.machines = [...this.servers, ...this.paas, ...this.nodes];
    for (const machine of this.machines) await this.complete(machine.start());
  }

  async #writeCredentials(): Promise<Credentials> {
    const made = await credentials();
    await made.prepare(this.options.nodes);
    writeFiles(this.folder, {
      'ca.pem': made.ca.certificatePem,
      'server.pem': made.server.certificatePem,
      'server-key.pem': made.server.keyPem,
      'client-key.pem': made.clientKey,
      'crl.pem': await made.revoke([], 1),
    });
    return made;
  }

  get store(): SharedStore {
    if (!this.#store) throw new Error('the world has no store yet');
    return this.#store;
  }

  /** The access network of a PAA. */
  linkOf(name: string): string | undefined {
    return this.paas.find((paa) => paa.name === name)?.link;
  }

  machine(name: string): NodeMachine | PaaMachine | ServerMachine | undefined {
    return this.machines.find((one) => one.name === name);
  }

  /** Advances time by this much, or to the event after which `isOver` returns true. */
  pass(milliseconds: number, isOver?: () => boolean): Promise<void> {
    return this.clock.run(this.clock.now + milliseconds, () => this.#step(), isOver);
  }

  /** Resolves with a promise that needs time to advance. */
  complete<T>(promise: Promise<T>): Promise<T> {
    return this.clock.complete(promise, () => this.#step());
  }

  /** Kills the process of a machine after this number of further effects, before the next one. */
  doom(machine: NodeMachine | PaaMachine | ServerMachine, effects: number, isSilent: boolean): void {
    const { life } = machine;
    if (life?.alive) this.#doomed.set(life, { left: effects, end: () => machine.kill(isSilent) });
  }

  /** Cancels `doom` if the process still runs. */
  spare({ life }: NodeMachine | PaaMachine | ServerMachine): void {
    if (life) this.#doomed.delete(life);
  }

  /** Ends all machines at once. */
  destroy(): void {
    for (const { life } of this.machines) life?.end();
    void this.#store?.close();
    removeScratch(this.folder);
  }

  #step(): void {
    for (const watcher of this.#watchers) watcher.step();
  }

  #leaves(life: Life): boolean {
    this.clock.activity += 1;
    life.effects += 1;
    const doom = this.#doomed.get(life);
    if (doom) {
      if (doom.left === 0) {
        this.#doomed.delete(life);
        doom.end();
      } else doom.left -= 1;
    }
    return life.alive;
  }
}
