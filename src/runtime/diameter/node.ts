import type {
  Ends,
  NodeConfig,
  NodeEvent,
  NodeInput,
  NodeOutput,
  NodePeer,
} from '../../protocol/diameter/node/alphabet.js';
import type { ApplicationInput, ApplicationOutput } from '../../protocol/diameter/node/application.js';
import { NodeMachine } from '../../protocol/diameter/node/node.js';
import type { Route } from '../../protocol/diameter/node/routing.js';
import type { ConnectionId } from '../../protocol/diameter/peer/alphabet.js';
import type { PeerCapabilities } from '../../protocol/diameter/peer/capabilities.js';
import type { Origin } from '../../protocol/diameter/wire/answers.js';
import type { DiameterMessage, Salvage } from '../../protocol/diameter/wire/codec.js';
import { Dictionary } from '../../protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../protocol/diameter/wire/grammar.js';
import { wipeKeys } from '../../protocol/diameter/wire/keys.js';
import { type Guard, unguarded } from '../service/barrier.js';
import { Driver } from '../system/driver.js';
import { type Host, systemHost } from '../system/host.js';
import { DiameterConnection } from './connection.js';
import {
  type IncomingConnection,
  type Transport,
  type TransportConnection,
  type TransportListener,
  tcpTransport,
} from './transport.js';

export interface DiameterListenOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** Undefined: the node's transport without TLS. */
  readonly transport?: Transport | undefined;
}

export interface DiameterPeerOptions extends NodePeer {
  /** Undefined: the node's transport without TLS. */
  readonly transport?: Transport | undefined;
}

export interface DiameterNodeOptions extends Omit<NodeConfig, 'addresses' | 'originStateId'> {
  /** Must be greater than in the last run (RFC 6733 8.16). Undefined: the wall clock in seconds. */
  readonly originStateId?: number | undefined;
  readonly listen: readonly DiameterListenOptions[];
  readonly peers: readonly DiameterPeerOptions[];
  /** Undefined: every peer serves every realm. */
  readonly routes?: readonly Route[] | undefined;
  /** Receives answers to the application's requests, and requests that the application has to answer with `feed`. */
  readonly perform: (output: ApplicationOutput) => void;
  readonly onEvent: (event: DiameterEvent) => void;
  readonly guard?: Guard | undefined;
  /** Undefined: the system's host. */
  readonly host?: Host | undefined;
  /** Transport of peers and listeners that have none of their own. Undefined: TCP without TLS. */
  readonly transport?: Transport | undefined;
}

/** The part of the surroundings that a Diameter node needs. */
export interface DiameterSurroundings {
  readonly host: Host;
  /** Transport without TLS. */
  readonly transport: Transport;
}

/** An event for logs and counters. Faults go to the guard instead. */
export type DiameterEvent = Exclude<NodeEvent, { readonly type: 'fault' }>;

/** Drives the Diameter node machine: connects it to transports, connections, timers and an application. */
export class DiameterNode {
  readonly grammarian: Grammarian;
  readonly originStateId: number;
  readonly #options: DiameterNodeOptions;
  readonly #host: Host;
  readonly #guard: Guard;
  readonly #machine: NodeMachine;
  readonly #driver: Driver<NodeInput, NodeOutput>;
  readonly #listeners: TransportListener[] = [];
  readonly #connections = new Map<ConnectionId, DiameterConnection>();
  /** Incoming connections whose TLS handshake is not complete, each with the function that closes it. */
  readonly #handshaking = new Map<ConnectionId, () => void>();
  readonly #attempts = new Map<number, AbortController>();
  /** The transports of peers that have their own, by DiameterIdentity in lower case. */
  #transports: ReadonlyMap<string, Transport>;
  readonly #stopped: Promise<void>;
  readonly #resolveStopped: () => void;
  #lastConnection: ConnectionId = 0;

