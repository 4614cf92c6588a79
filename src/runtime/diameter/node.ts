import { parseAddress } from '../../protocol/bytes/address.js';
import type { ApplicationInput, ApplicationOutput, Token } from '../../protocol/diameter/node/application.js';
import { type Route, RouteTable } from '../../protocol/diameter/node/routing.js';
import type { LocalCapabilities, PeerCapabilities } from '../../protocol/diameter/peer/capabilities.js';
import { EndToEndIdentifiers, SessionIds } from '../../protocol/diameter/peer/identifiers.js';
import { checkRequest } from '../../protocol/diameter/peer/incoming.js';
import {
  type ConnectionId,
  DISCONNECT_CAUSE,
  Peer,
  type PeerInput,
  type PeerOutput,
} from '../../protocol/diameter/peer/peer.js';
import { errorAnswer, type Origin, violationOf } from '../../protocol/diameter/wire/answers.js';
import { type DiameterMessage, FLAG, type Salvage } from '../../protocol/diameter/wire/codec.js';
import { APPLICATION, CER } from '../../protocol/diameter/wire/commands.js';
import { Dictionary } from '../../protocol/diameter/wire/dictionary.js';
import { Grammarian, isViolation, type Violation } from '../../protocol/diameter/wire/grammar.js';
import { wipeKeys } from '../../protocol/diameter/wire/keys.js';
import { RESULT } from '../../protocol/diameter/wire/result-codes.js';
import { ConnectionSlots } from '../net/connection-slots.js';
import { addressesOf } from '../net/peer-sources.js';
import { type Guard, isFault, unguarded } from '../service/barrier.js';
import { type Host, systemHost } from '../system/host.js';
import { DiameterConnection } from './connection.js';
import { DuplicateCache } from './duplicates.js';
import { type DiameterPeerOptions, isSamePeer, notProven, PeerEntry } from './peer-entry.js';
import { DiameterClient, type DiameterHop, DiameterRequestError, type DiameterTarget } from './requests.js';
import {
  CER_TIMEOUT,
  type Transport,
  type TransportConnection,
  type TransportListener,
  tcpTransport,
} from './transport.js';

/** Requests of one peer that are being answered at once; more are answered 3004. */
export const MAX_SERVING = 4096;

/** RFC 6733 2.1 and, for TLS, IANA: the RFC prints 5658. */
export const DIAMETER_PORT = 3868;
export const DIAMETER_TLS_PORT = 5868;

export interface DiameterListenOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  readonly transport?: Transport | undefined;
}

export interface DiameterNodeOptions {
  readonly origin: Origin;
  readonly productName: string;
  readonly vendorId: number;
  /** Greater than the last time (RFC 6733 8.16); undefined: the wall clock in seconds. */
  readonly originStateId?: number | undefined;
  /** The enterprise number of this project's own AVPs. */
  readonly ownVendor: number;
  readonly applications: readonly number[];
  /** Realms that are served beside that of `origin`; `*`: any. */
  readonly realms?: readonly string[] | undefined;
  readonly listen: readonly DiameterListenOptions[];
  readonly peers: readonly DiameterPeerOptions[];
  /** Without routes every peer serves every realm. */
  readonly routes?: readonly Route[] | undefined;
  /** Twinit, Tc and the limit of a handshake, milliseconds. */
  readonly watchdog: number;
  readonly reconnect: number;
  readonly timeout: number;
  /** Gets answers to requests that were fed, and requests that are to be answered by feeding. */
  readonly perform?: ((output: ApplicationOutput) => void) | undefined;
  /** For applications without `perform`: answers a request; the answer is sent as it is (`answerTo`). */
  readonly onRequest?: ((message: DiameterMessage, peer: string) => Promise<DiameterMessage>) | undefined;
  readonly onEvent: (event: DiameterEvent) => void;
  /** Clock, timers and randomness; undefined: the computer's. */
  readonly host?: Host | undefined;
  /** Connections without TLS; undefined: TCP. */
  readonly transport?: Transport | undefined;
  readonly guard?: Guard | undefined;
}

/** What a node stands on. */
export interface DiameterGround {
  readonly host: Host;
  /** Connections without TLS. */
  readonly transport: Transport;
}

