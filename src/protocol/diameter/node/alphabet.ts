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
  /** Undefined: the registered port. */
  readonly port?: number | undefined;
  /** Whether the peer is accepted only over TLS. */
  readonly secure?: boolean | undefined;
  /** Whether the peer may forward requests of other hosts (RFC 6733 2.8.1). */
  readonly relay?: boolean | undefined;
  /** The peers of a realm with the lowest priority value get its requests, shared by weight. */
  readonly priority?: number | undefined;
  readonly weight?: number | undefined;
}

export interface NodeConfig {
  readonly origin: Origin;
  readonly productName: string;
  readonly vendorId: number;
  /** The enterprise number of this project's own AVPs. */
  readonly ownVendor: number;
  /** Greater than in the previous run (RFC 6733 8.16). */
  readonly originStateId: number;
  readonly applications: readonly number[];
  /** Realms that are served besides that of `origin`; `*`: all realms. */
  readonly realms?: readonly string[] | undefined;
  /** Addresses that the node listens on. */
  readonly addresses: readonly string[];
  /** Twinit (RFC 3539), Tc, and the limit of a handshake (RFC 6733), in milliseconds. */
  readonly watchdog: number;
  readonly reconnect: number;
  readonly timeout: number;
}

/** The two ends of a connection. */
export interface Ends {
  /** Octets of the local address. */
  readonly localAddress: Uint8Array;
  readonly remoteAddress: string;
  /** DiameterIdentities in the certificate of the remote end; undefined: the connection has no TLS. */
  readonly identities: readonly string[] | undefined;
}

/** Identifies a connection attempt. */
export type AttemptId = number;

export type NodeInput =
  | ApplicationInput
  /** Ignored while the node stops and after it has stopped. */
  | { readonly type: 'start' }
  /**
   * Replaces peers and routes. Without routes every peer serves every realm. Unchanged peers keep their connections.
   */
  | { readonly type: 'configure'; readonly peers: readonly NodePeer[]; readonly routes?: readonly Route[] | undefined }
  /** Answers `connect`. `reason`: the system's error code, such as ECONNREFUSED. */
  | {
      readonly type: 'connected';
      readonly attempt: AttemptId;
      readonly connection: ConnectionId;
      readonly ends: Ends;
    }
  | { readonly type: 'connectFailed'; readonly attempt: AttemptId; readonly reason: string }
  /** A connection from this address has arrived; with TLS its handshake starts. */
  | { readonly type: 'incoming'; readonly connection: ConnectionId; readonly address: string }
  /** An incoming connection can carry messages. */
  | { readonly type: 'accepted'; readonly connection: ConnectionId; readonly ends: Ends }
  | { readonly type: 'message'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  /** A message that cannot be decoded. `code`: the code of its DecodeError. */
  | {
      readonly type: 'malformed';
      readonly connection: ConnectionId;
      readonly code: string;
      readonly salvage: Salvage | undefined;
    }
  /** The stream cannot be divided into messages any more (RFC 6733 2.1); nothing more is read. */
  | { readonly type: 'untrusted'; readonly connection: ConnectionId; readonly salvage: Salvage | undefined }
  | { readonly type: 'closed'; readonly connection: ConnectionId }
  /** Answer the pending requests, send DPR to all peers, close all connections. `timeout` in milliseconds. */
  | { readonly type: 'stop'; readonly timeout: number }
  | { readonly type: 'tick' };

export type NodeOutput =
  | ApplicationOutput
  /** Answered by `connected` or `connectFailed`, unless the attempt is abandoned. */
  | {
      readonly type: 'connect';
      readonly attempt: AttemptId;
      readonly peer: string;
      readonly address: string;
      readonly port: number;
    }
  | { readonly type: 'abandon'; readonly attempt: AttemptId }
  /** `isLast`: the node no longer needs the message; wipe the keys in it after sending. */
  | {
      readonly type: 'send';
      readonly connection: ConnectionId;
      readonly message: DiameterMessage;
      readonly isLast: boolean;
    }
  /** Close the connection after sending everything, and read nothing more. */
  | { readonly type: 'close'; readonly connection: ConnectionId }
  /** Close the connection immediately. */
  | { readonly type: 'reset'; readonly connection: ConnectionId }
  | { readonly type: 'event'; readonly event: NodeEvent }
  /**
   * The node has stopped. It opens no more connections: `start` is ignored, a `request` fails, a new connection is
   * reset.
   */
  | { readonly type: 'stopped' };

/** Events for logs and counters. */
export type NodeEvent =
  | { readonly type: 'peerOpen'; readonly peer: string; readonly capabilities: PeerCapabilities }
  | { readonly type: 'peerClosed'; readonly peer: string; readonly reason: string }
  /** RFC 3539: no new requests are sent to a suspected peer. It is trusted again after it has answered. */
  | { readonly type: 'peerSuspected' | 'peerTrusted'; readonly peer: string }
  /** A repeated request was answered with the answer to the first one. */
  | { readonly type: 'duplicate'; readonly peer: string }
  /** A request was moved to another peer because the first one failed. */
  | { readonly type: 'failedOver'; readonly peer: string; readonly to: string }
  | { readonly type: 'dropped'; readonly peer: string | undefined; readonly code: string }
  /** A request was answered with an error before it reached the application. */
  | {
      readonly type: 'requestRefused';
      readonly peer: string;
      readonly commandCode: number;
      readonly resultCode: number;
      readonly text: string;
    }
  /**
   * A CER was refused: it came from an unknown peer, without the peer's certificate, or from an address that is not the
   * peer's.
   */
  | {
      readonly type: 'peerRefused';
      readonly peer: string | undefined;
      readonly address: string;
      readonly code: string;
    }
  /** The machine of a peer threw an exception, which is an internal error. Its connections are closed. */
  | { readonly type: 'fault'; readonly peer: string; readonly at: 'tick' | 'input'; readonly error: unknown }
  /**
   * For message diagrams and counters. It must not be logged as it is, because its AVPs may hold keys; these are wiped
   * later.
   */
  | {
      readonly type: 'message';
      readonly direction: 'in' | 'out';
      readonly peer: string;
      readonly message: DiameterMessage;
    };

/** State of a peer, for display. */
export interface NodePeerStatus {
  readonly host: string;
  readonly state: string;
  readonly watchdog: string;
  readonly realm: string | undefined;
  readonly productName: string | undefined;
  readonly remoteAddress: string | undefined;
  /** Unanswered requests to the peer, and from it. */
  readonly inFlight: number;
  readonly serving: number;
}
