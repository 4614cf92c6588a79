import type { Secret } from '../bytes/secret.js';
import type { HomeEvent } from './events.js';
import type { Grant, MobilityWish } from './mobility.js';
import type { BootstrapRequest, BootstrapResult, Found, Ike, Lease, Proof, Session, Subscriber } from './records.js';

/** Names a request, a question or a conversation. Whoever asks gives the number, and no number twice while it is in use. */
export type Token = number;

/** Configuration of the machine. Times in milliseconds. */
export interface HomeConfig {
  /** Conversations at once. */
  readonly conversations: number;
  /** How long the client may take for its next EAP response. */
  readonly roundTimeout: number;
  /** Octets of the largest EAP packet, unless the NAS says less. */
  readonly mtu: number;
  readonly sessionLifetime: number;
  /** How much longer than its session a lease lives. */
  readonly grace: number;
  /** While the store is lost, how long after its last authentication a subscriber gets access; 0: no access. */
  readonly outage: number;
  /** Refusals of one certificate in a minute; 0: any number. */
  readonly failures: number;
  readonly pskRoot: 'msk' | 'emsk';
  /** How long an answer waits for the home agent's hook. */
  readonly hookWait: number;
}

// ---------------------------------------------------------------------------------------------------------- requests

/** One request for access, of whatever AAA protocol. */
export interface AccessRequest {
  readonly sessionId: string;
  /** The AAA peer that brought it, and the NAS that it comes from. */
  readonly peer: string;
  readonly origin: string;
  readonly originRealm: string | undefined;
  /** The NAS's count of its own starts, as the request tells it (Origin-State-Id, RFC 6733 8.16). */
  readonly originState: number | undefined;
  /** Undefined: the NAS is not connected itself. Otherwise only what it said when it connected counts. */
  readonly connected: { readonly originState: number | undefined } | undefined;
  /** Address of the client as the NAS tells it. */
  readonly callingStation: string | undefined;
  /** EAP packet, or no octets to begin (RFC 4072 3.1). */
  readonly packet: Uint8Array;
  /** Octets that the NAS can carry to the client. */
  readonly mtu: number | undefined;
  readonly wish: MobilityWish | undefined;
}

export type AccessAnswer =
  /** `reissued`: the packet before was no response to this one (RFC 4072 2.4). */
  | { readonly type: 'challenge'; readonly packet: Uint8Array; readonly reissued: boolean; readonly timeout: number }
  | { readonly type: 'accept'; readonly accepted: Accepted }
  | {
      readonly type: 'reject';
      readonly packet: Uint8Array;
      /** `unavailable` says nothing about the client. */
      readonly because: 'authentication' | 'authorization' | 'unavailable';
    }
  /** An invalid packet before there was any request. */
  | { readonly type: 'unable' };

/** A success. The receiver wipes `msk`. */
export interface Accepted {
  readonly packet: Uint8Array;
  readonly msk: Secret;
  readonly nai: string;
  /** Seconds: of the session, and how much longer its lease lives. */
  readonly lifetime: number;
  readonly grace: number;
  readonly mobility: Grant | undefined;
}

/** Why a request has no other answer. */
export type Denial =
  | 'too-busy'
  /** RFC 6733 8: a session belongs to the host that began it; nobody else is told that there is one. */
  | 'unknown-session'
  | 'out-of-space'
  /** The store did not answer, or something of ours failed. */
  | 'failed';

export type HomeAnswer =
  | AccessAnswer
  | { readonly type: 'terminated'; readonly known: boolean }
  | { readonly type: 'denied'; readonly because: Denial };

export interface TerminationRequest {
  readonly sessionId: string;
  readonly origin: string;
  /** By name, for people. */
  readonly cause: string;
}

// --------------------------------------------------------------------------------------------------------------- EAP

/** A client whose certificate is good. */
export interface ProvenClient {
  readonly names: Proof['names'];
  /** SHA-256 of its certificate. */
  readonly sha256: Proof['sha256'];
}

export type Authorization =
  | { readonly ok: true; readonly subscriber: Subscriber }
  | { readonly ok: false; readonly reason: Extract<Found, { refusal: string }>['refusal'] | Limit };
type Limit = 'too-many-failures' | 'unavailable';

/** What EAP makes of one packet. */
export type EapVerdict =
  | { readonly type: 'request'; readonly packet: Uint8Array }
  /** No response to the last request, which is `packet`. */
  | { readonly type: 'invalid'; readonly packet: Uint8Array | undefined; readonly reason: string }
  | {
      readonly type: 'failure';
      readonly packet: Uint8Array;
      readonly reason: string;
      readonly detail: string;
      /** As the client claimed it in clear. */
      readonly identity: string | undefined;
    }
  /** The engine had too much to do. */
  | { readonly type: 'busy' }
  | ({ readonly type: 'success' } & EapSuccess);

/** A client that is in, as far as EAP goes. The machine takes the keys over. */
export interface EapSuccess {
  readonly packet: Uint8Array;
  readonly msk: Secret;
  readonly emsk: Secret;
  /** Identifies the certificate in the store, which finds sessions by it. */
  readonly certificate: string;
  readonly sha256: string;
  /** Milliseconds that the certificate is still valid. */
  readonly validFor: number;
  readonly subscriber: Subscriber;
  readonly tls: string;
  readonly resumed: boolean;
  /** So many hooks of this subscriber wait that no more should be begun. */
  readonly hooksBehind: boolean;
}

// ------------------------------------------------------------------------------------------------------------- store

