import type { DiameterMessage } from '../wire/codec.js';
import type { LocalCapabilities, PeerCapabilities } from './capabilities.js';
import type { EndToEndIdentifiers } from './identifiers.js';

export const DISCONNECT_CAUSE = { REBOOTING: 0, BUSY: 1, DO_NOT_WANT_TO_TALK_TO_YOU: 2 } as const;

export interface PeerConfig {
  /** The peer's DiameterIdentity: whoever says another one is refused. */
  readonly host: string;
  /** It may bring requests of others. */
  readonly mayRelay: boolean;
  readonly local: LocalCapabilities;
  readonly identifiers: EndToEndIdentifiers;
  /** Twinit of the watchdog, milliseconds. */
  readonly watchdog: number;
  /** Tc: the longest wait before a new attempt to connect, milliseconds. */
  readonly reconnect: number;
  /** Limit of a connection attempt, a capabilities exchange and a disconnection, milliseconds. */
  readonly timeout: number;
  /** Whether we connect; otherwise only the peer does. */
  readonly initiates: boolean;
}

/** Names a transport connection; the driver gives each its own. */
export type ConnectionId = number;

export type PeerInput =
  | { readonly type: 'start' }
  | { readonly type: 'stop'; readonly cause: number }
  /** The connection that `connect` asked for, from this address of ours; or it could not be made. */
  | { readonly type: 'connected'; readonly connection: ConnectionId; readonly address: Uint8Array }
  | { readonly type: 'connectFailed'; readonly reason: string }
  /** A connection of the peer's to this address of ours, whose first message was this CER. */
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
  /** Give up the attempt that is under way. */
  | { readonly type: 'abort' }
  | { readonly type: 'send'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  /** Close it once everything is sent. */
  | { readonly type: 'disconnect'; readonly connection: ConnectionId }
  | { readonly type: 'open'; readonly connection: ConnectionId; readonly peer: PeerCapabilities }
  /** No connection is left, or none was made: what waits for an answer will not get it. */
  | { readonly type: 'closed'; readonly reason: string }
  /** A connection of the peer's was turned away, whatever the state of the peer. */
  | { readonly type: 'rejected'; readonly reason: string }
  /** A request or an answer of an application. */
  | { readonly type: 'deliver'; readonly connection: ConnectionId; readonly message: DiameterMessage }
  | { readonly type: 'dropped'; readonly code: 'unexpected-message' }
  /** RFC 3539: move what waits for an answer to another peer; and: the peer is to be trusted again. */
  | { readonly type: 'failover' }
  | { readonly type: 'failback' };
