import { createHash } from 'node:crypto';
import type { DiameterMessage } from '../../../src/protocol/diameter/wire/codec.js';
import { commandOf } from '../../../src/protocol/diameter/wire/commands.js';
import { EAP_CODE, EAP_TYPE } from '../../../src/protocol/eap/codec.js';
import type { NasOrigin } from '../../../src/protocol/nas/aaa-messages.js';
import type { NasConfig, NasEvent, NasInput, NasOutput } from '../../../src/protocol/nas/alphabet.js';
import { Nas } from '../../../src/protocol/nas/nas.js';
import { PacSession } from '../../../src/protocol/pana/session/pac.js';
import type { PacConfig, PacInput, PacOutput } from '../../../src/protocol/pana/session/pac-interface.js';
import { type PacEndpoint, placeOf } from '../../../src/protocol/pana/session/start.js';
import { decodePana } from '../../../src/protocol/pana/wire/codec.js';
import { messageName } from '../../../src/protocol/pana/wire/dictionary.js';
import { PAA_CONFIG, PAC_CONFIG } from '../pana/session/ladder.js';
import { AaaServer, eap, grammarian, identityResponse, mskOf, VENDOR } from './aaa-server.js';

export const ORIGIN: NasOrigin = {
  host: 'paa.access.example',
  realm: 'access.example',
  stateId: 1_000,
  ownVendor: VENDOR,
  nasIdentifier: 'nas1',
  framedMtu: 1100,
};

export const NAS_CONFIG: NasConfig = {
  paa: { ...PAA_CONFIG, limits: { ...PAA_CONFIG.limits, pciPerAddress: 100, halfOpenPerAddress: 100 } },
  sessionLifetime: 3_600_000,
  sessionsPerSubscriber: 4,
  enforcement: { wait: 0 },
  local: undefined,
  routes: [],
  emptyStart: undefined,
};

export const LOCAL: NonNullable<NasConfig['local']> = {
  address: '2001:db8:a::ffff',
  host: 'ha.access.example',
  prefix: Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  capacity: 2,
  ike: 'ikev2',
};

export interface WorldOptions {
  readonly config?: Partial<NasConfig>;
  readonly paa?: Partial<NasConfig['paa']>;
  readonly seed?: string;
  /** One-way delays between a PaC and the NAS, and between the NAS and a server, in milliseconds. */
  readonly delay?: () => number;
  readonly diameterDelay?: () => number;
  /** The number of copies of a PANA datagram that arrive. */
  readonly copies?: () => number;
  /** How long the hook of the enforcement point takes, in milliseconds; undefined: it never ends. */
  readonly hookTime?: number | undefined;
  /** Timeout of an unanswered Diameter request, in milliseconds. */
  readonly requestTimeout?: number;
  /** Whether a request reaches no server. */
  readonly isCut?: () => boolean;
}

export interface Line {
  readonly at: number;
  readonly text: string;
}

/** A mobile node: the machine of the PaC with the simulated EAP method. */
export class Node {
  session: PacSession;
  place: PacEndpoint;
  readonly identity: string;
  readonly name: string;
  /** Outputs other than datagrams. */
  readonly said: PacOutput[] = [];
  readonly config: Partial<PacConfig>;
  starts = 0;

  constructor(name: string, place: PacEndpoint, identity: string, config: Partial<PacConfig>) {
    this.name = name;
    this.place = place;
    this.identity = identity;
    this.config = config;
    this.session = this.fresh();
  }

  /** A new machine, as after a start of the node. */
  fresh(): PacSession {
    this.starts += 1;
    const seed = createHash('sha256').update(`${this.name} ${this.starts}`).digest();
    return new PacSession({ ...PAC_CONFIG, ...this.config }, new Uint8Array(seed));
  }
}

interface Flying {
  readonly at: number;
  readonly arrive: () => void;
}