export type DiameterEvent =
  | { readonly type: 'peerOpen'; readonly peer: string; readonly capabilities: PeerCapabilities }
  | { readonly type: 'peerClosed'; readonly peer: string; readonly reason: string }
  /** RFC 3539: nothing new goes to a suspected peer, and it is trusted again after it has answered. */
  | { readonly type: 'peerSuspected' | 'peerTrusted'; readonly peer: string }
  /** A request that was answered before came again. */
  | { readonly type: 'duplicate'; readonly peer: string }
  /** A request goes to another peer, since the first one failed. */
  | { readonly type: 'failedOver'; readonly peer: string; readonly to: string }
  | { readonly type: 'dropped'; readonly peer: string | undefined; readonly code: string }
  /** A CER that was not taken: nobody's, without the certificate, or from an address that is not the peer's. */
  | {
      readonly type: 'peerRefused';
      readonly peer: string | undefined;
      readonly address: string;
      readonly code: string;
    }
  /** `onRequest` rejected; the peer got UNABLE_TO_COMPLY. */
  | { readonly type: 'failed'; readonly peer: string; readonly error: unknown }
  /** For ladders and counters. Its AVPs may hold keys: not for logs as it is. */
  | {
      readonly type: 'message';
      readonly direction: 'in' | 'out';
      readonly peer: string;
      readonly message: DiameterMessage;
    };

export interface DiameterPeerStatus {
  readonly host: string;
  readonly state: string;
  readonly watchdog: string;
  readonly realm: string | undefined;
  readonly productName: string | undefined;
  readonly remoteAddress: string | undefined;
  /** Requests that wait for the peer's answer, and requests of the peer's that wait for ours. */
  readonly inFlight: number;
  readonly serving: number;
}

/** A Diameter node that is no agent (RFC 6733): its peers, their connections, requests and answers. */
export class DiameterNode {
  readonly grammarian: Grammarian;
  readonly originStateId: number;
  readonly #options: DiameterNodeOptions;
  readonly #entries = new Map<string, PeerEntry>();
  readonly #identifiers: EndToEndIdentifiers;
  readonly #transport: Transport;
  readonly #sessionIds: SessionIds;
  readonly #client: DiameterClient;
  readonly #duplicates: DuplicateCache;
  readonly #listeners: TransportListener[] = [];
  /** Peers of before, until they have said DPA. */
  readonly #leaving = new Set<PeerEntry>();
  /** Connections that are no peer's yet. */
  readonly #unknown = new Set<DiameterConnection>();
  readonly #guard: Guard;
  readonly #host: Host;
  readonly #slots = new ConnectionSlots((address) =>
    [...this.#entries.values()].some(({ sources }) => sources.has(address)),
  );
  readonly #serving = new Map<Token, { resolve(answer: DiameterMessage): void; reject(error: Error): void }>();
  #lastToken = 0;
  #lastConnection = 0;
  #stopping = false;
  /** Tells `stop` that something has come to its end. */
  #settled: (() => void) | undefined;

  constructor(options: DiameterNodeOptions) {
    this.#options = options;
    this.#guard = options.guard ?? unguarded;
    const { host = systemHost } = options;
    this.#host = host;
    this.#transport = options.transport ?? tcpTransport;
    this.#identifiers = new EndToEndIdentifiers(host.wall() / 1000, randomWord(host));
    this.originStateId = options.originStateId ?? Math.floor(host.wall() / 1000);
    this.grammarian = new Grammarian(new Dictionary(options.ownVendor));
    this.#duplicates = new DuplicateCache(this.grammarian, host);
    this.#sessionIds = new SessionIds(options.origin.host, this.originStateId);
    for (const peer of options.peers) this.#entries.set(peer.host.toLowerCase(), this.#entry(peer));
    const routes = this.#routesOf(options.routes);
    this.#client = new DiameterClient(this.grammarian, this.#identifiers, this.#entries, routes, options.onEvent, host);
  }

  get origin(): Origin {
    return this.#options.origin;
  }

