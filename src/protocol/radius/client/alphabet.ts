import type { Secret } from '../../bytes/secret.js';
import type { Attribute, RadiusPacket } from '../wire/codec.js';

/** Access-Requests and Accounting-Requests go to different ports of a server. */
export type RadiusService = 'authentication' | 'accounting';

/** A configured server. The order of servers is the order of preference. */
export interface RadiusServer {
  /** Unique among the servers. */
  readonly name: string;
  readonly secret: Secret;
  readonly accounting: boolean;
  /** Whether it answers Status-Server (RFC 5997). */
  readonly statusServer: boolean;
  /** Its connections lose nothing while they are open, so that nothing is retransmitted on them (RFC 6613 2.6.1). */
  readonly isReliable: boolean;
}

export interface ClientConfig {
  readonly servers: readonly RadiusServer[];
  /** Tw (RFC 3539, RFC 5997 4.3) in milliseconds. */
  readonly watchdog: number;
  /** MRD (RFC 5080 2.2.1) in milliseconds: when a request fails. */
  readonly requestTimeout: number;
  /** Attributes that identify the NAS, for Status-Server. */
  readonly identity: readonly Attribute[];
}

/** A port of a server. */
export interface EndpointName {
  readonly server: string;
  readonly service: RadiusService;
}

export type ClientInput =
  /** Send this Access-Request or Accounting-Request. One output, `answered` or `failed`, follows. */
  | {
      readonly type: 'request';
      readonly token: number;
      readonly service: RadiusService;
      readonly attributes: readonly Attribute[];
      /** The only server that can answer, since it has the conversation. */
      readonly only?: string | undefined;
      /** The server to try first. */
      readonly first?: string | undefined;
      /** Attributes that only this first server gets in addition, such as its State. */
      readonly firstOnly?: readonly Attribute[];
    }
  /** A datagram that the server's port sent to this socket. */
  | (EndpointName & { readonly type: 'datagram'; readonly socket: number; readonly octets: Uint8Array })
  /** A connection to a reliable server has closed, or could not be opened: what was sent on it gets no answer. */
  | (EndpointName & { readonly type: 'disconnected'; readonly socket: number })
  | { readonly type: 'configure'; readonly config: ClientConfig }
  | { readonly type: 'tick' };

export type ClientOutput =
  /** `socket`: number of the socket that this client has for the port of the server; each has a source port of its own. */
  | (EndpointName & { readonly type: 'send'; readonly socket: number; readonly octets: Uint8Array })
  /** An authentic answer. */
  | {
      readonly type: 'answered';
      readonly token: number;
      readonly server: string;
      readonly packet: RadiusPacket;
      /** Hides the keys of the packet, together with the secret. */
      readonly requestAuthenticator: Uint8Array;
      readonly secret: Secret;
    }
  | { readonly type: 'failed'; readonly token: number; readonly reason: string }
  | { readonly type: 'event'; readonly event: ClientEvent };

/** Why a datagram was dropped. */
export type ClientDropCode = 'malformed' | 'unknown-answer' | 'forged' | 'no-message-authenticator' | 'wrong-code';

export type ClientEvent =
  /** A packet that is sent, or an authentic one that was received. `token`: its request; undefined: Status-Server. */
  | (EndpointName & {
      readonly type: 'packet';
      readonly direction: 'in' | 'out';
      readonly code: number;
      readonly token: number | undefined;
    })
  | (EndpointName & { readonly type: 'serverUp' | 'serverSuspected' | 'serverDown' })
  | (EndpointName & { readonly type: 'retransmitted' })
  | { readonly type: 'failedOver'; readonly from: string; readonly to: string; readonly service: RadiusService }
  | (EndpointName & { readonly type: 'dropped'; readonly code: ClientDropCode });

/**
 * State of a port of a server. UNKNOWN: it has not answered yet. REOPEN: it answers again after it was DOWN (RFC 3539).
 */
export type ServerStatus = 'UNKNOWN' | 'OKAY' | 'SUSPECT' | 'DOWN' | 'REOPEN';

export interface EndpointStatus extends EndpointName {
  readonly status: ServerStatus;
  readonly inFlight: number;
}
