import type { Secret } from '../../bytes/secret.js';
import type { MobilityAssignment } from '../../mip6/assignment.js';
import type { TERMINATION_CAUSE } from '../wire/dictionary.js';
import type { RetransmissionParameters } from './retransmission.js';
import type { Dropped, Received, Send, SessionKey } from './session.js';

/** All times in milliseconds. */
export interface PaaSessionConfig {
  readonly vendorId: number;
  readonly prf: readonly number[];
  readonly integrity: readonly number[];
  readonly sa: 'required' | 'optional';
  readonly failedSessionTimeout: number;
  readonly request: RetransmissionParameters;
  readonly pingInterval: number;
  /** Bits of Mobility-Capability to offer; undefined: none. */
  readonly mobility: number | undefined;
  /**
   * legacy: PaCs of old, which drop whatever they do not know: they are sent nothing but RFC 5191's own AVPs, and no
   * EAP-Payload in PAR[S], until they have asked in PAN[S].
   */
  readonly peers?: 'current' | 'legacy';
  /** Hand out each PANA_AUTH_KEY, for a lab's analyser. */
  readonly exportKeys: boolean;
  /** Set the I bit: the PaC has to get another IP address once it is authorised (RFC 5191 6.2). */
  readonly reconfigure: boolean;
  /** Re-authentication starts when this part of the authorization lifetime has passed; 0: left to the PaC. */
  readonly reauthenticateAt: number;
  /** The session is kept so much longer than the lifetime that the PaC was told: it may begin again at the last moment. */
  readonly lifetimeGrace: number;
}

/** What the AAA server's answer grants. */
export interface Grant {
  /** Milliseconds; undefined: no limit. */
  readonly lifetime: number | undefined;
  /** When re-authentication must have begun; undefined: as the configuration says for the lifetime. */
  readonly authorizationLifetime: number | undefined;
  readonly assignment: MobilityAssignment | undefined;
}

export type PaaSessionInput =
  | { readonly type: 'message'; readonly received: Received }
  | { readonly type: 'tick' }
  | { readonly type: 'eapRequest'; readonly packet: Uint8Array }
  /** `authorized` false: EAP went well, but access is refused (Result-Code 2). */
  | {
      readonly type: 'eapSuccess';
      readonly packet: Uint8Array;
      /** Taken over: it is wiped when PANA_AUTH_KEY has been made of it. */
      readonly msk: Secret | undefined;
      readonly authorized: boolean;
      readonly grant: Grant;
    }
  | { readonly type: 'eapFailure'; readonly packet: Uint8Array | undefined }
  /** EAP ended without a result: nothing is sent (RFC 5191 4.1). */
  | { readonly type: 'eapTimeout' }
  /** The AAA server gave no verdict on the node: it is too busy, or there is none. */
  | { readonly type: 'eapPostponed' }
  /** Ask for an Echo: what comes back shows that the PaC is where the request was sent. */
  | { readonly type: 'prove' }
  /** Another session has taken its place: it ends at once, and its PaC is told once. */
  | { readonly type: 'replace' }
  | { readonly type: 'ping' }
  | { readonly type: 'reauthenticate' }
  | { readonly type: 'terminate'; readonly cause: PaaTermination }
  /** A fault of this program has hit the session: it ends without a word. */
  | { readonly type: 'abandon' };

export type PaaTermination = (typeof TERMINATION_CAUSE)['ADMINISTRATIVE' | 'SESSION_TIMEOUT'];

export type PaaClosed =
  | 'rejected'
  | 'eap-timeout'
  | 'no-progress'
  | 'no-answer'
  | 'lifetime-expired'
  | 'logout'
  | 'administrative'
  | 'session-timeout'
  /** The node started anew from the same address and has authenticated, or its subscriber has newer sessions. */
  | 'replaced'
  /** Half open and without an answer to the first PAR, it gave way to a newer start. */
  | 'pushed-out'
  /** This program made a mistake with it. */
  | 'fault';

export type PaaSessionOutput =
  | Send
  | Dropped
  | SessionKey
  /** A run of EAP begins; `wish` is the Mobility-Capability of PAN[S], `asked` the EAP-Request that PAR[S] carried. */
  | {
      readonly type: 'eapStart';
      readonly reauthentication: boolean;
      readonly wish: number | undefined;
      readonly asked: Uint8Array | undefined;
    }
  | { readonly type: 'eapPacket'; readonly packet: Uint8Array }
  /** PAN[C] has come: the PaC is in. */
  | { readonly type: 'authorized'; readonly reauthentication: boolean; readonly grant: Grant }
  /** The AAA server has authorised the client, and there is no key for the SA that the PaC was promised: it is refused. */
  | { readonly type: 'unkeyed'; readonly missing: 'msk' | 'nonce' }
  /** `granted`: the AAA server had authorised it, so it has to hear of the end. */
  | { readonly type: 'closed'; readonly cause: PaaClosed; readonly granted: boolean }
  /**
   * The message was protected and new: where it came from is where the PaC is now (RFC 5191 5.6), or where it was at
   * `askedAt`, when the request that it answers was sent first; undefined: it is a request itself.
   */
  | { readonly type: 'heard'; readonly askedAt: number | undefined }
  /** What the last `prove` sent has come back. */
  | { readonly type: 'reached' };