  constructor(options: DiameterNodeOptions) {
    this.#options = options;
    const host = options.host ?? systemHost;
    this.#host = host;
    this.#guard = options.guard ?? unguarded;
    this.originStateId = options.originStateId ?? Math.floor(host.wall() / 1000);
    this.grammarian = new Grammarian(new Dictionary(options.ownVendor));
    const addresses = options.listen.map(({ address }) => address);
    const config = { ...options, originStateId: this.originStateId, addresses };
    this.#machine = new NodeMachine(config, this.grammarian, host.random(32), host.wall() / 1000);
    this.#transports = transportsOf(options.peers);
    let resolveStopped: () => void = () => undefined;
    this.#stopped = new Promise((resolve) => {
      resolveStopped = resolve;
    });
    this.#resolveStopped = resolveStopped;
    this.#driver = new Driver<NodeInput, NodeOutput>(
      this.#machine,
      (output) => this.#perform(output),
      host,
      options.guard && ((error, input, output) => this.#faulted(error, input, output)),
    );
    this.#driver.feed({ type: 'configure', peers: options.peers, routes: options.routes });
  }

  get origin(): Origin {
    return this.#options.origin;
  }

  /** Opens the listeners and connects to the peers. If a listener fails, closes the others and rejects. */
  async start(): Promise<void> {
    try {
      for (const at of this.#options.listen) this.#listeners.push(await this.#listen(at));
    } catch (error) {
      await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
      throw error;
    }
    this.#driver.feed({ type: 'start' });
  }

  /** The addresses that the node listens on. */
  get addresses(): readonly { readonly address: string; readonly port: number }[] {
    return this.#listeners.map(({ address, port }) => ({ address, port }));
  }

  /**
   * Answers pending requests, sends DPR to every peer and closes all connections, at the latest after `timeout`
   * milliseconds. The node's own pending requests fail.
   */
  async stop(timeout = 2_000): Promise<void> {
    const closing = this.#listeners.map((listener) => listener.close());
    this.#driver.feed({ type: 'stop', timeout });
    await this.#stopped;
    this.#driver.stop();
    await Promise.all(closing);
  }

  /** Passes an input of the application to the node. Outputs for the application go to `perform`. */
  feed(input: ApplicationInput): void {
    this.#driver.feed(input);
  }

  /** Replaces peers and routes. Unchanged peers keep their connections. */
  reconfigure(peers: readonly DiameterPeerOptions[], routes: readonly Route[] | undefined): void {
    this.#transports = transportsOf(peers);
    this.#driver.feed({ type: 'configure', peers, routes });
  }

  /** The state of each peer, for status output. */
  status() {
    return this.#machine.status();
  }

  /** What a peer announced in its CER or CEA. Undefined: the peer is not connected. */
  capabilitiesOf(host: string): PeerCapabilities | undefined {
    return this.#machine.capabilitiesOf(host);
  }

  // ------------------------------------------------------------------------------------------------------ outputs

  #perform(output: NodeOutput): void {
    switch (output.type) {
      case 'connect':
        void this.#guard.settle('diameter', this.#connect(output));
        break;
      case 'abandon':
        this.#attempts.get(output.attempt)?.abort();
        this.#attempts.delete(output.attempt);
        break;
      case 'send':
        this.#connections.get(output.connection)?.send(output.message);
        if (output.isLast) wipeKeys(output.message.avps);
        break;
      case 'close':
        this.#connections.get(output.connection)?.end();
        break;
      case 'reset':
        this.#reset(output.connection);
        break;
      case 'event':
        this.#report(output.event);
        break;
      case 'stopped':
        this.#resolveStopped();
        break;
      case 'answered':
      case 'failed':
      case 'serve':
        this.#options.perform(output);
        break;
    }
  }

  #report(event: NodeEvent): void {
    if (event.type === 'fault') this.#guard.fault(event.at === 'tick' ? 'timer' : 'diameter', event.error);
    else this.#options.onEvent(event);
  }

  /** Handles an exception of the machine: resets the connection that the input came from. */
  #faulted(error: unknown, input: NodeInput, output: NodeOutput | undefined): void {
    this.#guard.fault(input.type === 'tick' ? 'timer' : 'diameter', error);
    if (!output && 'connection' in input) this.#reset(input.connection);
  }

  #reset(connection: ConnectionId): void {
    this.#handshaking.get(connection)?.();
    this.#handshaking.delete(connection);
    this.#connections.get(connection)?.reset();
  }

  // -------------------------------------------------------------------------------------------------- connections

  async #connect({ attempt, peer, address, port }: Extract<NodeOutput, { type: 'connect' }>): Promise<void> {
    const transport = this.#transports.get(peer.toLowerCase()) ?? this.#options.transport ?? tcpTransport;
    const controller = new AbortController();
    this.#attempts.set(attempt, controller);
    let made: TransportConnection;
    try {
      made = await transport.connect({ address, port }, peer, controller.signal);
    } catch (error) {
      if (!this.#attempts.delete(attempt)) return;
      this.#driver.feed({ type: 'connectFailed', attempt, reason: codeOf(error) });
      return;
    }
    if (!this.#attempts.delete(attempt)) {
      made.reset();
      return;
    }
    const connection = this.#nextConnection();
    this.#adopt(connection, made);
    this.#driver.feed({ type: 'connected', attempt, connection, ends: endsOf(made) });
  }

  #listen({ address, port, transport }: DiameterListenOptions): Promise<TransportListener> {
    const onIncoming = (from: string, drop: () => void) => this.#onIncoming(from, drop);
    return (transport ?? this.#options.transport ?? tcpTransport).listen({ address, port }, onIncoming, this.#guard);
  }

  #onIncoming(address: string, drop: () => void): IncomingConnection {
    const connection = this.#nextConnection();
    this.#handshaking.set(connection, drop);
    this.#driver.feed({ type: 'incoming', connection, address });
    return {
      accepted: (made) => {
        if (!this.#handshaking.delete(connection)) {
          made.reset();
          return;
        }
        this.#adopt(connection, made);
        this.#driver.feed({ type: 'accepted', connection, ends: endsOf(made) });
      },
      closed: () => {
        if (this.#handshaking.delete(connection)) this.#driver.feed({ type: 'closed', connection });
      },
    };
  }

  #adopt(connection: ConnectionId, made: TransportConnection): void {
    const feed = (input: NodeInput) => this.#driver.feed(input);
    const events = {
      message: (message: DiameterMessage) => feed({ type: 'message', connection, message }),
      malformed: (code: string, salvage: Salvage | undefined) => feed({ type: 'malformed', connection, code, salvage }),
      untrusted: (salvage: Salvage | undefined) => feed({ type: 'untrusted', connection, salvage }),
      closed: () => {
        this.#connections.delete(connection);
        feed({ type: 'closed', connection });
      },
    };
    this.#connections.set(connection, new DiameterConnection(made, events, this.#host, this.#guard));
  }

  #nextConnection(): ConnectionId {
    this.#lastConnection += 1;
    return this.#lastConnection;
  }
}

function transportsOf(peers: readonly DiameterPeerOptions[]): ReadonlyMap<string, Transport> {
  return new Map(peers.flatMap(({ host, transport }) => (transport ? [[host.toLowerCase(), transport]] : [])));
}

function endsOf({ localAddress, remoteAddress, identities }: TransportConnection): Ends {
  return { localAddress, remoteAddress, identities };
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error && error.message !== '' ? error.message : 'no answer';
}
