import type { Secret } from '../bytes/secret.js';
import type { EncodedServices, ServiceAssignment } from '../mip6/services.js';
import type { HomeEvent } from './events.js';
import type { MobilityGrant, MobilityWish } from './mobility.js';
import type {
  BootstrapRequest,
  BootstrapResult,
  FoundSubscriber,
  HomeAgentRequest,
  Ike,
  Lease,
  Proof,
  ServiceLease,
  ServiceRequest,
  ServiceResult,
  Session,
  Subscriber,
} from './records.js';

/**
 * Identifies a request, a question or a conversation. The side that sends it chooses the number, and must not reuse one
 * that is in use.
 */
export type Token = number;

/** Configuration of the machine. Times in milliseconds. */
export interface HomeConfig {
  /** Maximum number of concurrent conversations. */
  readonly conversations: number;
  /** How long the server waits for the next EAP response of a client. */
  readonly roundTimeout: number;
  /** Maximum size of an EAP packet in octets, unless the NAS requests less. */
  readonly mtu: number;
  readonly sessionLifetime: number;
  /** How much longer than its session a lease lasts. */
  readonly grace: number;
  /**
   * While the store is unavailable, a subscriber gets access for this time after its last authentication; 0: no access.
   */
  readonly outage: number;
  /** Maximum number of failed authentications per certificate and minute; 0: no limit. */
  readonly failures: number;
  readonly pskRoot: 'msk' | 'emsk';
  /** How long an answer waits for the hook of the home agent. */
  readonly hookWait: number;
  readonly engines: EngineConfig;
}

/** The TLS engines. Each conversation uses one of them. */
export interface EngineConfig {
  readonly count: number;
  /** Maximum number of flights that one engine processes at the same time. */
  readonly parallel: number;
}

// ---------------------------------------------------------------------------------------------------------- requests

/** One access request, independent of the AAA protocol. */
export interface AccessRequest {
  readonly sessionId: string;
  /** The AAA peer that delivered the request, and the NAS that created it. */
  readonly peer: string;
  readonly origin: string;
  readonly originRealm: string | undefined;
  /** Restart counter of the NAS (Origin-State-Id, RFC 6733 8.16) from the request. */
  readonly originState: number | undefined;
  /**
   * Set if the NAS itself is connected. Its restart counter from the connection setup then replaces the one in the
   * request.
   */
  readonly connected: { readonly originState: number | undefined } | undefined;
  /** Address of the client according to the NAS. */
  readonly callingStation: string | undefined;
  /** EAP packet; empty at the start (RFC 4072 3.1). */
  readonly packet: Uint8Array;
  /** Maximum size of an EAP packet that the NAS can deliver to the client, in octets. */
  readonly mtu: number | undefined;
  readonly wish: MobilityWish | undefined;
  /** Whether its node needs the extended master secret (RFC 7627) with TLS 1.2; undefined: as all others. */
  readonly extendedMasterSecret?: 'required' | 'wanted' | undefined;
  /** The capability bits of a request that includes services besides Mobile IPv6. */
  readonly services?: number | undefined;
  /** Set if the NAS is a home agent: a node authenticates to it by EAP in IKEv2, and gets its home address. */
  readonly homeAgent?: HomeAgentClient | undefined;
}

/** A home agent that asks for a node. */
export interface HomeAgentClient {
  /** Its name in the store. */
  readonly name: string;
  /** The identity by which the home agent knows the node, and by which it selects the node's policy. */
  readonly user: string | undefined;
}

export type AccessAnswer =
  /** `reissued`: the last packet was not a response to this request (RFC 4072 2.4). */
  | { readonly type: 'challenge'; readonly packet: Uint8Array; readonly reissued: boolean; readonly timeout: number }
  | { readonly type: 'accept'; readonly accepted: AcceptedAccess }
  | {
      readonly type: 'reject';
      readonly packet: Uint8Array;
      /** `unavailable` is not a decision about the client. */
      readonly because: 'authentication' | 'authorization' | 'unavailable';
    }
  /** The first packet of the conversation was invalid. */
  | { readonly type: 'unable' };

/** A success. The receiver wipes `msk`. */
export interface AcceptedAccess {
  readonly packet: Uint8Array;
  readonly msk: Secret;
  readonly nai: string;
  /** Lifetime of the session, and the additional time of its lease, in seconds. */
  readonly lifetime: number;
  readonly grace: number;
  readonly mobility: MobilityGrant | undefined;
  readonly services?: EncodedServices | undefined;
}

/** Why a request is denied. */
export type Denial =
  | 'too-busy'
  /**
   * RFC 6733 8: a session belongs to the host that started it. The answer to another host does not show that it exists.
   */
  | 'unknown-session'
  | 'out-of-space'
  /** The store did not answer, or an internal error occurred. */
  | 'failed';

/** What a NAS reports about its session. */
export interface SessionReport {
  readonly sessionId: string;
  readonly origin: string;
  /** How the NAS knows the session; see Session. Undefined: as before. */
  readonly nas: string | undefined;
  /** Octets from and to the node since the session began. */
  readonly octets: { readonly received: number; readonly sent: number } | undefined;
}

