import { DeadlineQueue } from '../../bytes/deadline-queue.js';
import { Drbg } from '../../bytes/drbg.js';
import { xorshift } from '../../bytes/xorshift.js';
import type { ConnectionId, PeerInput, PeerOutput } from '../peer/alphabet.js';
import type { PeerCapabilities } from '../peer/capabilities.js';
import { EndToEndIdentifiers } from '../peer/identifiers.js';
import { FLAG } from '../wire/codec.js';
import { DISCONNECT_CAUSE } from '../wire/dictionary.js';
import type { Grammarian } from '../wire/grammar.js';
import { wipeKeys } from '../wire/keys.js';
import type { Ends, NodeConfig, NodeInput, NodeOutput, NodePeer, NodePeerStatus } from './alphabet.js';
import { Attempts } from './attempts.js';
import { ConnectionAdmission } from './connection-admission.js';
import { bears, eventOf, isSamePeer, type PeerEntry, statusOf } from './peer-entry.js';
import { PeerFactory } from './peer-factory.js';
import { type RequestOutput, Requests } from './requests.js';
import { type Route, RouteTable } from './routing.js';
import { Serving, sending } from './serving.js';

/**
 * After an exception, the machine of a peer is not called for this time, in milliseconds, because its deadline may
 * still be in the past.
 */
const FAULT_PAUSE = 1_000;

/** A stopping node first answers pending requests, then sends DPR to its peers. */
type State =
  | { readonly name: 'new' | 'running' | 'stopped' }
  | { readonly name: 'answering' | 'leaving'; readonly until: number };

/** A Diameter node that is not an agent (RFC 6733): its peers, connections, requests and answers. */
export class NodeMachine {
  readonly #unit: () => number;
  readonly #factory: PeerFactory;
  /** Peers by DiameterIdentity in lower case. */
  readonly #entries = new Map<string, PeerEntry>();
  /** Removed peers until they have sent DPA, each with the peer that replaces it, if any. */
  readonly #leaving = new Map<PeerEntry, PeerEntry | undefined>();
  readonly #deadlines = new DeadlineQueue<PeerEntry>();
  /** Peer by connection. */
  readonly #connections = new Map<ConnectionId, PeerEntry>();
  readonly #attempts: Attempts;
  readonly #admission: ConnectionAdmission;
  readonly #serving: Serving;
  readonly #requests: Requests<PeerEntry>;
  #routes: RouteTable<PeerEntry>;
  #state: State = { name: 'new' };

  /**
   * `seed`: 32 random octets. `wall`: the wall clock at start in seconds, which makes identifiers unique across
   * restarts.
   */
  constructor(config: NodeConfig, grammarian: Grammarian, seed: Uint8Array, wall: number) {
    const drbg = new Drbg(seed);
    this.#unit = xorshift(drbg.u32());
    const identifiers = new EndToEndIdentifiers(wall, drbg.u32());
    this.#factory = new PeerFactory(config, grammarian, identifiers, drbg);
    this.#attempts = new Attempts(config.timeout);
    this.#admission = new ConnectionAdmission(grammarian, config.origin, this.#entries);
    this.#serving = new Serving(grammarian, config, (host) => this.#entries.get(host)?.options.relay === true);
    this.#routes = this.#routesOf([]);
    this.#requests = new Requests(grammarian, identifiers, this.#entries, this.#routes);
  }

