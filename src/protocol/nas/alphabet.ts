import type { Route } from '../diameter/node/routing.js';
import type { DiameterMessage } from '../diameter/wire/codec.js';
import type { MobilityAssignment } from '../mip6/assignment.js';
import type { PaaConfig } from '../pana/agent/paa-interface.js';
import type { Grant, PaaClosed } from '../pana/session/paa-interface.js';
import type { DropCode, SessionKey } from '../pana/session/session.js';
import type { PacEndpoint } from '../pana/session/start.js';
import type { ServerWish } from './aaa-messages.js';
import type { AccessOutput, AssignmentKind, EmptyStart } from './access.js';
import type { LocalHomeAgentConfig, LocalHomeAgentOutput } from './local-home-agent.js';

/** Settings that can change while the NAS runs. Times in milliseconds. */
export interface NasConfig {
  readonly paa: PaaConfig;
  /** Lifetime that PANA announces if the AAA server sets no limit. */
  readonly sessionLifetime: number;
  /** Longest lifetime of a session whose client has not come to this network yet (RFC 5873). */
  readonly preAuthenticationLifetime?: number;
  /** Maximum number of sessions per subscriber. A further one ends the oldest. */
  readonly sessionsPerSubscriber: number;
  /**
   * `wait`: how long a success is held back until the client is permitted; undefined: there is no enforcement point.
   */
  readonly enforcement: { readonly wait: number } | undefined;
  /** The home agent that the NAS proposes for clients. */
  readonly local: LocalHomeAgentConfig | undefined;
  /** Peers by realm. If empty, every peer serves every realm. */
  readonly routes: readonly Route[];
  /** Undefined: the NAS requests the identity. */
  readonly emptyStart: EmptyStart | undefined;
}

/** Commands for one session, from an operator or from the caller. `abandon`: an internal error of the caller. */
export type NasCommand = 'terminate' | 'reauthenticate' | 'ping' | 'abandon';

export type NasInput =
  /** A datagram from a client. The machine takes ownership of the octets. */
  | { readonly type: 'datagram'; readonly octets: Uint8Array; readonly from: PacEndpoint }
  /** Answers `ask`. The machine wipes the keys in it. */
  | { readonly type: 'answer'; readonly token: number; readonly message: DiameterMessage }
  /** `ask` will not be answered. */
  | { readonly type: 'unreachable'; readonly token: number; readonly reason: string }
  /** Answers `admit`: the first try of the enforcement point's hook has ended, with or without success. */
  | { readonly type: 'permitted'; readonly token: number }
  /** A Diameter request received from `peer`. The same step returns one `answer` with this token. */
  | { readonly type: 'serverRequest'; readonly token: number; readonly message: DiameterMessage; readonly peer: string }
  /** Start a session with the PaC at this address and port. */
  | { readonly type: 'invite'; readonly peer: PacEndpoint }
  | { readonly type: 'command'; readonly sessionId: number; readonly command: NasCommand }
  | { readonly type: 'configure'; readonly config: NasConfig }
  /** Terminate all sessions. The last output is `stopped`. */
  | { readonly type: 'stop' }
  | { readonly type: 'tick' };

/** A client for the enforcement point. `lifetime`: milliseconds from now; undefined: no limit. */
export interface ClientPermit {
  readonly sessionId: number;
  /** Undefined: the user name from the AAA server must not be passed to a hook. */
  readonly userName: string | undefined;
  readonly address: string;
  /** The address of its relay; undefined: the client is on a link of the NAS. */
  readonly relay: string | undefined;
  readonly lifetime: number | undefined;
}