export type HomeAnswer =
  | AccessAnswer
  /** The report is stored, unless the session is unknown. */
  | { readonly type: 'reported'; readonly known: boolean }
  | { readonly type: 'terminated'; readonly known: boolean }
  | { readonly type: 'denied'; readonly because: Denial };

export interface TerminationRequest {
  readonly sessionId: string;
  readonly origin: string;
  /** Name of the cause, for display. */
  readonly cause: string;
}

// --------------------------------------------------------------------------------------------------------------- EAP

/** A client with a valid certificate. */
export interface ProvenClient {
  readonly names: Proof['names'];
  /** SHA-256 of its certificate. */
  readonly sha256: Proof['sha256'];
}

export type ClientAuthorization =
  | { readonly ok: true; readonly subscriber: Subscriber }
  | { readonly ok: false; readonly reason: Extract<FoundSubscriber, { refusal: string }>['refusal'] | Limit };
type Limit = 'too-many-failures' | 'unavailable';

/** The result of one EAP packet. */
export type EapVerdict =
  | { readonly type: 'request'; readonly packet: Uint8Array }
  /** The packet is not a response to the last request, which is `packet`. */
  | { readonly type: 'invalid'; readonly packet: Uint8Array | undefined; readonly reason: string }
  | {
      readonly type: 'failure';
      readonly packet: Uint8Array;
      readonly reason: string;
      readonly detail: string;
      /** The identity that the client claimed, unprotected. */
      readonly identity: string | undefined;
    }
  /** The TLS engine is overloaded. */
  | { readonly type: 'busy' }
  | ({ readonly type: 'success' } & EapSuccess);

/** A successful EAP authentication. The machine takes ownership of the keys. */
export interface EapSuccess {
  readonly packet: Uint8Array;
  readonly msk: Secret;
  readonly emsk: Secret;
  /** The EAP Session-Id. */
  readonly sessionId: Uint8Array;
  /** Random octets for a sealed assignment, SEAL_NONCE of them. */
  readonly nonce: Uint8Array;
  /** Key of the certificate in the store, by which sessions are found. */
  readonly certificate: string;
  readonly sha256: string;
  /** Remaining validity of the certificate in milliseconds. */
  readonly validFor: number;
  readonly subscriber: Subscriber;
  readonly tls: string;
  readonly resumed: boolean;
  /** Whether so many hooks of this subscriber are waiting that no more should be started. */
  readonly hooksBehind: boolean;
}

// ------------------------------------------------------------------------------------------------------------- store

/**
 * Store operations for sessions: arguments and result. The store runs them by these names and takes their types from
 * here.
 */
export interface HomeOperations {
  readonly findSubscriber: readonly [given: Proof, result: FoundSubscriber];
  readonly originOfSession: readonly [given: { readonly sessionId: string }, result: string | undefined];
  readonly bootstrap: readonly [given: BootstrapRequest, result: BootstrapResult];
  readonly bootstrapAtHomeAgent: readonly [given: HomeAgentRequest, result: BootstrapResult];
  readonly assignServices: readonly [given: ServiceRequest, result: ServiceResult];
  readonly endSession: readonly [
    /** `unconfirmed`: its NAS has not confirmed the end, so the commit stores the duty to disconnect the session there. */
    given: { readonly sessionId: string; readonly origin?: string | undefined; readonly unconfirmed?: boolean },
    result: { readonly known: boolean; readonly foreign?: boolean; readonly released: Lease | undefined },
  ];
  readonly endSessionsOf: readonly [
    given: { readonly origin: string; readonly before: number; readonly leasesFor: number },
    result: number,
  ];
  readonly reportSession: readonly [given: SessionReport, result: { readonly known: boolean }];
  readonly listSessions: readonly [
    given: { readonly of: string; readonly paa: string },
    result: { readonly items: readonly Session[] },
  ];
}

/** Store operations by name. */
type Operations<O> = { readonly [N in keyof O]: readonly [given: unknown, result: unknown] };

/** An operation with its arguments. */
export type StoreCall<O extends Operations<O> = HomeOperations, N extends keyof O = keyof O> = {
  [P in N]: { readonly operation: P; readonly given: O[P][0] };
}[N];

/** Result of an operation. */
export type StoreResult<O extends Operations<O> = HomeOperations, N extends keyof O = keyof O> = {
  [P in N]: { readonly operation: P; readonly result: O[P][1] };
}[N];

/** Answer to a question: the result of the operation, or its failure. */
export type Stored<O extends Operations<O> = HomeOperations, N extends keyof O = keyof O> =
  | StoreResult<O, N>
  | StoreFailure;

/** `full`: the disk is full. */
export interface StoreFailure {
  readonly operation: 'failed';
  readonly reason: string;
  readonly full: boolean;
}

// ----------------------------------------------------------------------------------------------------------- servers

/** Requests to a NAS: ASR and RAR in Diameter, Disconnect-Request and CoA-Request in RADIUS. */
export type Demand = 'disconnect' | 'reauthenticate';