/** Mobile nodes, a NAS and AAA servers in virtual time, joined without sockets. */
export class NasWorld {
  now = 0;
  nas: Nas;
  readonly server = new AaaServer();
  /** The server to which a request with this Destination-Host, or without one, is delivered. */
  route: (host: string | undefined) => AaaServer | undefined = () => this.server;
  readonly nodes: Node[] = [];
  readonly lines: Line[] = [];
  readonly outputs: NasOutput[] = [];
  readonly events: NasEvent[] = [];
  /** Sessions that the enforcement point has admitted, with their address. */
  readonly passing = new Map<number, string>();
  /** Answers of the NAS to requests of servers. */
  readonly answers: DiameterMessage[] = [];
  /** Tokens that wait for an answer. */
  readonly waiting = new Set<number>();
  /** How often the machine was stepped. */
  steps = 0;
  readonly #options: WorldOptions;
  readonly #wire: Flying[] = [];
  #boots = 0;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.nas = this.#boot();
  }

  get config(): NasConfig {
    const { config, paa } = this.#options;
    const base = { ...NAS_CONFIG, ...config };
    return { ...base, paa: { ...base.paa, ...paa } };
  }

  #boot(): Nas {
    this.#boots += 1;
    const seed = createHash('sha256')
      .update(`nas ${this.#options.seed ?? ''} ${this.#boots}`)
      .digest();
    return new Nas({ ...ORIGIN, stateId: ORIGIN.stateId + this.#boots }, this.config, new Uint8Array(seed));
  }

  /** Kills and starts the NAS, and clears its enforcement point. */
  restart(): void {
    this.nas = this.#boot();
    this.passing.clear();
    this.waiting.clear();
    this.#note('* NAS restarts');
  }

  /** Adds a node and starts it. */
  node(options: { address?: string; identity?: string; pac?: Partial<PacConfig> } = {}): Node {
    const { address = `2001:db8:a::${this.nodes.length + 11}`, identity = '@home.example', pac = {} } = options;
    const name = `mn${this.nodes.length + 1}`;
    const node = new Node(name, { address, port: 50_000, local: '2001:db8:a::1' }, identity, pac);
    this.nodes.push(node);
    this.toNode(node, { type: 'start' });
    return node;
  }

  /** Restarts a node without its earlier state. */
  reboot(node: Node): void {
    node.session = node.fresh();
    this.toNode(node, { type: 'start' });
  }

  toNode(node: Node, input: PacInput): void {
    const { session } = node;
    for (const output of session.handle(input, this.now)) if (session === node.session) this.#performNode(node, output);
  }

  feed(input: NasInput): void {
    this.steps += 1;
    const { nas } = this;
    for (const output of nas.handle(input, this.now)) this.#perform(nas, output);
  }

  /** The session of this node; by default that of the first node. */
  sessionOf(node = this.nodes[0]) {
    const found = [...this.nas.list(this.now)].findLast(({ peer }) => peer.address === node?.place.address);
    if (!found) throw new Error('there is no such session');
    return found;
  }

  /** Sends the NAS a request of a server. */
  ask(command: 'ASR' | 'RAR', diameterSession: string | undefined, server = this.server, peer = server.host): void {
    this.#note(`<-- ${command}`);
    this.feed({ type: 'serverRequest', token: 1, message: server.request(command, diameterSession ?? '-'), peer });
  }

  /** Runs until this virtual time. Each message is delivered and each timer fires when it is due. */
  run(until: number): this {
    for (let steps = 0; ; steps += 1) {
      if (steps > 100_000) throw new Error(`the run does not end, at ${this.now}`);
      const next = this.#next();
      if (next === undefined || next > until) break;
      this.now = Math.max(this.now, next);
      this.#step(next);
    }
    this.now = until;
    return this;
  }

  for(milliseconds: number): this {
    return this.run(this.now + milliseconds);
  }

  /** The lines since the last call. */
  take(): string[] {
    return this.lines.splice(0).map(({ at, text }) => `${at} ${text}`);
  }

  /** The texts of the lines since the last call, without their times. */
  takeTexts(): string[] {
    return this.lines.splice(0).map(({ text }) => text);
  }

  #next(): number | undefined {
    let next = this.nas.deadline;
    const consider = (at: number | undefined) => {
      if (at !== undefined && (next === undefined || at < next)) next = at;
    };
    for (const { session } of this.nodes) consider(session.deadline);
    for (const { at } of this.#wire) consider(at);
    return next;
  }

  #step(due: number): void {
    const index = this.#wire.reduce(
      (first, { at }, n) => (at <= due && (first < 0 || at < (this.#wire[first]?.at ?? at)) ? n : first),
      -1,
    );
    const [flying] = index < 0 ? [] : this.#wire.splice(index, 1);
    const node = this.nodes.find(({ session }) => session.deadline !== undefined && session.deadline <= due);
    if (flying) flying.arrive();
    else if (node) this.toNode(node, { type: 'tick' });
    else {
      this.feed({ type: 'tick' });
      const { deadline } = this.nas;
      if (deadline !== undefined && deadline <= this.now) throw new Error(`the deadline of the NAS stays at ${due}`);
    }
  }

  #note(text: string): void {
    this.lines.push({ at: this.now, text });
  }

  #fly(delay: number, arrive: () => void): void {
    this.#wire.push({ at: this.now + delay, arrive });
  }

  /** Sends a datagram over the link. */
  #datagram(octets: Uint8Array, arrow: string, arrive: (octets: Uint8Array) => void): void {
    this.#note(`${arrow} ${messageName(decodePana(octets)).rfc}`);
    const { copies = () => 1, delay = () => 1 } = this.#options;
    const count = copies();
    for (let copy = 0; copy < count; copy += 1) this.#fly(delay(), () => arrive(octets.slice()));
  }

  // ----------------------------------------------------------------------------------------------------------- nodes

  #performNode(node: Node, output: PacOutput): void {
    if (output.type === 'send') {
      const from = node.place;
      this.#datagram(output.octets, `${node.name} ->`, (octets) => this.feed({ type: 'datagram', octets, from }));
      return;
    }
    if (output.type !== 'eapPacket') {
      node.said.push(output);
      return;
    }
    const [code, identifier = 0, , , type, isLast, run = 0] = output.packet;
    if (code === EAP_CODE.SUCCESS) this.toNode(node, { type: 'eapSucceeded' });
    else if (code === EAP_CODE.FAILURE) this.toNode(node, { type: 'eapFailed' });
    else if (type === EAP_TYPE.IDENTITY) {
      this.toNode(node, { type: 'eapResponse', packet: identityResponse(identifier, node.identity) });
    } else {
      if (isLast === 1) this.toNode(node, { type: 'eapKeys', msk: mskOf(run) });
      this.toNode(node, { type: 'eapResponse', packet: eap('RESPONSE', identifier, isLast === 1, run) });
    }
  }

  // ------------------------------------------------------------------------------------------------------------- NAS

  #perform(nas: Nas, output: NasOutput): void {
    this.outputs.push(output);
    switch (output.type) {
      case 'send': {
        const node = this.nodes.find(({ place }) => placeOf(place) === placeOf(output.to));
        this.#datagram(output.octets, `${node?.name ?? 'unknown'} <-`, (octets) => {
          // The node at this address when the datagram arrives.
          const there = this.nodes.find(({ place }) => placeOf(place) === placeOf(output.to));
          if (there) this.toNode(there, { type: 'datagram', octets });
        });
        break;
      }
      case 'ask':
        this.#ask(nas, output.token, output.message);
        break;
      case 'answer':
        this.answers.push(output.message);
        this.#note(`--> ${nameOf(output.message)}`);
        break;
      case 'admit':
        this.passing.set(output.sessionId, output.address);
        this.#note('admit');
        this.#hook(nas, output.token);
        break;
      case 'move':
        this.passing.set(output.sessionId, output.address);
        this.#note('move');
        break;
      case 'expel':
        if (this.passing.delete(output.sessionId)) this.#note('expel');
        break;
      case 'homeAgent':
        this.#note(`home agent ${output.event}`);
        break;
      case 'event':
        this.events.push(output.event);
        break;
      case 'key':
        output.key.key.wipe();
        break;
      case 'stopped':
        this.#note('stopped');
    }
  }

  #hook(nas: Nas, token: number | undefined): void {
    const { hookTime } = this.#options;
    if (token === undefined || hookTime === undefined) return;
    this.#fly(hookTime, () => nas === this.nas && this.feed({ type: 'permitted', token }));
  }

  #ask(nas: Nas, token: number, message: DiameterMessage): void {
    const { diameterDelay = () => 2, requestTimeout = 10_000, isCut = () => false } = this.#options;
    if (this.waiting.has(token)) throw new Error(`token ${token} is used twice`);
    this.waiting.add(token);
    this.#note(`--> ${nameOf(message)}`);
    const settle = (input: NasInput) => {
      if (nas !== this.nas || !this.waiting.delete(token)) return;
      this.feed(input);
    };
    const server = isCut() ? undefined : this.route(grammarian.find(message.avps, 'Destination-Host'));
    if (!server) {
      this.#fly(0, () => settle({ type: 'unreachable', token, reason: 'no peer' }));
      return;
    }
    this.#fly(requestTimeout, () => settle({ type: 'unreachable', token, reason: 'no answer in time' }));
    this.#fly(diameterDelay(), () => {
      const answer = server.answer(message);
      if (!answer) return;
      this.#fly(diameterDelay(), () => {
        this.#note(`<-- ${nameOf(answer)}`);
        settle({ type: 'answer', token, message: answer });
      });
    });
  }
}

/** Name of a Diameter message, with the Result-Code of an answer. */
function nameOf(message: DiameterMessage): string {
  const isRequest = (message.flags & 0x80) !== 0;
  const name = commandOf(message.commandCode, isRequest)?.name ?? String(message.commandCode);
  return isRequest ? name : `${name} ${grammarian.find(message.avps, 'Result-Code')}`;
}
