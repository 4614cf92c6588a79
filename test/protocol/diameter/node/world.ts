import { DeadlineQueue } from '../../../../src/protocol/bytes/deadline-queue.js';
import type {
  NodeConfig,
  NodeEvent,
  NodeInput,
  NodeOutput,
  NodePeer,
} from '../../../../src/protocol/diameter/node/alphabet.js';
import type { ApplicationOutput, Target, Token } from '../../../../src/protocol/diameter/node/application.js';
import { NodeMachine } from '../../../../src/protocol/diameter/node/node.js';
import {
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  FLAG,
} from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, commandOf } from '../../../../src/protocol/diameter/wire/commands.js';
import { deaTo, der, grammarian } from '../messages.js';

/** One-way delay of every connection, in milliseconds. */
export const LATENCY = 10;

export function configOf(host: string, more: Partial<NodeConfig> = {}): NodeConfig {
  return {
    origin: { host, realm: 'example' },
    productName: 'test',
    vendorId: 0,
    ownVendor: 32473,
    originStateId: 1,
    applications: [APPLICATION.EAP],
    addresses: [],
    watchdog: 30_000,
    reconnect: 30_000,
    timeout: 5_000,
    ...more,
  };
}

/** The application's answer to a request; undefined: none, the test answers later. */
export type Serves = (message: DiameterMessage) => DiameterMessage | undefined;

/** Both ends of a connection, each with the number that its node uses. */
interface Wire {
  readonly ends: readonly [End, End];
  isCut: boolean;
}

interface End {
  readonly node: WorldNode;
  readonly connection: number;
}

type Outcome = Extract<ApplicationOutput, { type: 'answered' | 'failed' }>;

/** A node of the world: its machine and its outputs. */
export class WorldNode {
  readonly host: string;
  readonly address: string;
  machine: NodeMachine;
  isUp = true;
  /** Whether the node neither sends nor receives, although its connections are open. */
  hangs = false;
  serves: Serves;
  readonly events: NodeEvent[] = [];
  readonly served: { readonly token: Token; readonly message: DiameterMessage }[] = [];
  readonly outcomes = new Map<Token, Outcome>();
  /** Time of each outcome. */
  readonly settledAt = new Map<Token, number>();
  stoppedAt: number | undefined;
  lastToken = 0;
  peers: readonly NodePeer[];

  constructor(host: string, address: string, machine: NodeMachine, peers: readonly NodePeer[]) {
    this.host = host;
    this.address = address;
    this.machine = machine;
    this.peers = peers;
    this.serves = (message) => deaTo(message, host);
  }

  /** Events of these types. */
  said(...types: NodeEvent['type'][]): NodeEvent[] {
    return this.events.filter(({ type }) => types.includes(type));
  }

  /** Result-Code and Origin-Host of the answer, or the code of the failure; undefined: neither yet. */
  outcome(token: Token): string | undefined {
    const outcome = this.outcomes.get(token);
    if (outcome?.type !== 'answered') return outcome?.code;
    const { avps } = outcome.message;
    return `${grammarian.find(avps, 'Result-Code')} ${grammarian.find(avps, 'Origin-Host')}`;
  }
}

/** Diameter nodes joined in virtual time. Messages arrive in order, after LATENCY, or never. */
export class World {
  now = 0;
  readonly nodes = new Map<string, WorldNode>();
  /** All messages sent: time, sender, receiver and name. */
  readonly ladder: string[] = [];
  readonly #wires = new Map<string, Wire>();
  readonly #actions: { readonly at: number; readonly order: number; readonly action: () => void }[] = [];
  #order = 0;
  #lastConnection = 0;

