import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { parseAddress } from '../protocol/bytes/address.js';
import { DecodeError } from '../protocol/bytes/decode-error.js';
import { errorAnswer, type Origin, violationOf } from '../protocol/diameter/answers.js';
import {
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  FLAG,
  salvageDiameter,
} from '../protocol/diameter/codec.js';
import { CER, commandOf } from '../protocol/diameter/commands.js';
import { Dictionary } from '../protocol/diameter/dictionary.js';
import { Grammarian, type Violation } from '../protocol/diameter/grammar.js';
import {
  Peer,
  type PeerCapabilities,
  type PeerConfig,
  type PeerInput,
  type PeerOutput,
  type Side,
} from '../protocol/diameter/peer.js';
import { RESULT } from '../protocol/diameter/result-codes.js';
import { DiameterFramer } from './diameter-framer.js';
import { Driver, monotonic } from './driver.js';

/** Connections that have not sent their CER: each costs a socket, so strangers get few, and not for long. */
export const MAX_UNKNOWN_CONNECTIONS = 64;
export const CER_TIMEOUT = 5_000;

/** Requests that may wait for their answers at one peer, each way; more are answered 3004. */
export const MAX_IN_FLIGHT = 4096;

/** Octets that may wait to be sent to a peer that does not read. */
const MAX_SEND_BUFFER = 16 * 1024 * 1024;

export interface DiameterPeerOptions {
  /** DiameterIdentity. */
  readonly host: string;
  /** Where to connect to; undefined: the peer connects to us. */
  readonly address?: string | undefined;
  readonly port?: number | undefined;
}

export interface DiameterNodeOptions {
  readonly origin: Origin;
  readonly productName: string;
  readonly vendorId: number;
  /** The enterprise number of this project's own AVPs. */
  readonly ownVendor: number;
  readonly applications: readonly number[];
  readonly listen: readonly { readonly address: string; readonly port: number }[];
  readonly peers: readonly DiameterPeerOptions[];
  /** Milliseconds. */
  readonly watchdog: number;
  readonly reconnect: number;
  readonly timeout: number;
  /** Answers a request of an application; the answer is sent as it is. */
  readonly onRequest: (message: DiameterMessage, peer: string) => Promise<DiameterMessage>;
  readonly onEvent: (event: DiameterEvent) => void;
}

export type DiameterEvent =
  | { readonly type: 'peerOpen'; readonly peer: string; readonly capabilities: PeerCapabilities }
  | { readonly type: 'peerClosed'; readonly peer: string; readonly reason: string }
  | { readonly type: 'dropped'; readonly peer: string | undefined; readonly code: string }
  /** For ladders and counters. */
  | {
      readonly type: 'message';
      readonly direction: 'in' | 'out';
      readonly peer: string;
      readonly message: DiameterMessage;
    };

export type DiameterRequestCode =
  | 'ERR_DIAMETER_NO_PEER'
  | 'ERR_DIAMETER_TIMEOUT'
  | 'ERR_DIAMETER_PEER_LOST'
  | 'ERR_DIAMETER_BUSY';

/** A request got no answer. */
export class DiameterRequestError extends Error {
  override readonly name = 'DiameterRequestError';
  readonly code: DiameterRequestCode;

  constructor(code: DiameterRequestCode, text: string) {
    super(text);
    this.code = code;
  }
}

interface Waiting {
  readonly message: DiameterMessage;
  readonly resolve: (answer: DiameterMessage) => void;
  readonly reject: (error: DiameterRequestError) => void;
  readonly timer: NodeJS.Timeout;
}

interface Entry {
  readonly options: DiameterPeerOptions;
  readonly peer: Peer;
  readonly driver: Driver<PeerInput, PeerOutput>;
  readonly sockets: Map<Side, Socket>;
  readonly waiting: Map<number, Waiting>;
  serving: number;
}

/** A Diameter node (RFC 6733): its peers, their connections, requests and answers. */
export class DiameterNode {
  readonly #options: DiameterNodeOptions;
  readonly grammarian: Grammarian;
  readonly #entries = new Map<string, Entry>();
  readonly #servers: Server[] = [];
  readonly #unknown = new Set<Socket>();
  readonly #originStateId = Math.floor(Date.now() / 1000);
  /** RFC 6733 3: the high 12 bits from the time, the low 20 random at start. */
  #endToEnd = (((Math.floor(Date.now() / 1000) & 0xfff) << 20) | (randomBytes(4).readUInt32BE(0) & 0xf_ffff)) >>> 0;
  #sessionLow = 0;

