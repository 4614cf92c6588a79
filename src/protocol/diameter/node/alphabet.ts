import type { ConnectionId } from '../peer/alphabet.js';
import type { PeerCapabilities } from '../peer/capabilities.js';
import type { Origin } from '../wire/answers.js';
import type { DiameterMessage, Salvage } from '../wire/codec.js';
import type { ApplicationInput, ApplicationOutput } from './application.js';
import type { PeerAddresses } from './peer-sources.js';
import type { Route } from './routing.js';

/** A configured peer. */
export interface NodePeer extends PeerAddresses {
  /** DiameterIdentity. */
  readonly host: string;
  /** Undefined: the registered one. */
  readonly port?: number | undefined;
  /** It is this peer only over a connection that TLS protects. */
  readonly secure?: boolean | undefined;
  /** It may bring requests of others (RFC 6733 2.8.1). */
  readonly relay?: boolean | undefined;
  /** Of several peers for a realm those with the lowest priority get requests, each its share by weight. */
  readonly priority?: number | undefined;
  readonly weight?: number | undefined;
}

export interface NodeConfig {
  readonly origin: Origin;
  readonly productName: string;
  readonly vendorId: number;
  /** The enterprise number of this project's own AVPs. */
  readonly ownVendor: number;
  /** Greater than the last time (RFC 6733 8.16). */
  readonly originStateId: number;
  readonly applications: readonly number[];
  /** Realms that are served beside that of `origin`; `*`: any. */
  readonly realms?: readonly string[] | undefined;
  /** Addresses that the node listens on. */
  readonly addresses: readonly string[];
  /** Twinit (RFC 3539), Tc and the limit of a handshake (RFC 6733), milliseconds. */
  readonly watchdog: number;
  readonly reconnect: number;
  readonly timeout: number;
}

/** What is known of the ends of a connection. */
export interface Ends {
  /** Octets of our own address. */
  readonly localAddress: Uint8Array;
  readonly remoteAddress: string;
  /** DiameterIdentities that the certificate of the other end bears; undefined: TLS does not protect the connection. */
  readonly identities: readonly string[] | undefined;
}

/** Names an attempt to connect. */
export type AttemptId = number;

export type NodeInput =
  | ApplicationInput
  | { readonly type: 'start' }
  /** Other peers and routes; without routes every peer serves every realm. Peers that do not change keep their connections. */
  | { readonly type: 'configure'; readonly peers: readonly NodePeer[]; readonly routes?: readonly Route[] | undefined }
  /** What came of `connect`. `reason`: the system's code, such as ECONNREFUSED. */
  | {
      readonly type: 'connected';
      readonly attempt: AttemptId;
      readonly connection: ConnectionId;
      readonly ends: Ends;
    }
  | { readonly type: 'connectFailed'; readonly attempt: AttemptId; readonly reason: string }
  /** A connection came in from this address; with TLS its handshake begins. */
  | { readonly type: 'knocked'; readonly connection: ConnectionId; readonly address: string }
  /** A connection that knocked can carry messages. */
  | { readonly type: 'accepted'; readonly connection: ConnectionId; readonly ends: Ends }
  | { readonly type: 'message'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  /** A message that does not decode; `code`: of its DecodeError. */
  | {
      readonly type: 'malformed';
      readonly connection: ConnectionId;
      readonly code: string;
      readonly salvage: Salvage | undefined;
    }
  /** The stream cannot be cut into messages any more (RFC 6733 2.1); nothing more is read. */
  | { readonly type: 'untrusted'; readonly connection: ConnectionId; readonly salvage: Salvage | undefined }
  | { readonly type: 'closed'; readonly connection: ConnectionId }
  /** Answer what was asked, say DPR to all peers, close everything; `timeout` in milliseconds. */
  | { readonly type: 'stop'; readonly timeout: number }
  | { readonly type: 'tick' };

export type NodeOutput =
  | ApplicationOutput
  /** `connected` or `connectFailed` is due; an attempt that was abandoned says nothing. */
  | {
      readonly type: 'connect';
      readonly attempt: AttemptId;
      readonly peer: string;
      readonly address: string;
      readonly port: number;
    }
  | { readonly type: 'abandon'; readonly attempt: AttemptId }
  /** `isLast`: nobody needs the message afterwards; overwrite the keys in it once it is sent. */
  | {
      readonly type: 'send';
      readonly connection: ConnectionId;
      readonly message: DiameterMessage;
      readonly isLast: boolean;
    }
  /** Close it once everything is sent, and read nothing more. */
  | { readonly type: 'close'; readonly connection: ConnectionId }
  /** Close it at once. */
  | { readonly type: 'reset'; readonly connection: ConnectionId }
  | { readonly type: 'event'; readonly event: NodeEvent }
  /** The last output of a node that stops. */
  | { readonly type: 'stopped' };

/** For logs and counters. */
export type NodeEvent =
  | { readonly type: 'peerOpen'; readonly peer: string; readonly capabilities: PeerCapabilities }
  | { readonly type: 'peerClosed'; readonly peer: string; readonly reason: string }
  /** RFC 3539: nothing new goes to a suspected peer; it is trusted again after it has answered. */
  | { readonly type: 'peerSuspected' | 'peerTrusted'; readonly peer: string }
  /** A request came again; its answer is the one of the first. */
  | { readonly type: 'duplicate'; readonly peer: string }
  /** A request goes to another peer, since the first one failed. */
  | { readonly type: 'failedOver'; readonly peer: string; readonly to: string }
  | { readonly type: 'dropped'; readonly peer: string | undefined; readonly code: string }
  /** A CER was refused: of no peer, without the peer's certificate, or from an address that is not the peer's. */
  | {
      readonly type: 'peerRefused';
      readonly peer: string | undefined;
      readonly address: string;
      readonly code: string;
    }
  /** The machine of a peer threw, which is a fault of ours; its connections are closed. */
  | { readonly type: 'fault'; readonly peer: string; readonly at: 'tick' | 'input'; readonly error: unknown }
  /** For ladders and counters. Its AVPs may hold keys, which are overwritten later: not for logs as it is. */
  | {
      readonly type: 'message';
      readonly direction: 'in' | 'out';
      readonly peer: string;
      readonly message: DiameterMessage;
    };

/** State of a peer, for people. */
export interface NodePeerStatus {
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