/** Operations of the store that decide about sessions: arguments, and result. */
export interface HomeOperations {
  readonly findSubscriber: readonly [given: Proof, result: Found];
  readonly originOfSession: readonly [given: { readonly sessionId: string }, result: string | undefined];
  readonly bootstrap: readonly [given: BootstrapRequest, result: BootstrapResult];
  readonly endSession: readonly [
    given: { readonly sessionId: string; readonly origin?: string | undefined },
    result: { readonly known: boolean; readonly foreign?: boolean; readonly released: Lease | undefined },
  ];
  readonly endSessionsOf: readonly [
    given: { readonly origin: string; readonly before: number; readonly leasesFor: number },
    result: number,
  ];
  readonly listSessions: readonly [
    given: { readonly of: string; readonly paa: string },
    result: { readonly items: readonly Session[] },
  ];
}

/** An operation with its arguments. */
export type StoreCall<O = HomeOperations> = {
  [N in keyof O]: O[N] extends readonly [infer G, unknown] ? { readonly operation: N; readonly given: G } : never;
}[keyof O];

/** What became of an operation. */
export type Stored<O = HomeOperations> =
  | {
      [N in keyof O]: O[N] extends readonly [unknown, infer R] ? { readonly operation: N; readonly result: R } : never;
    }[keyof O]
  | StoreFailure;

/** `full`: the disk is. */
export interface StoreFailure {
  readonly operation: 'failed';
  readonly reason: string;
  readonly full: boolean;
}

// ----------------------------------------------------------------------------------------------------------- servers

/** What a server asks of a NAS: ASR or RAR, a Disconnect-Request or a CoA. */
export type Demand = 'disconnect' | 'reauthenticate';

/** What became of it: the NAS's result, or why there is none. */
export type Told =
  /** `unknown`: the NAS has no such session. `code`: as its protocol has it, for people. */
  { readonly code: number; readonly unknown: boolean } | { readonly failure: string };

/** What a lease has until its end. The receiver wipes `psk`. */
export interface LeaseKey {
  readonly psk: Secret;
  readonly ike: Ike;
  /** Milliseconds. */
  readonly lifetime: number;
}

// ------------------------------------------------------------------------------------------------------------ inputs

export type HomeInput =
  | { readonly type: 'request'; readonly token: Token; readonly request: AccessRequest }
  | { readonly type: 'termination'; readonly token: Token; readonly request: TerminationRequest }
  /** Answers `eap`, with its token. */
  | { readonly type: 'verdict'; readonly token: Token; readonly verdict: EapVerdict }
  /** A certificate is good, and nothing has been said to the client: may it come in? `authorization` answers. */
  | { readonly type: 'proven'; readonly token: Token; readonly conversation: Token; readonly client: ProvenClient }
  /** A conversation has a flight for the TLS engine, or is done with it; `turn` answers the first. */
  | { readonly type: 'flight'; readonly token: Token; readonly conversation: Token }
  | { readonly type: 'flown'; readonly token: Token }
  /** Answers `store`. */
  | { readonly type: 'stored'; readonly token: Token; readonly stored: Stored }
  /** The first try of a hook has ended. */
  | { readonly type: 'hooked'; readonly token: Token }
  /** A NAS has connected. */
  | { readonly type: 'peerOpen'; readonly origin: string; readonly originState: number | undefined }
  /** An operator's wish, or what follows from one; `done` answers. */
  | { readonly type: 'demand'; readonly token: Token; readonly demand: Demand; readonly session: Session }
  /** Ends a session here, whatever its NAS knows of it; `done` answers. */
  | { readonly type: 'end'; readonly token: Token; readonly session: Session; readonly reason: string }
  /** Answers `tell`. */
  | { readonly type: 'told'; readonly token: Token; readonly told: Told }
  /** Nobody's authentication is remembered any more: subscribers have changed. */
  | { readonly type: 'forget' }
  /** The server ends: all conversations are closed. */
  | { readonly type: 'stop' };

export type HomeOutput =
  | { readonly type: 'answer'; readonly token: Token; readonly answer: HomeAnswer }
  | { readonly type: 'open'; readonly conversation: Token; readonly sessionId: string; readonly mtu: number }
  | { readonly type: 'eap'; readonly token: Token; readonly conversation: Token; readonly packet: Uint8Array }
  | { readonly type: 'close'; readonly conversation: Token }
  | { readonly type: 'authorization'; readonly token: Token; readonly authorization: Authorization }
  /** `granted` false: the engine has too much to do. */
  | { readonly type: 'turn'; readonly token: Token; readonly granted: boolean }
  | { readonly type: 'store'; readonly token: Token; readonly call: StoreCall }
  /** `hooked` answers, if there is a token. */
  | {
      readonly type: 'hook';
      readonly token: Token | undefined;
      readonly event: 'up' | 'refresh' | 'down';
      readonly lease: Lease;
      readonly key: LeaseKey | undefined;
    }
  | { readonly type: 'tell'; readonly token: Token; readonly demand: Demand; readonly session: Session }
  | { readonly type: 'done'; readonly token: Token; readonly outcome: Told }
  /** Nothing that is kept for repeated requests holds the keys of this session, or of this NAS's, any more. */
  | { readonly type: 'forgetKeys'; readonly sessionId: string }
  | { readonly type: 'forgetKeysOf'; readonly origin: string }
  | { readonly type: 'event'; readonly event: HomeEvent }
  /** Something of ours failed; the request that it was for is denied. */
  | { readonly type: 'fault'; readonly error: unknown };