  /** Listens and connects; rejects when an address cannot be had, and then holds none. */
  async start(): Promise<void> {
    try {
      for (const at of this.#options.listen) this.#listeners.push(await this.#listen(at));
    } catch (error) {
      await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
      throw error;
    }
    for (const { driver } of this.#entries.values()) driver.feed({ type: 'start' });
  }

  /** Addresses that are listened on. */
  get addresses(): readonly { readonly address: string; readonly port: number }[] {
    return this.#listeners.map(({ address, port }) => ({ address, port }));
  }

  /**
   * Answers what was asked, says DPR to all and closes everything, at the latest after `timeout` milliseconds. Own
   * requests that still wait are rejected.
   */
  async stop(timeout = 2_000): Promise<void> {
    this.#stopping = true;
    const closing = this.#listeners.map((listener) => listener.close());
    for (const connection of this.#unknown) connection.reset();
    const entries = [...this.#entries.values(), ...this.#leaving];
    let expired = false;
    const until = async (done: () => boolean) => {
      while (!expired && !done()) {
        await new Promise<void>((resolve) => {
          this.#settled = resolve;
        });
      }
    };
    const cancel = this.#host.after(timeout, () => {
      expired = true;
      this.#settled?.();
    });
    await until(() => entries.every(({ serving }) => serving === 0));
    this.#client.stop();
    for (const { driver } of entries) driver.feed({ type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING });
    await until(() => entries.every(({ peer }) => peer.state === 'Closed'));
    cancel();
    for (const { driver, attempt, connections } of entries) {
      driver.stop();
      attempt?.abort();
      // In order they have been ended already, and only finish what they send.
      if (expired) for (const connection of connections.values()) connection.reset();
    }
    this.#duplicates.clear();
    await Promise.all(closing);
  }

  /** A Session-Id that was never used before and never will be (RFC 6733 8.8). */
  newSessionId(): string {
    return this.#sessionIds.next(Buffer.from(this.#host.random(4)).toString('hex'));
  }

  /** State of each peer, for people. */
  status(): DiameterPeerStatus[] {
    return [...this.#entries.values()].map((entry) => {
      const { host, peer, serving, connections } = entry;
      const connection = peer.connection === undefined ? undefined : connections.get(peer.connection);
      return {
        host,
        state: peer.state,
        watchdog: peer.watchdog,
        realm: peer.capabilities?.realm,
        productName: peer.capabilities?.productName,
        remoteAddress: connection?.transport.remoteAddress,
        inFlight: this.#client.inFlight(entry),
        serving,
      };
    });
  }

  /** What a peer said of itself; undefined: it is not connected. */
  capabilitiesOf(host: string): PeerCapabilities | undefined {
    return this.#entries.get(host.toLowerCase())?.capabilities;
  }

  /** Peers that requests to any server of a realm may be sent to. */
  routesTo(realm: string): readonly string[] {
    const [application = APPLICATION.COMMON] = this.#options.applications;
    return this.#client.routes.candidates({ realm, host: undefined }, application).map(({ host }) => host);
  }

  /** The first of these peers that is up. */
  firstUp(hosts: readonly string[]): string | undefined {
    return hosts.find((host) => this.#entries.get(host.toLowerCase())?.trusted);
  }

  /**
   * Sends a request and resolves with its answer, whatever its Result-Code; its identifiers are given here. It goes to
   * `target.peers` or this one peer, or where Destination-Host, Destination-Realm and the routes say, and to the next
   * when a peer fails (RFC 6733 5.5.4). Rejects with DiameterRequestError, at the latest after `timeout` milliseconds.
   */
  request(message: DiameterMessage, target: DiameterTarget | string, timeout: number): Promise<DiameterMessage> {
    return this.#client.request(message, typeof target === 'string' ? { peers: [target] } : target, timeout);
  }

  /** What the application tells the node; what comes of it goes to `perform`. */
  feed(input: ApplicationInput): void {
    switch (input.type) {
      case 'request': {
        const { token } = input;
        this.request(input.message, input.target, input.timeout).then(
          (message) => this.#options.perform?.({ type: 'answered', token, message }),
          (error) => {
            if (!(error instanceof DiameterRequestError)) throw error;
            this.#options.perform?.({ type: 'failed', token, code: error.code, text: error.message });
          },
        );
        break;
      }
      case 'answer':
        this.#serving.get(input.token)?.resolve(input.message);
        this.#serving.delete(input.token);
        break;
      case 'unserved':
        this.#serving.get(input.token)?.reject(new Error('the request could not be served'));
        this.#serving.delete(input.token);
        break;
      case 'forgetKeys':
        this.forgetKeys(input.sessionId);
        break;
      case 'forgetKeysOf':
        this.forgetKeysOf(input.origin);
        break;
    }
  }

  #ask(message: DiameterMessage, peer: string): Promise<DiameterMessage> {
    const { onRequest, perform } = this.#options;
    if (onRequest) return onRequest(message, peer);
    this.#lastToken += 1;
    const token = this.#lastToken;
    return new Promise((resolve, reject) => {
      this.#serving.set(token, { resolve, reject });
      perform?.({ type: 'serve', token, peer, message });
    });
  }

  /** The session is over: nothing that is kept for repeated requests holds its keys any more. */
  forgetKeys(sessionId: string): void {
    this.#duplicates.forgetKeys(sessionId);
  }

  /** All sessions of this Origin-Host are over. */
  forgetKeysOf(origin: string): void {
    this.#duplicates.forgetKeysOf(origin);
  }

  // -------------------------------------------------------------------------------------------------------- peers

  /** Takes other peers and routes; peers that stay what they are keep their connections. Like the constructor, for one that runs. */
  reconfigure(peers: readonly DiameterPeerOptions[], routes: readonly Route[] | undefined): void {
    const wanted = new Map(peers.map((peer) => [peer.host.toLowerCase(), peer]));
    for (const [host, entry] of [...this.#entries]) {
      const options = wanted.get(host);
      if (options && isSamePeer(entry.options, options)) {
        entry.options = options;
        wanted.delete(host);
        continue;
      }
      this.#entries.delete(host);
      // One that comes back at once should not be left alone for long (RFC 6733 5.4.3).
      const cause = options ? DISCONNECT_CAUSE.REBOOTING : DISCONNECT_CAUSE.DO_NOT_WANT_TO_TALK_TO_YOU;
      const next = options && this.#add(options);
      wanted.delete(host);
      this.#part(entry, cause, () => !this.#stopping && next?.driver.feed({ type: 'start' }));
    }
    for (const peer of wanted.values()) this.#add(peer).driver.feed({ type: 'start' });
    this.#client.routes = this.#routesOf(routes);
  }

  #add(options: DiameterPeerOptions): PeerEntry {
    const entry = this.#entry(options);
    this.#entries.set(options.host.toLowerCase(), entry);
    return entry;
  }

  #part(entry: PeerEntry, cause: number, left: () => void): void {
    entry.left = left;
    this.#leaving.add(entry);
    entry.driver.feed({ type: 'stop', cause });
    if (entry.peer.state === 'Closed') this.#leave(entry);
  }

