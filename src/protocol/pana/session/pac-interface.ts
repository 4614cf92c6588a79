import type { Secret } from '../../bytes/secret.js';
import type { MobilityAssignment } from '../../mip6/assignment.js';
import type { Algorithms } from '../wire/algorithms.js';
import type { RetransmissionParameters } from './retransmission.js';
import type { Dropped, Send, SessionKey } from './session.js';

/** All times in milliseconds. */
export interface PacConfig {
  readonly vendorId: number;
  /** Algorithm ids by preference. */
  readonly prf: readonly number[];
  readonly integrity: readonly number[];
  /** `required`: no session without a PANA SA. */
  readonly sa: 'required' | 'optional';
  /** Send EAP responses in PAN; the other way is a PAR of its own (RFC 5191 4.1). */
  readonly piggyback: boolean;
  /** How long EAP may take for a response to be piggybacked; then PAN goes without it. */
  readonly eapReplyTimeout: number;
  /** FAILED_SESS_TIMEOUT (RFC 5609 6.2): a phase that makes no progress ends after this. */
  readonly failedSessionTimeout: number;
  readonly pci: RetransmissionParameters;
  readonly request: RetransmissionParameters;
  /** A ping after this time without a message from the PAA; 0: none. */
  readonly pingInterval: number;
  /** Re-authentication starts when this part of the lifetime has passed; 0: left to the PAA. */
  readonly reauthenticateAt: number;
  readonly mobility: PacMobility | undefined;
  /** Hand out each PANA_AUTH_KEY, for a lab's analyser. */
  readonly exportKeys: boolean;
}

export interface PacMobility {
  /** `required`: a PAA that offers no bootstrapping is not answered. */
  readonly mode: 'required' | 'wanted';
  /** Bits of CAPABILITY that the PaC asks for, where they are offered. */
  readonly wish: number;
}

export type PacInput =
  /** AUTH_USER of RFC 5609 7: begin. */
  | { readonly type: 'start' }
  /** One datagram from the PAA; the machine keeps the octets. */
  | { readonly type: 'datagram'; readonly octets: Uint8Array }
  | { readonly type: 'tick' }
  | { readonly type: 'eapResponse'; readonly packet: Uint8Array }
  /** The EAP method has its MSK, before EAP-Success; the machine takes it over. */
  | {
      readonly type: 'eapKeys';
      readonly msk: Secret;
      /** The server may still refuse: EAP-TLS 1.2 has no protected word of success (RFC 9190 2.5). Default: it may not. */
      readonly unconfirmed?: boolean;
    }
  | { readonly type: 'eapSucceeded' }
  | { readonly type: 'eapFailed' }
  | { readonly type: 'eapDiscarded' }
  | { readonly type: 'ping' }
  /** Our own address or port is another one: the next datagram comes from there. */
  | { readonly type: 'moved' }
  | { readonly type: 'reauthenticate' }
  | { readonly type: 'terminate' };

export type PacClosed =
  /** Result-Code 1, 2. */
  | 'authentication-rejected'
  | 'authorization-rejected'
  | 'eap-failed'
  /** A phase made no progress. */
  | 'no-progress'
  /** A request, or PCI with a limit, was not answered. */
  | 'no-answer'
  | 'lifetime-expired'
  | 'terminated-by-paa'
  | 'terminated'
  /** This program made a mistake with it. */
  | 'fault';

export interface PacAuthorized {
  readonly type: 'authorized';
  readonly sessionId: number;
  readonly reauthentication: boolean;
  /** Milliseconds; undefined: no limit. */
  readonly lifetime: number | undefined;
  readonly assignment: MobilityAssignment | undefined;
  /** Why there is no assignment although the PAA sent one. */
  readonly mobilityProblem: string | undefined;
  /** I bit: get a new IP address now (RFC 5191 6.2). */
  readonly reconfigure: boolean;
  readonly algorithms: Algorithms | undefined;
}

export type PacOutput =
  | Send
  | Dropped
  /** A new run of EAP begins: forget the one before. */
  | { readonly type: 'eapRestart' }
  | { readonly type: 'eapPacket'; readonly packet: Uint8Array }
  | PacAuthorized
  | SessionKey
  /** The PAA of an open session leaves a request unanswered; said at each repetition until `heard`. */
  | { readonly type: 'silent' | 'heard' }
  | { readonly type: 'closed'; readonly cause: PacClosed; readonly sessionId: number | undefined };