  add(host: string, peers: readonly NodePeer[], more: Partial<NodeConfig> = {}): WorldNode {
    const address = `192.0.2.${this.nodes.size + 1}`;
    const node = new WorldNode(host, address, this.#machineOf(host, more), peers);
    this.nodes.set(host, node);
    this.feed(node, { type: 'configure', peers });
    return node;
  }

  start(): void {
    for (const node of this.nodes.values()) this.feed(node, { type: 'start' });
  }

  /** Ends a node without DPR. */
  kill(node: WorldNode): void {
    node.isUp = false;
    for (const wire of this.#wires.values()) if (wire.ends.some((end) => end.node === node)) this.#cut(wire);
  }

  /** Starts a killed node again. */
  revive(node: WorldNode, originStateId: number, more: Partial<NodeConfig> = {}): void {
    node.machine = this.#machineOf(node.host, { originStateId, ...more });
    node.isUp = true;
    node.hangs = false;
    this.feed(node, { type: 'configure', peers: node.peers });
    this.feed(node, { type: 'start' });
  }

  /** Cuts the connections between two nodes. */
  cut(one: WorldNode, other: WorldNode): void {
    for (const wire of this.#wires.values()) {
      const ends = wire.ends.map(({ node }) => node);
      if (ends.includes(one) && ends.includes(other)) this.#cut(wire);
    }
  }

  ask(from: WorldNode, target: Target = {}, timeout = 60_000, message = der(from.host)): Token {
    from.lastToken += 1;
    const token = from.lastToken;
    this.feed(from, { type: 'request', token, message, target, timeout });
    return token;
  }

  /** Opens a connection to a node. The test controls the other end. */
  connect(to: WorldNode, address: string, identities?: readonly string[]): Stranger {
    this.#lastConnection += 1;
    const connection = this.#lastConnection;
    const stranger = new Stranger(this, to, connection);
    this.#strangers.set(`${to.host} ${connection}`, stranger);
    this.feed(to, { type: 'incoming', connection, address });
    const ends = { localAddress: Uint8Array.of(192, 0, 2, 1), remoteAddress: address, identities };
    if (!stranger.closed) this.feed(to, { type: 'accepted', connection, ends });
    return stranger;
  }
  readonly #strangers = new Map<string, Stranger>();

  /** Advances virtual time. */
  run(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let next = this.#next(); next && next.at <= end; next = this.#next()) {
      this.now = Math.max(this.now, next.at);
      next.action();
    }
    this.now = end;
  }

  feed(node: WorldNode, input: NodeInput): void {
    if (!node.isUp || node.stoppedAt !== undefined) return;
    for (const output of node.machine.handle(input, this.now)) this.#perform(node, output);
  }

  #perform(node: WorldNode, output: NodeOutput): void {
    const stranger = 'connection' in output ? this.#strangers.get(`${node.host} ${output.connection}`) : undefined;
    switch (output.type) {
      case 'connect':
        this.#connect(node, output);
        break;
      case 'abandon':
        break;
      case 'send':
        if (stranger) stranger.take(output.message);
        else this.#send(node, output.connection, output.message);
        break;
      case 'close':
      case 'reset':
        if (stranger) stranger.end(output.type);
        else this.#close(node, output.connection);
        break;
      case 'event':
        node.events.push(output.event);
        break;
      case 'answered':
      case 'failed':
        if (node.outcomes.has(output.token)) throw new Error(`${node.host}: a second outcome of ${output.token}`);
        node.outcomes.set(output.token, output);
        node.settledAt.set(output.token, this.now);
        break;
      case 'serve': {
        const { token, message } = output;
        node.served.push({ token, message });
        const answer = node.serves(message);
        if (answer) this.#later(1, () => this.feed(node, { type: 'answer', token, message: answer }));
        break;
      }
      case 'stopped':
        node.stoppedAt = this.now;
        break;
    }
  }