  #leave(entry: PeerEntry): void {
    if (!this.#leaving.delete(entry)) return;
    entry.driver.stop();
    entry.attempt?.abort();
    entry.left?.();
  }

  #routesOf(routes: readonly Route[] = []): RouteTable<DiameterHop> {
    return new RouteTable<DiameterHop>(routes, this.#entries, () => randomWord(this.#host) / 2 ** 32);
  }

  #entry(options: DiameterPeerOptions): PeerEntry {
    const { origin, productName, vendorId, ownVendor, applications, watchdog, reconnect, timeout, listen } =
      this.#options;
    const local: LocalCapabilities = {
      origin,
      addresses: listen.map(({ address }) => parseAddress(address)).filter(isSpecific),
      productName,
      vendorId,
      originStateId: this.originStateId,
      applications,
      supportedVendors: [ownVendor],
    };
    const initiates = addressesOf(options).length > 0;
    const identifiers = this.#identifiers;
    const { host, relay: mayRelay = false } = options;
    const config = { host, mayRelay, local, identifiers, watchdog, reconnect, timeout, initiates };
    return new PeerEntry(
      options,
      new Peer(config, this.grammarian, this.#host.random(32)),
      this.#host,
      (entry, output) => this.#perform(entry, output),
      this.#options.guard && ((entry, error, input, output) => this.#faulted(entry, error, input, output)),
      (entry, connection, message) => this.#send(entry, connection, message),
    );
  }

