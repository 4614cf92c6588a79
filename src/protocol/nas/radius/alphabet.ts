import type { ApplicationInput, ApplicationOutput } from '../../diameter/node/application.js';
import type {
  ClientConfig,
  ClientEvent,
  ClientInput,
  ClientOutput,
  RadiusService,
} from '../../radius/client/alphabet.js';

/** An address and a port, as sockets show them. */
export interface UdpPlace {
  readonly address: string;
  readonly port: number;
  /** Names the own socket. */
  readonly local: string;
}

export interface GatewayConfig {
  readonly client: ClientConfig;
  /** The enterprise number of this project's own sub-attributes. */
  readonly ownVendor: number;
  /** NAS-Port-Type, RFC 2865 5.41. */
  readonly portType: number;
  /** Milliseconds between two Interim-Updates if the server sets none; 0: none. */
  readonly interimInterval: number;
}

export type GatewayInput =
  | ApplicationInput
  | Extract<ClientInput, { type: 'datagram' | 'disconnected' | 'tick' }>
  | { readonly type: 'configure'; readonly config: GatewayConfig }
  /** The PAA has authorized the client of this session, so that its accounting starts. */
  | { readonly type: 'started'; readonly sessionId: string }
  /** A datagram for the port of dynamic authorization (RFC 5176). `servers`: names of the servers with this address. */
  | {
      readonly type: 'dynamic';
      readonly octets: Uint8Array;
      readonly from: UdpPlace;
      readonly servers: readonly string[];
    }
  /** Report the start of this NAS to the accounting servers (Accounting-On). */
  | { readonly type: 'start' }
  /** Send no more than what is in flight. `stopped` follows when it is answered or given up. */
  | { readonly type: 'stop'; readonly timeout: number };

export type GatewayOutput =
  | ApplicationOutput
  | Extract<ClientOutput, { type: 'send' }>
  | { readonly type: 'reply'; readonly octets: Uint8Array; readonly to: UdpPlace }
  | { readonly type: 'stopped' }
  | { readonly type: 'event'; readonly event: GatewayEvent };

/** Why a request of a server was dropped. */
export type DynamicDropCode =
  | 'malformed'
  | 'unknown-server'
  | 'forged'
  | 'no-message-authenticator'
  | 'wrong-code'
  | 'no-event-timestamp'
  | 'stale'
  | 'replayed'
  | 'busy';

export type GatewayEvent =
  | Exclude<ClientEvent, { type: 'packet' }>
  /** A packet that is sent, or an authentic one that was received. `sessionId` undefined: it belongs to no session. */
  | {
      readonly type: 'packet';
      readonly direction: 'in' | 'out';
      readonly server: string;
      readonly service: RadiusService | 'dynamic';
      readonly code: number;
      readonly sessionId: string | undefined;
    }
  /** A request of a server (RFC 5176). `errorCause` undefined: it was accepted. */
  | {
      readonly type: 'dynamic';
      readonly server: string;
      readonly code: number;
      readonly sessionId: string | undefined;
      readonly errorCause: number | undefined;
    }
  | { readonly type: 'dynamicDropped'; readonly address: string; readonly code: DynamicDropCode }
  /** Accounting-Requests that no server acknowledged. */
  | { readonly type: 'accountingLost'; readonly records: number; readonly reason: string };
