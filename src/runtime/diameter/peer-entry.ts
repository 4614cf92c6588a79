import { isDeepStrictEqual } from 'node:util';
import type { PeerCapabilities } from '../../protocol/diameter/peer/capabilities.js';
import type { ConnectionId, Peer, PeerInput, PeerOutput } from '../../protocol/diameter/peer/peer.js';
import type { DiameterMessage } from '../../protocol/diameter/wire/codec.js';
import { PeerSources } from '../net/peer-sources.js';
import { Driver } from '../system/driver.js';
import type { Host } from '../system/host.js';
import type { DiameterConnection } from './connection.js';
import type { DiameterHop } from './requests.js';
import type { Transport } from './transport.js';

export interface DiameterPeerOptions {
  /** DiameterIdentity. */
  readonly host: string;
  /** Where to connect to, each tried in turn; none: the peer connects to us. */
  readonly address?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  /** Addresses and networks (`2001:db8:1::/64`) that it connects from without TLS, beside those. */
  readonly from?: readonly string[] | undefined;
  readonly port?: number | undefined;
  readonly transport?: Transport | undefined;
  /** It is this peer only over a connection that TLS protects. */
  readonly secure?: boolean | undefined;
  /** It may bring requests of others (RFC 6733 2.8.1). */
  readonly relay?: boolean | undefined;
  /** Of several peers for a realm those with the lowest priority get requests, each its share by weight. */
  readonly priority?: number | undefined;
  readonly weight?: number | undefined;
}

/** One configured peer: its machine and what it stands on. */
export class PeerEntry implements DiameterHop {
  options: DiameterPeerOptions;
  readonly peer: Peer;
  readonly driver: Driver<PeerInput, PeerOutput>;
  readonly connections = new Map<ConnectionId, DiameterConnection>();
  readonly #sent: (entry: PeerEntry, connection: ConnectionId, message: DiameterMessage) => void;
  attempt: AbortController | undefined;
  serving = 0;
  /** Where it may connect from without TLS. */
  readonly sources: PeerSources;
  /** What is done once it has left; undefined: it stays. */
  left: (() => void) | undefined;

  constructor(
    options: DiameterPeerOptions,
    peer: Peer,
    host: Host,
    perform: (entry: PeerEntry, output: PeerOutput) => void,
    onFault: ((entry: PeerEntry, error: unknown, input: PeerInput, output: PeerOutput | undefined) => void) | undefined,
    send: (entry: PeerEntry, connection: ConnectionId, message: DiameterMessage) => void,
  ) {
    this.options = options;
    this.sources = new PeerSources(options);
    this.peer = peer;
    this.driver = new Driver<PeerInput, PeerOutput>(
      peer,
      (output) => perform(this, output),
      host,
      onFault && ((error, input, output) => onFault(this, error, input, output)),
    );
    this.#sent = send;
  }

  get host(): string {
    return this.options.host;
  }

  get capabilities(): PeerCapabilities | undefined {
    return this.peer.capabilities;
  }

  get priority(): number {
    return this.options.priority ?? 0;
  }

  get weight(): number {
    return this.options.weight ?? 1;
  }

  get trusted(): boolean {
    return this.peer.trusted;
  }

  get connected(): boolean {
    return this.peer.connection !== undefined;
  }

  nextHopByHop(): number {
    return this.peer.nextHopByHop();
  }

  send(message: DiameterMessage): void {
    const { connection } = this.peer;
    if (connection !== undefined) this.#sent(this, connection, message);
  }
}

/** Which peers are asked first can change under a connection. */
export function isSamePeer(
  { priority: _p, weight: _w, ...a }: DiameterPeerOptions,
  other: DiameterPeerOptions,
): boolean {
  const { priority: _q, weight: _v, ...b } = other;
  return a.transport === b.transport && isDeepStrictEqual({ ...a, transport: 0 }, { ...b, transport: 0 });
}

/** Why a connection is not that peer's, whatever its CER says; undefined: it is. */
export function notProven(
  { options, host, sources }: PeerEntry,
  { transport }: DiameterConnection,
): string | undefined {
  if (transport.secure ? !transport.mayBe(host) : options.secure === true) return 'peer-not-authenticated';
  return transport.secure || sources.has(transport.remoteAddress) ? undefined : 'peer-address';
}