export type NasOutput =
  | { readonly type: 'send'; readonly octets: Uint8Array; readonly to: PacEndpoint }
  /** Send a DER or STR to the peer that routing selects. Answered by `answer` or `unreachable`. */
  | { readonly type: 'ask'; readonly token: number; readonly message: DiameterMessage }
  /** Answers `serverRequest`. */
  | { readonly type: 'answer'; readonly token: number; readonly message: DiameterMessage }
  /** Permit this client from now on. With a `token`, `permitted` must follow. */
  | (ClientPermit & { readonly type: 'admit'; readonly token: number | undefined })
  /** The client has another address. */
  | {
      readonly type: 'move';
      readonly sessionId: number;
      readonly address: string;
      readonly relay: string | undefined;
    }
  | { readonly type: 'expel'; readonly sessionId: number }
  | LocalHomeAgentOutput
  /** For a protocol analyser in a lab; the receiver wipes the key. */
  | { readonly type: 'key'; readonly key: SessionKey }
  /** After `stop`: all sessions have ended, and each STR was answered or given up. */
  | { readonly type: 'stopped' }
  | { readonly type: 'event'; readonly event: NasEvent };

/** The session that an event concerns. */
export interface NasSubject {
  readonly sessionId: number;
  readonly address: string;
  /** The user name from the AAA server; undefined before it is known. */
  readonly nai: string | undefined;
}

/** Events for logs and counters. Times in milliseconds. */
export type NasEvent =
  /** An input was ignored. */
  | {
      readonly type: 'dropped';
      readonly code: DropCode | Extract<AccessOutput, { type: 'dropped' }>['code'];
      readonly from: PacEndpoint | undefined;
    }
  | (NasSubject & {
      readonly type: 'authorized' | 'reauthenticated';
      readonly grant: Grant;
      readonly kind: AssignmentKind | undefined;
      /** Name of the Encryption-Algorithm; undefined: AVPs are not encrypted. */
      readonly encryption: string | undefined;
      /** Time since PAN[S]. */
      readonly elapsed: number;
      /** Whether the client had been pre-authenticated, and has come. */
      readonly preAuthenticated: boolean;
    })
  /** RFC 5873: the client is authenticated, and is not in this network yet. */
  | (NasSubject & {
      readonly type: 'preAuthenticated';
      readonly grant: Grant;
      readonly reauthentication: boolean;
      readonly encryption: string | undefined;
    })
  /** `resultCode` undefined: no server answered. */
  | (NasSubject & {
      readonly type: 'refused' | 'postponed';
      readonly identity: string | undefined;
      readonly resultCode: number | undefined;
    })
  /** `unkeyed`: the authentication succeeded, but no key for the promised PANA SA can be derived. */
  | (NasSubject & { readonly type: 'noMobility' | 'noAnswer' | 'unusable' | 'unkeyed'; readonly reason: string })
  | (NasSubject & { readonly type: 'ended'; readonly cause: PaaClosed })
  | (NasSubject & { readonly type: 'moved'; readonly from: string })
  /** The permit was revoked, because this side terminates the session. */
  | (NasSubject & { readonly type: 'terminating' })
  /** A server requested something for a session of another server. */
  | (NasSubject & { readonly type: 'otherServer'; readonly peer: string; readonly wish: ServerWish })
  | (NasSubject & {
      readonly type: 'localHomeAgent';
      readonly isRefresh: boolean;
      readonly assignment: MobilityAssignment;
      readonly fingerprint: string;
    })
  /** An invitation was not answered. */
  | { readonly type: 'uninvited'; readonly peer: PacEndpoint }
  /** An internal error while processing an input; the session concerned ends. */
  | { readonly type: 'fault'; readonly during: NasInput['type']; readonly error: unknown };

/** A session, for display. */
export interface NasSessionView {
  readonly sessionId: number;
  readonly peer: PacEndpoint;
  readonly state: string;
  /** Whether the client has not been let into this network yet (RFC 5873). */
  readonly preAuthenticated: boolean;
  /** The algorithm that encrypts AVPs (RFC 6786); undefined: none. */
  readonly encryption: string | undefined;
  /** Remaining lifetime in milliseconds. */
  readonly remaining: number | undefined;
  readonly nai: string | undefined;
  readonly assignment: MobilityAssignment | undefined;
  readonly diameterSession: string | undefined;
}
