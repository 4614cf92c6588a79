import type { DiameterMessage } from '../wire/codec.js';
import type { LocalCapabilities, PeerCapabilities } from './capabilities.js';
import type { EndToEndIdentifiers } from './identifiers.js';

export interface PeerConfig {
  /** The peer's DiameterIdentity. A peer that presents another one is refused. */
  readonly host: string;
  /** Whether it may forward requests of other hosts. */
  readonly mayRelay: boolean;
  readonly local: LocalCapabilities;
  readonly identifiers: EndToEndIdentifiers;
  /** Twinit of the watchdog in milliseconds. */
  readonly watchdog: number;
  /** Tc: the maximum wait before a new connection attempt, in milliseconds. */
  readonly reconnect: number;
  /** Time limit of a connection attempt, a capabilities exchange and a disconnection, in milliseconds. */
  readonly timeout: number;
  /** Whether this node connects; otherwise only the peer does. */
  readonly initiates: boolean;
}

/** Identifies a transport connection; assigned by the driver. */
export type ConnectionId = number;

export type PeerInput =
  | { readonly type: 'start' }
  | { readonly type: 'stop'; readonly cause: number }
  /** Answers `connect`: the connection and its local address, or the failure. */
  | { readonly type: 'connected'; readonly connection: ConnectionId; readonly address: Uint8Array }
  | { readonly type: 'connectFailed'; readonly reason: string }
  /** An incoming connection, with its local address and its first message, a CER. */
  | {
      readonly type: 'accepted';
      readonly connection: ConnectionId;
      readonly cer: DiameterMessage;
      readonly address: Uint8Array;
    }
  | { readonly type: 'message'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  | { readonly type: 'disconnected'; readonly connection: ConnectionId }
  | { readonly type: 'tick' };

export type PeerOutput =
  | { readonly type: 'connect' }
  /** Abandon the current attempt. */
  | { readonly type: 'abort' }
  | { readonly type: 'send'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  /** Close the connection after sending everything. */
  | { readonly type: 'disconnect'; readonly connection: ConnectionId }
  | { readonly type: 'open'; readonly connection: ConnectionId; readonly peer: PeerCapabilities }
  /** No connection is left, or none was established: pending requests will not be answered. */
  | { readonly type: 'closed'; readonly reason: string }
  /** An incoming connection of the peer was rejected; the state of the peer does not change. */
  | { readonly type: 'rejected'; readonly reason: string }
  /** A request or an answer of an application. */
  | { readonly type: 'deliver'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  | { readonly type: 'dropped'; readonly code: 'unexpected-message' }
  /** RFC 3539: failover moves pending requests to another peer; failback means that the peer is trusted again. */
  | { readonly type: 'failover' }
  | { readonly type: 'failback' };