  get deadline(): number | undefined {
    const state = this.#state;
    if (state.name === 'stopped') return undefined;
    let first = 'until' in state ? state.until : undefined;
    for (const { deadline } of [this.#attempts, this.#admission, this.#requests, this.#serving.duplicates]) {
      if (deadline !== undefined && (first === undefined || deadline < first)) first = deadline;
    }
    const ofPeers = this.#deadlines.first;
    return ofPeers !== undefined && (first === undefined || ofPeers < first) ? ofPeers : first;
  }

  /** State of each peer, for display. */
  status(): NodePeerStatus[] {
    return [...this.#entries.values()].map((entry) => statusOf(entry, this.#requests.inFlight(entry)));
  }

  /** Capabilities of a peer; undefined: it is not connected. */
  capabilitiesOf(host: string): PeerCapabilities | undefined {
    return this.#entries.get(host.toLowerCase())?.capabilities;
  }

  handle(input: NodeInput, now: number): NodeOutput[] {
    const out: NodeOutput[] = [];
    this.#handle(input, now, out);
    this.#progress(now, out);
    return out;
  }

  #handle(input: NodeInput, now: number, out: NodeOutput[]): void {
    switch (input.type) {
      case 'start':
        if (this.#isStopping) break;
        this.#state = { name: 'running' };
        for (const entry of this.#entries.values()) this.#step(entry, input, now, out);
        break;
      case 'configure':
        this.#configure(input.peers, input.routes, now, out);
        break;
      case 'request':
        this.#requested(this.#requests.request(input, now), out);
        break;
      case 'answer':
        out.push(...this.#serving.answer(input.token, input.message, now));
        break;
      case 'unserved':
        out.push(...this.#serving.unserved(input.token));
        break;
      case 'forgetKeys':
        this.#serving.duplicates.forgetKeys(input.sessionId);
        break;
      case 'forgetKeysOf':
        this.#serving.duplicates.forgetKeysOf(input.origin);
        break;
      case 'connected':
        this.#connected(input, now, out);
        break;
      case 'connectFailed':
        this.#next(this.#attempts.failed(input.attempt, input.reason, now), now, out);
        break;
      case 'incoming':
      case 'accepted':
        if (this.#isStopping) out.push({ type: 'reset', connection: input.connection });
        else out.push(...this.#admission.handle(input, now));
        break;
      case 'message':
      case 'malformed':
      case 'untrusted':
        this.#received(input, now, out);
        break;
      case 'closed':
        this.#closed(input.connection, now, out);
        break;
      case 'stop':
        this.#stop(input.timeout, now, out);
        break;
      case 'tick':
        this.#tick(now, out);
        break;
    }
  }

  #tick(now: number, out: NodeOutput[]): void {
    for (const id of this.#attempts.due(now)) {
      out.push({ type: 'abandon', attempt: id });
      this.#next(this.#attempts.failed(id, 'no answer', now), now, out);
    }
    for (let entry = this.#deadlines.due(now); entry; entry = this.#deadlines.due(now)) {
      this.#step(entry, { type: 'tick' }, now, out);
    }
    this.#requested(this.#requests.tick(now), out);
    out.push(...this.#admission.handle({ type: 'tick' }, now));
    this.#serving.duplicates.tick(now);
  }

  // -------------------------------------------------------------------------------------------------------- peers

  #configure(peers: readonly NodePeer[], routes: readonly Route[] = [], now: number, out: NodeOutput[]): void {
    const wanted = new Map(peers.map((peer) => [peer.host.toLowerCase(), peer]));
    for (const [host, entry] of [...this.#entries]) {
      const options = wanted.get(host);
      wanted.delete(host);
      if (options && isSamePeer(entry.options, options)) {
        entry.options = options;
        continue;
      }
      this.#entries.delete(host);
      this.#leaving.set(entry, options && this.#add(options));
      // A reconfigured peer should reconnect soon (RFC 6733 5.4.3).
      const cause = options ? DISCONNECT_CAUSE.REBOOTING : DISCONNECT_CAUSE.DO_NOT_WANT_TO_TALK_TO_YOU;
      this.#step(entry, { type: 'stop', cause }, now, out);
      if (entry.peer.state === 'Closed') this.#left(entry, now, out);
    }
    for (const options of wanted.values()) this.#start(this.#add(options), now, out);
    this.#routes = this.#routesOf(routes);
    this.#requests.reroute(this.#routes);
  }

  #add(options: NodePeer): PeerEntry {
    const entry = this.#factory.make(options);
    this.#entries.set(options.host.toLowerCase(), entry);
    return entry;
  }

  #start(entry: PeerEntry, now: number, out: NodeOutput[]): void {
    if (this.#state.name === 'running') this.#step(entry, { type: 'start' }, now, out);
  }

  /** Starts the replacement of a removed peer that has closed, if there is one. */
  #left(entry: PeerEntry, now: number, out: NodeOutput[]): void {
    const next = this.#leaving.get(entry);
    if (!this.#leaving.delete(entry)) return;
    this.#deadlines.set(entry, undefined);
    if (next) this.#start(next, now, out);
  }

  #routesOf(routes: readonly Route[]): RouteTable<PeerEntry> {
    return new RouteTable(routes, this.#entries, this.#unit);
  }

  /**
   * Passes an input to the machine of a peer. After an exception, the connection of the input is closed; if the input
   * was a tick, all connections of the peer are closed.
   */
  #step(entry: PeerEntry, input: PeerInput, now: number, out: NodeOutput[]): void {
    let outputs: PeerOutput[];
    try {
      outputs = entry.peer.handle(input, now);
    } catch (error) {
      const at = input.type === 'tick' ? 'tick' : 'input';
      out.push({ type: 'event', event: { type: 'fault', peer: entry.host, at, error } });
      const broken = 'connection' in input ? [input.connection] : entry.connections.keys();
      for (const connection of broken) out.push({ type: 'reset', connection });
      this.#deadlines.set(entry, now + FAULT_PAUSE);
      return;
    }
    this.#deadlines.set(entry, entry.peer.deadline);
    for (const output of outputs) this.#perform(entry, output, now, out);
  }

  #perform(entry: PeerEntry, output: PeerOutput, now: number, out: NodeOutput[]): void {
    if (output.type === 'closed') this.#requested(this.#requests.lost(entry, output.reason), out);
    const event = eventOf(entry, output);
    if (event) out.push({ type: 'event', event });
    switch (output.type) {
      case 'connect':
        this.#next(this.#attempts.begin(entry, now), now, out);
        break;
      case 'abort':
        out.push(...this.#attempts.abandon(entry));
        break;
      case 'send':
        out.push(...sending(entry, output.connection, output.message, false));
        break;
      case 'disconnect':
        this.#forget(entry, output.connection);
        out.push({ type: 'close', connection: output.connection });
        break;
      case 'closed':
        this.#left(entry, now, out);
        break;
      case 'deliver':
        this.#deliver(entry, output, now, out);
        break;
      case 'failover':
        this.#requested(this.#requests.suspected(entry), out);
        break;
      default:
        // The other outputs are only reported as events.
        break;
    }
  }

  #deliver(
    entry: PeerEntry,
    { connection, message }: Extract<PeerOutput, { type: 'deliver' }>,
    now: number,
    out: NodeOutput[],
  ): void {
    if (message.flags & FLAG.R) {
      out.push(...this.#serving.request({ entry, connection, request: message }, this.#isStopping, now));
      return;
    }
    const outputs = this.#requests.answer(entry, message);
    if (outputs) this.#requested(outputs, out);
    else {
      wipeKeys(message.avps);
      out.push({ type: 'event', event: { type: 'dropped', peer: entry.host, code: 'unknown-answer' } });
    }
  }

  #requested(outputs: readonly RequestOutput<PeerEntry>[], out: NodeOutput[]): void {
    for (const output of outputs) {
      if (output.type === 'send') {
        const { connection } = output.hop.peer;
        if (connection !== undefined) out.push(...sending(output.hop, connection, output.message, false));
      } else if (output.type === 'failedOver') {
        out.push({ type: 'event', event: { type: 'failedOver', peer: output.from.host, to: output.to.host } });
      } else {
        out.push(output);
      }
    }
  }

  // -------------------------------------------------------------------------------------------------- connections

  /** Performs the next step of a connection attempt; undefined: it was abandoned. */
  #next(next: ReturnType<Attempts['failed']>, now: number, out: NodeOutput[]): void {
    if (next?.type === 'connect') out.push(next.output);
    if (next?.type === 'exhausted') this.#step(next.entry, { type: 'connectFailed', reason: next.reason }, now, out);
  }

  #connected(
    { attempt, connection, ends }: Extract<NodeInput, { type: 'connected' }>,
    now: number,
    out: NodeOutput[],
  ): void {
    const entry = this.#attempts.end(attempt);
    if (!entry || !bears(ends, entry.host)) {
      out.push({ type: 'reset', connection });
      if (entry) this.#step(entry, { type: 'connectFailed', reason: `the other end is not ${entry.host}` }, now, out);
      return;
    }
    this.#adopt(entry, connection, ends);
    this.#step(entry, { type: 'connected', connection, address: ends.localAddress }, now, out);
  }

  #received(
    input: Extract<NodeInput, { type: 'message' | 'malformed' | 'untrusted' }>,
    now: number,
    out: NodeOutput[],
  ): void {
    const { connection } = input;
    const entry = this.#connections.get(connection);
    if (!entry) {
      this.#introduced(input, now, out);
    } else if (input.type === 'message') {
      const { message } = input;
      out.push({ type: 'event', event: { type: 'message', direction: 'in', peer: entry.host, message } });
      this.#step(entry, { type: 'message', connection, message }, now, out);
    } else {
      out.push(...this.#serving.broken(entry, input));
      if (input.type === 'untrusted') this.#closed(connection, now, out);
    }
  }

  /** Handles the first message of a connection. Closes the connection if the message is not a CER. */
  #introduced(
    input: Extract<NodeInput, { type: 'message' | 'malformed' | 'untrusted' }>,
    now: number,
    out: NodeOutput[],
  ): void {
    const { entry, ends, outputs } = this.#admission.introduced(input);
    out.push(...outputs);
    if (!entry || input.type !== 'message') return;
    const { connection, message } = input;
    this.#adopt(entry, connection, ends);
    out.push({ type: 'event', event: { type: 'message', direction: 'in', peer: entry.host, message } });
    this.#step(entry, { type: 'accepted', connection, cer: message, address: ends.localAddress }, now, out);
  }

  #adopt(entry: PeerEntry, connection: ConnectionId, ends: Ends): void {
    entry.connections.set(connection, ends);
    this.#connections.set(connection, entry);
  }

