import type { Route } from '../diameter/node/routing.js';
import type { DiameterMessage } from '../diameter/wire/codec.js';
import type { MobilityAssignment } from '../mip6/assignment.js';
import type { PaaConfig } from '../pana/agent/paa.js';
import type { Grant, PaaClosed } from '../pana/session/paa-session.js';
import type { DropCode, SessionKey } from '../pana/session/session.js';
import type { PacEndpoint } from '../pana/session/start.js';
import type { ServerWish } from './aaa-messages.js';
import type { AccessOutput } from './access.js';
import type { LocalHomeAgentConfig, LocalHomeAgentOutput } from './local-home-agent.js';

/** What the operator may change while the NAS runs. Times in milliseconds. */
export interface NasConfig {
  readonly paa: PaaConfig;
  /** The lifetime that PANA announces if the AAA server sets no limit. */
  readonly sessionLifetime: number;
  /** Sessions of one subscriber; one more ends the oldest. */
  readonly sessionsPerSubscriber: number;
  /** `wait`: how long a success waits until its client may pass; undefined: there is no enforcement point. */
  readonly enforcement: { readonly wait: number } | undefined;
  /** Home agent that is proposed to clients. */
  readonly local: LocalHomeAgentConfig | undefined;
  /** Peers of each realm; none: every peer serves every realm. */
  readonly routes: readonly Route[];
}

/** What an operator, or a fault of what is around the machine, does to one session. */
export type NasCommand = 'terminate' | 'reauthenticate' | 'ping' | 'abandon';

export type NasInput =
  /** From a client. The machine keeps the octets. */
  | { readonly type: 'datagram'; readonly octets: Uint8Array; readonly from: PacEndpoint }
  /** The answer to an `ask`. Its keys are wiped. */
  | { readonly type: 'answer'; readonly token: number; readonly message: DiameterMessage }
  /** No answer to an `ask` will come. */
  | { readonly type: 'unreachable'; readonly token: number; readonly reason: string }
  /** The enforcement point has been told of this `admit`, or could not be told. */
  | { readonly type: 'permitted'; readonly token: number }
  /** A Diameter request that `peer` has brought. It gets one `answer` with this token, in the same step. */
  | { readonly type: 'serverAsks'; readonly token: number; readonly message: DiameterMessage; readonly peer: string }
  /** Begin a session with the PaC at this place. */
  | { readonly type: 'invite'; readonly peer: PacEndpoint }
  | { readonly type: 'command'; readonly sessionId: number; readonly command: NasCommand }
  | { readonly type: 'configure'; readonly config: NasConfig }
  /** End all sessions in order. The last output is `stopped`. */
  | { readonly type: 'stop' }
  | { readonly type: 'tick' };

/** A client as the enforcement point knows it. `lifetime`: milliseconds from now; undefined: no limit. */
export interface Admission {
  readonly sessionId: number;
  /** Undefined: the AAA server's name for it must not reach a hook. */
  readonly userName: string | undefined;
  readonly address: string;
  readonly lifetime: number | undefined;
}

export type NasOutput =
  | { readonly type: 'send'; readonly octets: Uint8Array; readonly to: PacEndpoint }
  /** Send a DER or STR to the peer that routing says; `answer` or `unreachable` comes back with the token. */
  | { readonly type: 'ask'; readonly token: number; readonly message: DiameterMessage }
  /** The answer to `serverAsks`. */
  | { readonly type: 'answer'; readonly token: number; readonly message: DiameterMessage }
  /** Let this client pass from now on; `token`: `permitted` is awaited. */
  | (Admission & { readonly type: 'admit'; readonly token: number | undefined })
  /** The client has another address. */
  | { readonly type: 'move'; readonly sessionId: number; readonly address: string }
  | { readonly type: 'expel'; readonly sessionId: number }
  | LocalHomeAgentOutput
  /** For a lab's analyser; the receiver wipes it. */
  | { readonly type: 'key'; readonly key: SessionKey }
  /** After `stop`: all sessions are over and their servers have been told. */
  | { readonly type: 'stopped' }
  | { readonly type: 'event'; readonly event: NasEvent };

/** Whose session an event is about. */
export interface NasSubject {
  readonly sessionId: number;
  readonly address: string;
  /** The user name that the AAA server gave; undefined before that. */
  readonly nai: string | undefined;
}

/** What happened, for logs and counters. Times in milliseconds. */
export type NasEvent =
  /** Something changed nothing. */
  | {
      readonly type: 'dropped';
      readonly code: DropCode | Extract<AccessOutput, { type: 'dropped' }>['code'];
      readonly from: PacEndpoint | undefined;
    }
  | (NasSubject & {
      readonly type: 'authorized' | 'reauthenticated';
      readonly grant: Grant;
      readonly kind: 'home' | 'local' | undefined;
      /** Since its PAN[S]. */
      readonly elapsed: number;
    })
  /** `resultCode` undefined: no server answered. */
  | (NasSubject & {
      readonly type: 'refused' | 'postponed';
      readonly identity: string | undefined;
      readonly resultCode: number | undefined;
    })
  /** `unkeyed`: the success is sound, but its session cannot have the key that the client was promised. */
  | (NasSubject & { readonly type: 'noMobility' | 'noAnswer' | 'unusable' | 'unkeyed'; readonly reason: string })
  | (NasSubject & { readonly type: 'ended'; readonly cause: PaaClosed })
  | (NasSubject & { readonly type: 'moved'; readonly from: string })
  /** A server asked for a session that is not its own. */
  | (NasSubject & { readonly type: 'otherServer'; readonly peer: string; readonly wish: ServerWish })
  | (NasSubject & {
      readonly type: 'localHomeAgent';
      readonly isRefresh: boolean;
      readonly assignment: MobilityAssignment;
      readonly fingerprint: string;
    })
  /** Nobody at this place answered an invitation. */
  | { readonly type: 'uninvited'; readonly peer: PacEndpoint }
  /** This program made a mistake with the input; the session that it is about ends. */
  | { readonly type: 'fault'; readonly during: NasInput['type']; readonly error: unknown };

/** A session as an operator sees it. */
export interface NasSessionView {
  readonly sessionId: number;
  readonly peer: PacEndpoint;
  readonly state: string;
  /** Milliseconds of its lifetime that are left. */
  readonly remaining: number | undefined;
  readonly nai: string | undefined;
  readonly assignment: MobilityAssignment | undefined;
  readonly diameterSession: string | undefined;
}
