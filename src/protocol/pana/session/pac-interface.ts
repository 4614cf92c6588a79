import type { Secret } from '../../bytes/secret.js';
import type { MobilityAssignment } from '../../mip6/assignment.js';
import type { Algorithms } from '../wire/algorithms.js';
import type { ReceivedServices } from '../wire/mobility.js';
import type { EncryptionPolicy } from './key-agreement.js';
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
  /** Whether AVPs are encrypted, RFC 6786; undefined: off. */
  readonly encryption?: EncryptionPolicy;
  /** Whether the session is made with a PAA to which the node may move (RFC 5873); `arrive` is given when it is there. */
  readonly preAuthentication?: boolean;
  /** Whether EAP responses are sent in PAN; otherwise they are sent in a PAR (RFC 5191 4.1). */
  readonly piggyback: boolean;
  /** How long PAN waits for an EAP response; then it is sent without one. */
  readonly eapReplyTimeout: number;
  /** FAILED_SESS_TIMEOUT (RFC 5609 6.2): a phase without progress ends after this time. */
  readonly failedSessionTimeout: number;
  readonly pci: RetransmissionParameters;
  readonly request: RetransmissionParameters;
  /** Time without a message from the PAA after which a ping is sent; 0: never. */
  readonly pingInterval: number;
  /** Fraction of the lifetime after which re-authentication starts; 0: only the PAA starts it. */
  readonly reauthenticateAt: number;
  readonly mobility: PacMobility | undefined;
  /** Whether each PANA_AUTH_KEY is output for a protocol analyser in a lab. */
  readonly exportKeys: boolean;
}

export interface PacMobility {
  /** `required`: the PaC does not answer a PAA that does not offer bootstrapping. */
  readonly mode: 'required' | 'wanted';
  /** Bits of CAPABILITY that the PaC requests if they are offered. */
  readonly wish: number;
  /** Whether the PaC requests nothing from a PAA that does not forward sealed assignments. */
  readonly sealed?: boolean;
}

export type PacInput =
  /** AUTH_USER of RFC 5609 7: start. */
  | { readonly type: 'start' }
  /** A datagram from the PAA. The machine takes ownership of the octets. */
  | { readonly type: 'datagram'; readonly octets: Uint8Array }
  | { readonly type: 'tick' }
  | { readonly type: 'eapResponse'; readonly packet: Uint8Array }
  /** The EAP method has derived its MSK, before EAP-Success. The machine takes ownership. */
  | {
      readonly type: 'eapKeys';
      readonly msk: Secret;
      /**
       * Whether the server may still refuse, because EAP-TLS with TLS 1.2 has no protected success indication (RFC 9190
       * 2.5). Default: false.
       */
      readonly unconfirmed?: boolean;
    }
  | { readonly type: 'eapSucceeded' }
  | { readonly type: 'eapFailed' }
  | { readonly type: 'eapDiscarded' }
  | { readonly type: 'ping' }
  /** The local address or port has changed; the next datagram is sent from the new one. */
  | { readonly type: 'moved' }
  /** As `moved`: the node has come to the network of a PAA with which it is pre-authenticated (RFC 5873 3). */
  | { readonly type: 'arrive' }
  /**
   * The node may be on another link: the next message that proves that the PAA has the session leads to `heard`. Before
   * there is a session, PCI is sent again.
   */
  | { readonly type: 'probe' }
  | { readonly type: 'reauthenticate' }
  | { readonly type: 'terminate' };

export type PacClosed =
  /** Result-Code 1, 2. */
  | 'authentication-rejected'
  | 'authorization-rejected'
  | 'eap-failed'
  /** A phase without progress has timed out. */
  | 'no-progress'
  /** A request was not answered, or PCI was not answered within its limits. */
  | 'no-answer'
  | 'lifetime-expired'
  | 'terminated-by-paa'
  | 'terminated'
  /** An internal error. */
  | 'fault';

/** A sealed assignment as the PaC received it. */
export interface ReceivedSeal {
  readonly value: Uint8Array;
  /** Mobility-Capability as the PaC sent it. */
  readonly wish: number;
}

export interface PacAuthorized {
  readonly type: 'authorized';
  readonly sessionId: number;
  readonly reauthentication: boolean;
  /** Milliseconds; undefined: no limit. */
  readonly lifetime: number | undefined;
  /** Undefined: there is none, or it is sealed. */
  readonly assignment: MobilityAssignment | undefined;
  readonly sealed: ReceivedSeal | undefined;
  /** Why the assignment of the PAA cannot be used. */
  readonly mobilityProblem: string | undefined;
  readonly services: ReceivedServices;
  /** The I bit: the PaC must get a new IP address now (RFC 5191 6.2). */
  readonly reconfigure: boolean;
  readonly algorithms: Algorithms | undefined;
}

export type PacOutput =
  | Send
  | Dropped
  /** A new authentication starts: discard the EAP state of the previous one. */
  | { readonly type: 'eapRestart' }
  | { readonly type: 'eapPacket'; readonly packet: Uint8Array }
  | PacAuthorized
  | SessionKey
  /**
   * `silent`: the PAA of an open session does not answer a request. Repeated at each retransmission until `heard`, which
   * also follows `probe` and `moved`.
   */
  | { readonly type: 'silent' | 'heard' }
  /** After `arrive`: the PAA knows that the node is in its network, and has let it in. */
  | { readonly type: 'arrived' }
  | { readonly type: 'closed'; readonly cause: PacClosed; readonly sessionId: number | undefined };