  #forget(entry: PeerEntry, connection: ConnectionId): void {
    entry.connections.delete(connection);
    this.#connections.delete(connection);
  }

  #closed(connection: ConnectionId, now: number, out: NodeOutput[]): void {
    this.#admission.closed(connection);
    const entry = this.#connections.get(connection);
    if (!entry) return;
    this.#forget(entry, connection);
    this.#step(entry, { type: 'disconnected', connection }, now, out);
  }

  // --------------------------------------------------------------------------------------------------------- stop

  get #isStopping(): boolean {
    return this.#state.name !== 'new' && this.#state.name !== 'running';
  }

  get #all(): PeerEntry[] {
    return [...this.#entries.values(), ...this.#leaving.keys()];
  }

  #stop(timeout: number, now: number, out: NodeOutput[]): void {
    if (this.#isStopping) return;
    this.#state = { name: 'answering', until: now + timeout };
    out.push(...this.#admission.clear());
  }

  /** Takes the next step of stopping when no request is being served, no peer is left, or the time limit has passed. */
  #progress(now: number, out: NodeOutput[]): void {
    const state = this.#state;
    if (!('until' in state)) return;
    const isLate = now >= state.until;
    if (state.name === 'answering') {
      if (!isLate && this.#all.some(({ serving }) => serving > 0)) return;
      this.#state = { name: 'leaving', until: state.until };
      this.#requested(this.#requests.stop(), out);
      for (const entry of this.#all) this.#step(entry, { type: 'stop', cause: DISCONNECT_CAUSE.REBOOTING }, now, out);
    }
    if (!isLate && this.#all.some(({ peer }) => peer.state !== 'Closed')) return;
    // These connections did not close in time. Those that did are no longer listed and still send their queued data.
    for (const connection of this.#connections.keys()) out.push({ type: 'reset', connection });
    this.#state = { name: 'stopped' };
    this.#serving.duplicates.clear();
    out.push({ type: 'stopped' });
  }
}