  #connect(node: WorldNode, { attempt, address }: Extract<NodeOutput, { type: 'connect' }>): void {
    const to = [...this.nodes.values()].find((each) => each.address === address);
    // A message to an unused address is lost.
    if (!to || to.hangs || node.hangs) return;
    this.#later(LATENCY, () => {
      if (!to.isUp || to.stoppedAt !== undefined) {
        this.feed(node, { type: 'connectFailed', attempt, reason: 'ECONNREFUSED' });
        return;
      }
      const ends = [this.#end(node), this.#end(to)] as const;
      const wire: Wire = { ends, isCut: false };
      for (const { node: owner, connection } of ends) this.#wires.set(`${owner.host} ${connection}`, wire);
      const [here, there] = ends;
      const between = (remoteAddress: string) => ({
        localAddress: Uint8Array.of(192, 0, 2, 9),
        remoteAddress,
        identities: undefined,
      });
      this.feed(to, { type: 'incoming', connection: there.connection, address: node.address });
      this.feed(to, { type: 'accepted', connection: there.connection, ends: between(node.address) });
      this.feed(node, { type: 'connected', attempt, connection: here.connection, ends: between(to.address) });
    });
  }

  #send(node: WorldNode, connection: number, message: DiameterMessage): void {
    const wire = this.#wires.get(`${node.host} ${connection}`);
    if (!wire) throw new Error(`${node.host} sends on connection ${connection}, which it does not have`);
    const [one, other] = wire.ends;
    const to = one.node === node && one.connection === connection ? other : one;
    this.ladder.push(`${this.now} ${node.host} > ${to.node.host} ${nameOf(message)}`);
    const octets = encodeDiameter(message);
    if (node.hangs || wire.isCut) return;
    this.#later(LATENCY, () => {
      if (to.node.hangs || wire.isCut) return;
      this.feed(to.node, { type: 'message', connection: to.connection, message: decodeDiameter(octets) });
    });
  }

  #close(node: WorldNode, connection: number): void {
    const wire = this.#wires.get(`${node.host} ${connection}`);
    if (wire) this.#later(LATENCY, () => this.#cut(wire));
  }

  #cut(wire: Wire): void {
    if (wire.isCut) return;
    wire.isCut = true;
    for (const { node, connection } of wire.ends) {
      this.#wires.delete(`${node.host} ${connection}`);
      this.#later(0, () => this.feed(node, { type: 'closed', connection }));
    }
  }

  #end(node: WorldNode): End {
    this.#lastConnection += 1;
    return { node, connection: this.#lastConnection };
  }

  #later(milliseconds: number, action: () => void): void {
    this.#order += 1;
    this.#actions.push({ at: this.now + milliseconds, order: this.#order, action });
  }

  /** The next step: an action, or the tick of a node. */
  #next(): { readonly at: number; readonly action: () => void } | undefined {
    const ticks = new DeadlineQueue<WorldNode>();
    for (const node of this.nodes.values()) if (node.isUp) ticks.set(node, node.machine.deadline);
    const tickAt = ticks.first;
    const [first] = this.#actions.sort((a, b) => a.at - b.at || a.order - b.order);
    if (first && (tickAt === undefined || first.at <= tickAt)) {
      return { at: first.at, action: () => void this.#actions.shift()?.action() };
    }
    if (tickAt === undefined) return undefined;
    return {
      at: tickAt,
      action: () => {
        const node = ticks.due(this.now);
        if (!node) return;
        this.feed(node, { type: 'tick' });
        const { deadline } = node.machine;
        if (deadline !== undefined && deadline <= this.now)
          throw new Error(`${node.host}: deadline ${deadline} is still due after its tick`);
      },
    };
  }

  #machineOf(host: string, more: Partial<NodeConfig>): NodeMachine {
    this.#order += 1;
    const seed = new Uint8Array(32).fill(this.#order);
    return new NodeMachine(configOf(host, more), grammarian, seed, 1_000 + this.#order);
  }
}

/** The far end of a connection. It sends what the test provides, and records what arrives. */
export class Stranger {
  readonly answers: DiameterMessage[] = [];
  closed: 'close' | 'reset' | undefined;
  readonly #world: World;
  readonly #to: WorldNode;
  readonly connection: number;

  constructor(world: World, to: WorldNode, connection: number) {
    this.#world = world;
    this.#to = to;
    this.connection = connection;
  }

  /** Sends a message and returns the messages that came back. */
  send(message: DiameterMessage): DiameterMessage[] {
    this.answers.length = 0;
    this.#world.feed(this.#to, { type: 'message', connection: this.connection, message });
    return [...this.answers];
  }

  take(message: DiameterMessage): void {
    this.answers.push(decodeDiameter(encodeDiameter(message)));
  }

  end(how: 'close' | 'reset'): void {
    this.closed = how;
  }

  /** Result-Code of the last message. */
  get result(): number | undefined {
    return grammarian.find(this.answers.at(-1)?.avps ?? [], 'Result-Code');
  }
}

export function nameOf({ commandCode, flags, avps }: DiameterMessage): string {
  const name = commandOf(commandCode, (flags & FLAG.R) !== 0)?.name ?? String(commandCode);
  const result = grammarian.find(avps, 'Result-Code');
  return [name, ...(result === undefined ? [] : [result]), ...(flags & FLAG.T ? ['T'] : [])].join(' ');
}