/** The answer of a NAS to a demand. */
export interface DemandAnswer {
  /** Name of the result in its protocol, for display. */
  readonly result: string;
  /** The NAS has no such session. */
  readonly unknown: boolean;
  /** The NAS refused the demand, or an agent could not deliver the request. */
  readonly refused: boolean;
  /** The NAS has ended the session, and need not send a termination request. */
  readonly over?: boolean;
}

/** The answer of the NAS, or why there is none. */
export type DemandOutcome = DemandAnswer | { readonly failure: string };

/** The key of a lease. The receiver wipes `psk`. */
export interface LeaseKey {
  readonly psk: Secret;
  readonly ike: Ike;
  /** Whether the node authenticates by EAP in IKEv2, and gets its home address there. The key is not used then. */
  readonly byIke: boolean;
  /** Remaining lifetime of the lease in milliseconds. */
  readonly lifetime: number;
}

/** The key of a service, and what it belongs to. The receiver wipes `secret`. */
export interface ServiceLeaseKey {
  readonly secret: Secret;
  readonly assignment: ServiceAssignment;
}

// ------------------------------------------------------------------------------------------------------------ inputs

export type HomeInput =
  | { readonly type: 'request'; readonly token: Token; readonly request: AccessRequest }
  | { readonly type: 'termination'; readonly token: Token; readonly request: TerminationRequest }
  /** Answered by `answer`. */
  | { readonly type: 'report'; readonly token: Token; readonly report: SessionReport }
  /** Answers `eap` with its token. */
  | { readonly type: 'verdict'; readonly token: Token; readonly verdict: EapVerdict }
  /** A certificate is valid, and the client has not received any result yet. Answered by `authorization`. */
  | { readonly type: 'proven'; readonly token: Token; readonly conversation: Token; readonly client: ProvenClient }
  /** A conversation has a TLS flight to process (answered by `turn`), or has finished processing one. */
  | { readonly type: 'flight'; readonly token: Token; readonly conversation: Token }
  | { readonly type: 'flown'; readonly token: Token }
  /** Answers `store`. */
  | { readonly type: 'stored'; readonly token: Token; readonly stored: Stored }
  /** The first try of a hook has ended. */
  | { readonly type: 'hooked'; readonly token: Token }
  /** A NAS has connected. */
  | { readonly type: 'peerOpen'; readonly origin: string; readonly originState: number | undefined }
  /** Send a request to the NAS of a session, to disconnect or reauthenticate it. Answered by `done`. */
  | { readonly type: 'demand'; readonly token: Token; readonly demand: Demand; readonly session: Session }
  /** End a session in the store, whatever the state of its NAS. Answered by `done`. */
  | { readonly type: 'end'; readonly token: Token; readonly session: Session; readonly reason: string }
  /** Answers `sendDemand`. */
  | { readonly type: 'demandAnswered'; readonly token: Token; readonly outcome: DemandOutcome }
  /** Subscribers have changed: discard remembered authentications. */
  | { readonly type: 'forget' }
  /** The server stops: close all conversations. */
  | { readonly type: 'stop' }
  | { readonly type: 'tick' };

export type HomeOutput =
  | { readonly type: 'answer'; readonly token: Token; readonly answer: HomeAnswer }
  | {
      readonly type: 'open';
      readonly conversation: Token;
      readonly sessionId: string;
      readonly mtu: number;
      readonly extendedMasterSecret: AccessRequest['extendedMasterSecret'];
    }
  | { readonly type: 'eap'; readonly token: Token; readonly conversation: Token; readonly packet: Uint8Array }
  | { readonly type: 'close'; readonly conversation: Token }
  | { readonly type: 'authorization'; readonly token: Token; readonly authorization: ClientAuthorization }
  /** `engine`: number of the engine that processes the flight, the same for all flights of a conversation. */
  | { readonly type: 'turn'; readonly token: Token; readonly granted: true; readonly engine: number }
  /** The engines are overloaded. */
  | { readonly type: 'turn'; readonly token: Token; readonly granted: false }
  | { readonly type: 'store'; readonly token: Token; readonly call: StoreCall }
  /** Run a hook. With a token, `hooked` must follow. */
  | {
      readonly type: 'hook';
      readonly token: Token | undefined;
      readonly event: 'up' | 'refresh' | 'down';
      readonly lease: Lease;
      readonly key: LeaseKey | undefined;
    }
  /** Run the hook of a service. */
  | {
      readonly type: 'service';
      readonly event: 'up' | 'refresh' | 'down';
      readonly lease: ServiceLease;
      readonly key: ServiceLeaseKey | undefined;
    }
  | { readonly type: 'sendDemand'; readonly token: Token; readonly demand: Demand; readonly session: Session }
  | { readonly type: 'done'; readonly token: Token; readonly outcome: DemandOutcome }
  /** Discard cached answers that hold keys of this session, or of all sessions of this NAS. */
  | { readonly type: 'forgetKeys'; readonly sessionId: string }
  | { readonly type: 'forgetKeysOf'; readonly origin: string }
  | { readonly type: 'event'; readonly event: HomeEvent }
  /** An internal error. The request, authorization or turn that the input belongs to is denied; a demand fails. */
  | { readonly type: 'fault'; readonly error: unknown };