  constructor(options: DiameterNodeOptions) {
    this.#options = options;
    this.grammarian = new Grammarian(new Dictionary(options.ownVendor));
    for (const peer of options.peers) this.#entries.set(peer.host.toLowerCase(), this.#entry(peer));
  }

  get origin(): Origin {
    return this.#options.origin;
  }

  get originStateId(): number {
    return this.#originStateId;
  }

  /** Listens and connects; rejects when an address cannot be had. */
  async start(): Promise<void> {
    for (const where of this.#options.listen) this.#servers.push(await this.#listen(where));
    for (const { driver } of this.#entries.values()) driver.feed({ type: 'start' });
  }

  /** Addresses that are listened on. */
  get addresses(): readonly { readonly address: string; readonly port: number }[] {
    return this.#servers.flatMap((server) => {
      const bound = server.address();
      return bound && typeof bound === 'object' ? [{ address: bound.address, port: bound.port }] : [];
    });
  }

  /** Says DPR to all and closes everything, at the latest after `timeout` milliseconds. */
  async stop(timeout = 2_000): Promise<void> {
    const closing = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const socket of this.#unknown) socket.destroy();
    for (const { driver } of this.#entries.values()) driver.feed({ type: 'stop', cause: 0 });
    const sockets = [...this.#entries.values()].flatMap((entry) => [...entry.sockets.values()]);
    const closed = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    const deadline = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, timeout);
    await closed;
    clearTimeout(deadline);
    for (const entry of this.#entries.values()) {
      entry.driver.stop();
      this.#fail(entry, 'the node stops');
    }
    await Promise.all(closing);
  }

  /** A Session-Id that was never used before and never will (RFC 6733 8.8). */
  newSessionId(): string {
    this.#sessionLow = (this.#sessionLow + 1) >>> 0;
    return `${this.origin.host};${this.#originStateId};${this.#sessionLow};${randomBytes(4).toString('hex')}`;
  }

  /** State of each peer, for people. */
  status(): { readonly host: string; readonly state: string; readonly watchdog: string; readonly inFlight: number }[] {
    return [...this.#entries.values()].map(({ options, peer, waiting }) => ({
      host: options.host,
      state: peer.state,
      watchdog: peer.watchdog,
      inFlight: waiting.size,
    }));
  }

  /** The first of these peers that is up. */
  firstUp(hosts: readonly string[]): string | undefined {
    return hosts.find((host) => this.#entries.get(host.toLowerCase())?.peer.open !== undefined);
  }

  /**
   * Sends a request to a peer and resolves with its answer, whatever its Result-Code. Rejects with DiameterRequestError:
   * no connection, no answer within `timeout` milliseconds, or the connection lost meanwhile.
   */
  request(message: DiameterMessage, host: string, timeout: number): Promise<DiameterMessage> {
    const entry = this.#entries.get(host.toLowerCase());
    const side = entry?.peer.open;
    if (!entry || !side)
      return Promise.reject(new DiameterRequestError('ERR_DIAMETER_NO_PEER', `${host} is not connected`));
    if (entry.waiting.size >= MAX_IN_FLIGHT)
      return Promise.reject(new DiameterRequestError('ERR_DIAMETER_BUSY', `${host} has too much to answer`));
    this.#endToEnd = (this.#endToEnd + 1) >>> 0;
    const hopByHop = entry.peer.nextHopByHop();
    const sent = { ...message, hopByHop, endToEnd: this.#endToEnd };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        entry.waiting.delete(hopByHop);
        reject(new DiameterRequestError('ERR_DIAMETER_TIMEOUT', `${host} did not answer in ${timeout} ms`));
      }, timeout);
      entry.waiting.set(hopByHop, { message: sent, resolve, reject, timer });
      this.#send(entry, side, sent);
    });
  }

  // -------------------------------------------------------------------------------------------------------- peers

  #entry(options: DiameterPeerOptions): Entry {
    const { origin, productName, vendorId, ownVendor, applications, watchdog, reconnect, timeout, listen } =
      this.#options;
    const addresses = listen.map(({ address }) => parseAddress(address)).filter((octets) => octets !== undefined);
    const config: PeerConfig = {
      origin,
      // CER wants one (RFC 6733 5.3.1); a node that only connects learns its own too late.
      addresses: addresses.length > 0 ? addresses : [Uint8Array.of(127, 0, 0, 1)],
      productName,
      vendorId,
      originStateId: this.#originStateId,
      applications,
      supportedVendors: [ownVendor],
      watchdog,
      reconnect,
      timeout,
      initiates: options.address !== undefined,
    };
    const peer = new Peer(config, this.grammarian, randomBytes(32));
    const driver = new Driver<PeerInput, PeerOutput>(peer, (output) => this.#perform(entry, output), monotonic);
    const entry: Entry = { options, peer, driver, sockets: new Map(), waiting: new Map(), serving: 0 };
    return entry;
  }

  #perform(entry: Entry, output: PeerOutput): void {
    const { host } = entry.options;
    switch (output.type) {
      case 'connect':
        this.#connect(entry);
        break;
      case 'send':
        this.#send(entry, output.side, output.message);
        break;
      case 'disconnect':
        entry.sockets.get(output.side)?.end();
        entry.sockets.delete(output.side);
        break;
      case 'open':
        this.#options.onEvent({ type: 'peerOpen', peer: host, capabilities: output.peer });
        break;
      case 'closed':
        this.#fail(entry, output.reason);
        this.#options.onEvent({ type: 'peerClosed', peer: host, reason: output.reason });
        break;
      case 'deliver':
        this.#deliver(entry, output.side, output.message);
        break;
      case 'failover':
        this.#fail(entry, 'the watchdog suspects the peer');
        break;
      case 'failback':
        break;
    }
  }

  /** Nothing more will be answered: whoever waits decides what comes next. */
  #fail(entry: Entry, reason: string): void {
    for (const { reject, timer } of entry.waiting.values()) {
      clearTimeout(timer);
      reject(new DiameterRequestError('ERR_DIAMETER_PEER_LOST', `${entry.options.host}: ${reason}`));
    }
    entry.waiting.clear();
  }

  #deliver(entry: Entry, side: Side, message: DiameterMessage): void {
    if (message.flags & FLAG.R) {
      void this.#serve(entry, side, message);
      return;
    }
    const waiting = entry.waiting.get(message.hopByHop);
    if (!waiting || waiting.message.commandCode !== message.commandCode) {
      this.#options.onEvent({ type: 'dropped', peer: entry.options.host, code: 'unknown-answer' });
      return;
    }
    entry.waiting.delete(message.hopByHop);
    clearTimeout(waiting.timer);
    waiting.resolve(message);
  }

  async #serve(entry: Entry, side: Side, request: DiameterMessage): Promise<void> {
    if (entry.serving >= MAX_IN_FLIGHT) {
      this.#refuse(entry, side, request, {
        resultCode: RESULT.TOO_BUSY,
        failedAvp: undefined,
        text: 'too many requests at once',
      });
      return;
    }
    if (!this.#options.applications.includes(request.applicationId) && request.applicationId !== 0) {
      const text = `application ${request.applicationId}`;
      this.#refuse(entry, side, request, { resultCode: RESULT.APPLICATION_UNSUPPORTED, failedAvp: undefined, text });
      return;
    }
    if (!commandOf(request.commandCode, true)) {
      const text = `command ${request.commandCode}`;
      this.#refuse(entry, side, request, { resultCode: RESULT.COMMAND_UNSUPPORTED, failedAvp: undefined, text });
      return;
    }
    entry.serving += 1;
    try {
      this.#send(entry, side, await this.#options.onRequest(request, entry.options.host));
    } finally {
      entry.serving -= 1;
    }
  }

  #refuse(entry: Entry, side: Side, request: DiameterMessage, violation: Violation): void {
    this.#send(entry, side, errorAnswer(this.grammarian, this.origin, request, violation));
  }

  #send(entry: Entry, side: Side, message: DiameterMessage): void {
    const socket = entry.sockets.get(side);
    if (!socket?.writable) return;
    socket.write(encodeDiameter(message));
    this.#options.onEvent({ type: 'message', direction: 'out', peer: entry.options.host, message });
    if (socket.writableLength > MAX_SEND_BUFFER) socket.destroy();
  }

  // -------------------------------------------------------------------------------------------------- connections

  #connect(entry: Entry): void {
    const { address = '', port = 3868 } = entry.options;
    const socket = connect({ host: address, port, noDelay: true });
    let up = false;
    socket.on('connect', () => {
      up = true;
      entry.sockets.set('I', socket);
      entry.driver.feed({ type: 'connected' });
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (!up) entry.driver.feed({ type: 'connectFailed' });
      else this.#lost(entry, 'I', socket);
    });
    const framer = new DiameterFramer();
    socket.on('data', (chunk: Buffer) => {
      this.#take(framer, chunk, socket, entry.options.host, (message) =>
        entry.driver.feed({ type: 'message', side: 'I', message }),
      );
    });
  }

  #lost(entry: Entry, side: Side, socket: Socket): void {
    if (entry.sockets.get(side) === socket) entry.sockets.delete(side);
    entry.driver.feed({ type: 'disconnected', side });
  }

  async #listen(where: { readonly address: string; readonly port: number }): Promise<Server> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: where.address, port: where.port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return server;
  }

  /** RFC 6733 5.6: a connection belongs to nobody before its CER. */
  #accept(socket: Socket): void {
    socket.on('error', () => undefined);
    if (this.#unknown.size >= MAX_UNKNOWN_CONNECTIONS) {
      this.#options.onEvent({ type: 'dropped', peer: undefined, code: 'too-many-connections' });
      socket.destroy();
      return;
    }
    this.#unknown.add(socket);
    const timer = setTimeout(() => {
      this.#options.onEvent({ type: 'dropped', peer: undefined, code: 'no-cer' });
      socket.destroy();
    }, CER_TIMEOUT);
    const framer = new DiameterFramer();
    let entry: Entry | undefined;
    socket.on('data', (chunk: Buffer) => {
      this.#take(framer, chunk, socket, entry?.options.host, (message) => {
        if (entry) {
          if (entry.sockets.get('R') === socket) entry.driver.feed({ type: 'message', side: 'R', message });
          return;
        }
        clearTimeout(timer);
        this.#unknown.delete(socket);
        entry = this.#introduce(socket, message);
      });
    });
    socket.on('close', () => {
      clearTimeout(timer);
      this.#unknown.delete(socket);
      if (entry?.sockets.get('R') === socket) this.#lost(entry, 'R', socket);
    });
  }

  /** The peer of a CER, or an answer that says why there is none. */
  #introduce(socket: Socket, message: DiameterMessage): Entry | undefined {
    const isCer = message.commandCode === CER.code && (message.flags & FLAG.R) !== 0 && message.applicationId === 0;
    const host = isCer ? this.grammarian.find(message.avps, 'Origin-Host') : undefined;
    const entry = host === undefined ? undefined : this.#entries.get(host.toLowerCase());
    if (!entry) {
      this.#options.onEvent({ type: 'dropped', peer: undefined, code: isCer ? 'unknown-peer' : 'no-cer' });
      if (isCer) {
        const violation = {
          resultCode: RESULT.UNKNOWN_PEER,
          failedAvp: undefined,
          text: `${host ?? '?'} is not a configured peer`,
        };
        socket.end(encodeDiameter(errorAnswer(this.grammarian, this.origin, message, violation)));
      } else {
        socket.destroy();
      }
      return undefined;
    }
    if (entry.sockets.has('R')) {
      socket.destroy();
      return undefined;
    }
    entry.sockets.set('R', socket);
    entry.driver.feed({ type: 'accepted', cer: message });
    return entry;
  }

  #take(
    framer: DiameterFramer,
    chunk: Buffer,
    socket: Socket,
    peer: string | undefined,
    handle: (message: DiameterMessage) => void,
  ): void {
    const frames = framer.push(chunk);
    if (frames === 'bad-stream') {
      this.#options.onEvent({ type: 'dropped', peer, code: 'bad-stream' });
      socket.resetAndDestroy();
      return;
    }
    for (const octets of frames) {
      const message = this.#decode(octets, socket, peer);
      if (!message) continue;
      this.#options.onEvent({ type: 'message', direction: 'in', peer: peer ?? '', message });
      handle(message);
    }
  }

  /** A message, or the error answer to a request whose AVPs make no sense (RFC 6733 7.1.5). */
  #decode(octets: Uint8Array, socket: Socket, peer: string | undefined): DiameterMessage | undefined {
    try {
      return decodeDiameter(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#options.onEvent({ type: 'dropped', peer, code: error.code });
      const salvage = salvageDiameter(octets);
      if (peer !== undefined && salvage && salvage.header.flags & FLAG.R) {
        const request = { ...salvage.header, avps: salvage.avps };
        const violation = violationOf(this.grammarian, salvage);
        socket.write(encodeDiameter(errorAnswer(this.grammarian, this.origin, request, violation)));
      }
      return undefined;
    }
  }
}
