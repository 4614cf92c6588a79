import type { Secret } from '../../bytes/secret.js';
import type { MobilityAssignment, SealedAssignment } from '../../mip6/assignment.js';
import type { EncodedServices } from '../../mip6/services.js';
import type { PANA_TERMINATION_CAUSE } from '../wire/dictionary.js';
import type { EncryptionPolicy } from './key-agreement.js';
import type { RetransmissionParameters } from './retransmission.js';
import type { Dropped, Received, Send, SessionKey } from './session.js';

/** All times in milliseconds. */
export interface PaaSessionConfig {
  readonly vendorId: number;
  readonly prf: readonly number[];
  readonly integrity: readonly number[];
  readonly sa: 'required' | 'optional';
  /** Whether AVPs are encrypted, RFC 6786; undefined: off. */
  readonly encryption?: EncryptionPolicy;
  readonly failedSessionTimeout: number;
  readonly request: RetransmissionParameters;
  readonly pingInterval: number;
  /** Bits of Mobility-Capability to offer; undefined: the AVP is not sent. */
  readonly mobility: number | undefined;
  /**
   * legacy: old PaCs, which drop messages with unknown AVPs. They get only AVPs of RFC 5191, and no EAP-Payload in
   * PAR[S], unless their PAN[S] requests more.
   */
  readonly peers?: 'current' | 'legacy';
  /** Whether each PANA_AUTH_KEY is output for a protocol analyser in a lab. */
  readonly exportKeys: boolean;
  /** Whether to set the I bit: the PaC must get another IP address after authorization (RFC 5191 6.2). */
  readonly reconfigure: boolean;
  /** Fraction of the authorization lifetime after which re-authentication starts; 0: only the PaC starts it. */
  readonly reauthenticateAt: number;
  /**
   * How much longer the session is kept than the lifetime announced to the PaC, because the PaC may reauthenticate at
   * the last moment.
   */
  readonly lifetimeGrace: number;
}

/** What the AAA server granted. */
export interface Grant {
  /** Milliseconds; undefined: no limit. */
  readonly lifetime: number | undefined;
  /** When re-authentication must start; undefined: derived from the lifetime by the configuration. */
  readonly authorizationLifetime: number | undefined;
  readonly assignment: MobilityAssignment | undefined;
  /** The assignment if it is sealed. */
  readonly sealed?: SealedAssignment | undefined;
  /** The assignments of the services that the node requested. */
  readonly services?: EncodedServices | undefined;
}

export type PaaSessionInput =
  | { readonly type: 'message'; readonly received: Received }
  | { readonly type: 'tick' }
  | { readonly type: 'eapRequest'; readonly packet: Uint8Array }
  /** EAP succeeded. `authorized` false: access is refused nevertheless (Result-Code 2). */
  | {
      readonly type: 'eapSuccess';
      readonly packet: Uint8Array;
      /** The machine takes ownership and wipes it after deriving PANA_AUTH_KEY. */
      readonly msk: Secret | undefined;
      readonly authorized: boolean;
      readonly grant: Grant;
    }
  | { readonly type: 'eapFailure'; readonly packet: Uint8Array | undefined }
  /** EAP ended without a result: no message is sent (RFC 5191 4.1). */
  | { readonly type: 'eapTimeout' }
  /** The AAA server made no decision: it is overloaded or unavailable. */
  | { readonly type: 'eapPostponed' }
  /** Send a PNR with an Echo AVP. Its return proves that the PaC is at the destination address. */
  | { readonly type: 'prove' }
  /** After `arrived`: the PaC has been let in, and its PNR[P] is answered (RFC 5873 3). */
  | { readonly type: 'welcome' }
  /** Another session replaces this one: it ends immediately, and one PTR is sent to its PaC. */
  | { readonly type: 'replace' }
  | { readonly type: 'ping' }
  | { readonly type: 'reauthenticate' }
  | { readonly type: 'terminate'; readonly cause: PaaTermination }
  /** An internal error concerns the session: it ends without a message. */
  | { readonly type: 'abandon' };

export type PaaTermination = (typeof PANA_TERMINATION_CAUSE)['ADMINISTRATIVE' | 'SESSION_TIMEOUT'];

export type PaaClosed =
  | 'rejected'
  | 'eap-timeout'
  | 'no-progress'
  | 'no-answer'
  | 'lifetime-expired'
  | 'logout'
  | 'administrative'
  | 'session-timeout'
  /** The node started again at the same address and has authenticated, or its subscriber has newer sessions. */
  | 'replaced'
  /** The session was half-open without an answer to the first PAR, and was evicted for a newer start. */
  | 'pushed-out'
  /** An internal error. */
  | 'fault';

export type PaaSessionOutput =
  | Send
  | Dropped
  | SessionKey
  /** EAP starts. `wish`: the Mobility-Capability of PAN[S]. `asked`: the EAP-Request that PAR[S] carried. */
  | {
      readonly type: 'eapStart';
      readonly reauthentication: boolean;
      /** Whether the PaC is not in this network yet (RFC 5873). */
      readonly preAuthentication: boolean;
      readonly wish: number | undefined;
      readonly asked: Uint8Array | undefined;
    }
  | { readonly type: 'eapPacket'; readonly packet: Uint8Array }
  /** PAN[C] has arrived: the PaC is authorized. */
  | {
      readonly type: 'authorized';
      readonly reauthentication: boolean;
      readonly grant: Grant;
      /** Name of the Encryption-Algorithm; undefined: AVPs are not encrypted. */
      readonly encryption?: string | undefined;
    }
  /** The PaC, which was pre-authenticated, is in this network (RFC 5873 3). `welcome` must follow. */
  | { readonly type: 'arrived' }
  /** The AAA server authorized the client, but no key for the promised SA can be derived: access is refused. */
  | { readonly type: 'unkeyed'; readonly missing: 'msk' | 'nonce' }
  /** `granted`: the AAA server had authorized the session, so it needs an STR. */
  | { readonly type: 'closed'; readonly cause: PaaClosed; readonly granted: boolean }
  /**
   * The message was protected and new. Its source is the PaC's current location (RFC 5191 5.6). For an answer, the PaC
   * had this location at some time since `askedAt`, when the request was first sent; `askedAt` is undefined for a
   * request.
   */
  | { readonly type: 'heard'; readonly askedAt: number | undefined }
  /** RFC 5873 3: the pre-authenticated PaC says that it is in this network, at the source of the message. */
  | { readonly type: 'arriving' }
  /** The Echo value of the last `prove` has come back. */
  | { readonly type: 'reached' };
