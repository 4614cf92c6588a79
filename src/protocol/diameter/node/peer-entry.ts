import type { AddressSet } from '../../bytes/address-set.js';
import type { ConnectionId, PeerOutput } from '../peer/alphabet.js';
import type { PeerCapabilities } from '../peer/capabilities.js';
import type { Peer } from '../peer/peer.js';
import type { Ends, NodeEvent, NodePeer, NodePeerStatus } from './alphabet.js';
import { sourcesOf } from './peer-sources.js';
import type { RequestHop } from './requests.js';

/** One configured peer with its machine. */
export class PeerEntry implements RequestHop {
  options: NodePeer;
  readonly peer: Peer;
  /** Addresses that it may connect from without TLS. */
  readonly sources: AddressSet;
  readonly connections = new Map<ConnectionId, Ends>();
  /** Number of unanswered requests from the peer. */
  serving = 0;

  constructor(options: NodePeer, peer: Peer) {
    this.options = options;
    this.peer = peer;
    this.sources = sourcesOf(options);
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
}

/** Whether a configuration change lets a peer keep its connection. Priority and weight may differ. */
export function isSamePeer(one: NodePeer, other: NodePeer): boolean {
  return connectionOf(one) === connectionOf(other);
}

function connectionOf({ host, address, addresses = [], from = [], port, secure = false, relay = false }: NodePeer) {
  return JSON.stringify([host, address, addresses, from, port, secure, relay]);
}

/** Why a connection cannot belong to this peer, whatever its CER says; undefined: it can. */
export function notProven({ options, host, sources }: PeerEntry, ends: Ends): string | undefined {
  if (ends.identities ? !bears(ends, host) : options.secure === true) return 'peer-not-authenticated';
  return ends.identities || sources.has(ends.remoteAddress) ? undefined : 'peer-address';
}

/**
 * Whether the remote end of a connection may be this host: with TLS, whether its certificate names the host. Wildcards
 * are not accepted.
 */
export function bears({ identities }: Ends, host: string): boolean {
  return identities === undefined || identities.some((name) => name.toLowerCase() === host.toLowerCase());
}

/** State of a peer, for display. `inFlight`: number of unanswered requests to it. */
export function statusOf({ host, peer, serving, connections }: PeerEntry, inFlight: number): NodePeerStatus {
  const ends = peer.connection === undefined ? undefined : connections.get(peer.connection);
  return {
    host,
    state: peer.state,
    watchdog: peer.watchdog,
    realm: peer.capabilities?.realm,
    productName: peer.capabilities?.productName,
    remoteAddress: ends?.remoteAddress,
    inFlight,
    serving,
  };
}

/** Converts an output of a peer's machine to an event for logs and counters; undefined: there is none. */
export function eventOf({ host: peer }: PeerEntry, output: PeerOutput): NodeEvent | undefined {
  switch (output.type) {
    case 'open':
      return { type: 'peerOpen', peer, capabilities: output.peer };
    case 'closed':
      return { type: 'peerClosed', peer, reason: output.reason };
    case 'rejected':
      return { type: 'dropped', peer, code: 'rejected' };
    case 'dropped':
      return { type: 'dropped', peer, code: output.code };
    case 'failover':
      return { type: 'peerSuspected', peer };
    case 'failback':
      return { type: 'peerTrusted', peer };
    default:
      return undefined;
  }
}
