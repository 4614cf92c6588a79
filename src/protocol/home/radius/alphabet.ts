import type { Demand, HomeAnswer, HomeInput, Token } from '../alphabet.js';
import type { Session } from '../records.js';
import type { AccountingRequest } from './accounting.js';
import type { RadiusClient } from './clients.js';

/** What a packet may ask for: a UDP port serves one of them, a RadSec connection both (RFC 6614 2.3). */
export type RadiusService = 'authentication' | 'accounting' | 'any';

/** The remote end of a packet, to which the answer goes. */
export interface RadiusEnd {
  readonly address: string;
  readonly port: number;
  /** The socket or connection of this server. */
  readonly local: string;
}

export interface RadiusConfig {
  readonly clients: readonly RadiusClient[];
  /** Enterprise number of this project's attributes. */
  readonly vendorId: number;
  /** Realm of the home agents. */
  readonly realm: string;
}

/** Why a packet is discarded, RFC 2865 3, RFC 3579 3.2, RFC 5080 2.2.2. */
export const DROP_CAUSES = [
  'unknown-client',
  'malformed',
  'unexpected-code',
  'no-message-authenticator',
  'wrong-authenticator',
  'invalid-attribute',
  'not-served',
] as const;
export type DropCause = (typeof DROP_CAUSES)[number];

/** Where a client accepts demands. */
export interface RadiusPlace {
  readonly address: string;
  readonly port: number;
}

export type RadiusInput =
  /** `names`: the dNSNames in the certificate of the client; undefined over UDP. */
  | {
      readonly type: 'packet';
      readonly octets: Uint8Array;
      readonly end: RadiusEnd;
      readonly service: RadiusService;
      readonly names: readonly string[] | undefined;
    }
  | { readonly type: 'answer'; readonly token: Token; readonly answer: HomeAnswer }
  /** An internal error prevents the answer. */
  | { readonly type: 'unserved'; readonly token: Token }
  | { readonly type: 'forgetKeys'; readonly sessionId: string }
  /** Answered by `demandAnswered`. `wall`: milliseconds since 1970, UTC. */
  | {
      readonly type: 'sendDemand';
      readonly token: Token;
      readonly demand: Demand;
      readonly session: Session;
      readonly wall: number;
    }
  /** A packet for the socket that sends demands. */
  | { readonly type: 'reply'; readonly octets: Uint8Array; readonly from: RadiusPlace }
  /** A RadSec connection. `names`: the dNSNames in the certificate of the client. */
  | { readonly type: 'opened'; readonly local: string; readonly names: readonly string[] }
  | { readonly type: 'closed'; readonly local: string }
  | { readonly type: 'configure'; readonly config: RadiusConfig }
  | { readonly type: 'tick' };

export type RadiusOutput =
  | { readonly type: 'send'; readonly octets: Uint8Array; readonly end: RadiusEnd }
  /** A request of this server to a client. */
  | { readonly type: 'sendRequest'; readonly octets: Uint8Array; readonly to: RadiusPlace }
  /** An authentic packet that was received, or a packet of a demand that is sent. */
  | {
      readonly type: 'packet';
      readonly direction: 'in' | 'out';
      readonly code: number;
      readonly client: string;
      readonly sessionId: string | undefined;
    }
  /** What a client reports about a session. */
  | { readonly type: 'accounted'; readonly client: string; readonly request: AccountingRequest }
  /** For the home machine. */
  | {
      readonly type: 'home';
      readonly input: Extract<HomeInput, { type: 'request' | 'termination' | 'report' | 'demandAnswered' }>;
    }
  | {
      readonly type: 'served';
      /** Code of the answer. */
      readonly code: number;
      readonly client: string;
      readonly sessionId: string | undefined;
      /** The answer to the same request is sent again. */
      readonly isRepeated: boolean;
      /** It answers a Status-Server. */
      readonly isStatus?: true;
    }
  | {
      readonly type: 'dropped';
      readonly cause: DropCause;
      readonly detail: string;
      readonly client: string | undefined;
      readonly address: string;
      /** The number of packets that this line of the log stands for; undefined: no line is due. */
      readonly report: number | undefined;
    };