  /** A machine that threw is taken down to where it begins: its connection, or all of them at a tick. */
  #faulted(entry: PeerEntry, error: unknown, input: PeerInput, output: PeerOutput | undefined): void {
    this.#guard.fault(input.type === 'tick' ? 'timer' : 'diameter', error);
    if (output) return;
    const of = 'connection' in input ? [input.connection] : [...entry.connections.keys()];
    for (const id of of) entry.connections.get(id)?.reset();
  }

  #perform(entry: PeerEntry, output: PeerOutput): void {
    const { host } = entry;
    const { onEvent } = this.#options;
    switch (output.type) {
      case 'connect':
        void this.#guard.settle('diameter', this.#connect(entry));
        break;
      case 'abort':
        entry.attempt?.abort();
        entry.attempt = undefined;
        break;
      case 'send':
        this.#send(entry, output.connection, output.message);
        break;
      case 'disconnect':
        entry.connections.get(output.connection)?.end();
        entry.connections.delete(output.connection);
        break;
      case 'open':
        onEvent({ type: 'peerOpen', peer: host, capabilities: output.peer });
        break;
      case 'closed':
        this.#client.lost(entry, output.reason);
        onEvent({ type: 'peerClosed', peer: host, reason: output.reason });
        this.#settled?.();
        this.#leave(entry);
        break;
      case 'rejected':
        onEvent({ type: 'dropped', peer: host, code: 'rejected' });
        break;
      case 'deliver':
        if (output.message.flags & FLAG.R) {
          void this.#guard.settle('diameter', this.#serve(entry, output.connection, output.message));
        } else if (!this.#client.answer(entry, output.message)) {
          wipeKeys(output.message.avps);
          onEvent({ type: 'dropped', peer: host, code: 'unknown-answer' });
        }
        break;
      case 'dropped':
        onEvent({ type: 'dropped', peer: host, code: output.code });
        break;
      case 'failover':
        onEvent({ type: 'peerSuspected', peer: host });
        this.#client.suspected(entry);
        break;
      case 'failback':
        onEvent({ type: 'peerTrusted', peer: host });
        break;
    }
  }

  async #serve(entry: PeerEntry, connection: ConnectionId, request: DiameterMessage): Promise<void> {
    const violation =
      entry.serving >= MAX_SERVING || this.#stopping
        ? { resultCode: RESULT.TOO_BUSY, failedAvp: undefined, text: 'too many requests at once' }
        : checkRequest(this.grammarian, this.#options, entry.capabilities, request, (host) => this.#isAgent(host));
    if (violation) {
      this.#refuse(entry, connection, request, violation);
      return;
    }
    const now = this.#host.monotonic();
    const known = this.#duplicates.find(request, now);
    if (known) this.#options.onEvent({ type: 'duplicate', peer: entry.host });
    entry.serving += 1;
    try {
      const answer = known ?? this.#ask(request, entry.host);
      // First of all who wait for it: the copy is made before the keys are overwritten.
      if (!known) this.#duplicates.keep(request, answer, now, entry.host);
      const message = await answer;
      const isSent = this.#send(entry, connection, message);
      wipeKeys(message.avps);
      if (isSent) return;
      const text = 'the answer is too long';
      this.#refuse(entry, connection, request, { resultCode: RESULT.UNABLE_TO_COMPLY, failedAvp: undefined, text });
    } catch (error) {
      if (isFault(error)) this.#guard.fault('diameter', error);
      this.#options.onEvent({ type: 'failed', peer: entry.host, error });
      const text = 'the request could not be served';
      this.#refuse(entry, connection, request, { resultCode: RESULT.UNABLE_TO_COMPLY, failedAvp: undefined, text });
    } finally {
      entry.serving -= 1;
      if (entry.serving === 0) this.#settled?.();
    }
  }

  #isAgent(host: string): boolean {
    return this.#entries.get(host)?.options.relay === true;
  }

  #refuse(entry: PeerEntry, connection: ConnectionId, request: DiameterMessage, violation: Violation): void {
    this.#send(entry, connection, errorAnswer(this.grammarian, this.origin, request, violation));
  }

  /** An answer whose connection is gone is not sent: nobody waits for it (RFC 6733 6.2). False: it is too long. */
  #send(entry: PeerEntry, connection: ConnectionId, message: DiameterMessage): boolean {
    const to = entry.connections.get(connection);
    if (!to) return true;
    if (!to.send(message)) {
      this.#options.onEvent({ type: 'dropped', peer: entry.host, code: 'too-long' });
      return false;
    }
    this.#options.onEvent({ type: 'message', direction: 'out', peer: entry.host, message });
    return true;
  }

  // -------------------------------------------------------------------------------------------------- connections

  async #connect(entry: PeerEntry): Promise<void> {
    const { options, driver } = entry;
    const { transport = this.#transport } = options;
    const { port = options.secure ? DIAMETER_TLS_PORT : DIAMETER_PORT } = options;
    const attempt = new AbortController();
    entry.attempt = attempt;
    const cancel = this.#host.after(this.#options.timeout, () => attempt.abort());
    let reason = 'cannot connect';
    for (const address of addressesOf(options)) {
      try {
        const connection = await transport.connect({ address, port }, entry.host, attempt.signal);
        cancel();
        if (entry.attempt !== attempt) connection.reset();
        else this.#connected(entry, connection);
        return;
      } catch (error) {
        reason = `cannot connect to ${address} port ${port}: ${codeOf(error)}`;
      }
    }
    cancel();
    if (entry.attempt !== attempt) return;
    entry.attempt = undefined;
    driver.feed({ type: 'connectFailed', reason });
  }

  #connected(entry: PeerEntry, transport: TransportConnection): void {
    entry.attempt = undefined;
    if (!transport.mayBe(entry.host)) {
      transport.reset();
      entry.driver.feed({ type: 'connectFailed', reason: `the other end is not ${entry.host}` });
      return;
    }
    const id = this.#nextConnection();
    const events = {
      message: (message: DiameterMessage) => this.#received(entry, id, message),
      malformed: (code: string, salvage: Salvage | undefined) => this.#malformed(entry, id, code, salvage),
      untrusted: (salvage: Salvage | undefined) => this.#untrusted(entry, connection, salvage),
      closed: () => this.#closed(entry, id),
    };
    const connection: DiameterConnection = new DiameterConnection(transport, events, this.#host, this.#guard);
    entry.connections.set(id, connection);
    entry.driver.feed({ type: 'connected', connection: id, address: transport.localAddress });
  }

  #listen({ address, port, transport = this.#transport }: DiameterListenOptions): Promise<TransportListener> {
    const accept = (connection: TransportConnection) =>
      this.#guard.run(
        'diameter',
        () => this.#accept(connection),
        () => connection.reset(),
      );
    return transport.listen({ address, port }, accept, this.#slots);
  }

  /** RFC 6733 5.6: a connection belongs to no peer before its CER. */
  #accept(transport: TransportConnection): void {
    const id = this.#nextConnection();
    let entry: PeerEntry | undefined;
    const full = () => this.#turnAway(connection, 'too-many-connections');
    const leave = this.#stopping ? undefined : this.#slots.enter(transport.remoteAddress, full, this.#host.monotonic());
    const cancel = this.#host.after(CER_TIMEOUT, () => this.#turnAway(connection, 'no-cer'));
    const known = () => {
      cancel();
      leave?.();
      this.#unknown.delete(connection);
    };
    const events = {
      message: (message: DiameterMessage) => {
        if (entry) {
          this.#received(entry, id, message);
          return;
        }
        entry = this.#introduce(id, connection, message);
        // One that was refused keeps its place until it is closed.
        if (!entry) return;
        known();
        this.#slots.accepted(transport.remoteAddress);
      },
      malformed: (code: string, salvage: Salvage | undefined) => {
        if (entry) this.#malformed(entry, id, code, salvage);
        else this.#turnAway(connection, code);
      },
      untrusted: (salvage: Salvage | undefined) => {
        if (entry) this.#untrusted(entry, connection, salvage);
        else this.#turnAway(connection, 'bad-stream');
      },
      closed: () => {
        known();
        if (entry) this.#closed(entry, id);
      },
    };
    const connection: DiameterConnection = new DiameterConnection(transport, events, this.#host, this.#guard);
    this.#unknown.add(connection);
    if (this.#stopping) connection.reset();
    else if (!leave) full();
  }

  /** The peer that a CER comes from; for anything else the connection is closed. */
  #introduce(id: ConnectionId, connection: DiameterConnection, message: DiameterMessage): PeerEntry | undefined {
    const { commandCode, flags, applicationId, avps } = message;
    if (commandCode !== CER.code || !(flags & FLAG.R) || applicationId !== APPLICATION.COMMON) {
      this.#turnAway(connection, 'no-cer');
      return undefined;
    }
    const host = this.grammarian.find(avps, 'Origin-Host');
    const entry = host === undefined ? undefined : this.#entries.get(host.toLowerCase());
    const code = entry ? notProven(entry, connection) : 'unknown-peer';
    if (!entry || code) {
      const broken = host === undefined ? this.grammarian.read(CER, message) : undefined;
      const stranger = { resultCode: RESULT.UNKNOWN_PEER, failedAvp: undefined, text: 'not a peer of this node' };
      const violation = isViolation(broken) ? broken : stranger;
      connection.send(errorAnswer(this.grammarian, this.origin, message, violation));
      connection.end();
      const from = connection.transport.remoteAddress;
      this.#options.onEvent({ type: 'peerRefused', peer: host, address: from, code: code ?? 'unknown-peer' });
      return undefined;
    }
    entry.connections.set(id, connection);
    this.#options.onEvent({ type: 'message', direction: 'in', peer: entry.host, message });
    entry.driver.feed({ type: 'accepted', connection: id, cer: message, address: connection.transport.localAddress });
    return entry;
  }

  #turnAway(connection: DiameterConnection, code: string): void {
    this.#unknown.delete(connection);
    connection.reset();
    this.#options.onEvent({ type: 'dropped', peer: undefined, code });
  }

  #received(entry: PeerEntry, id: ConnectionId, message: DiameterMessage): void {
    this.#options.onEvent({ type: 'message', direction: 'in', peer: entry.host, message });
    entry.driver.feed({ type: 'message', connection: id, message });
  }

  #closed(entry: PeerEntry, id: ConnectionId): void {
    entry.connections.delete(id);
    entry.driver.feed({ type: 'disconnected', connection: id });
  }

  /** RFC 6733 7.1.5: a request whose AVPs make no sense is answered, and the connection goes on. */
  #malformed(entry: PeerEntry, id: ConnectionId, code: string, salvage: Salvage | undefined): void {
    this.#options.onEvent({ type: 'dropped', peer: entry.host, code });
    const request = salvage && brokenRequest(salvage);
    if (request && entry.peer.connection === id) {
      this.#refuse(entry, id, request, violationOf(this.grammarian, salvage));
    }
  }

  /** RFC 6733 2.1: where the next message begins is not known any more. */
  #untrusted(entry: PeerEntry, connection: DiameterConnection, salvage: Salvage | undefined): void {
    this.#options.onEvent({ type: 'dropped', peer: entry.host, code: 'bad-stream' });
    const request = salvage && brokenRequest(salvage);
    if (!request) {
      connection.reset();
      return;
    }
    connection.send(errorAnswer(this.grammarian, this.origin, request, violationOf(this.grammarian, salvage)));
    connection.end();
  }

  #nextConnection(): ConnectionId {
    this.#lastConnection += 1;
    return this.#lastConnection;
  }
}

function randomWord(host: Host): number {
  const [a = 0, b = 0, c = 0, d = 0] = host.random(4);
  return a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
}

function brokenRequest({ header, avps }: Salvage): DiameterMessage | undefined {
  return header.flags & FLAG.R ? { ...header, avps } : undefined;
}

/** Neither 0.0.0.0 nor ::, which are no addresses of a host. */
function isSpecific(octets: Uint8Array | undefined): octets is Uint8Array {
  return octets?.some((octet) => octet !== 0) ?? false;
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'no answer';
}
