import { DecodeError } from '../bytes/decode-error.js';
import { chainProblem } from '../x509/chain-limits.js';
import { clearCertificates } from './clear-certificates.js';
import { type EapKeys, wipeKeys } from './keys.js';
import type { Refusal } from './refusal.js';
import { CONTENT_TYPE } from './tls-numbers.js';
import type { PeerIdentity } from './verified-peer.js';

/** RFC 9190 2.5: the protected success indication, one octet of application data. TLS 1.2 has none (RFC 5216). */
const PROTECTED_SUCCESS: Uint8Array = Uint8Array.of(0);
const NO_DATA = new Uint8Array(0);

/** The authorization decision for a client whose certificate is valid. */
export type Authorization<G> =
  | { readonly ok: true; readonly identity: string; readonly grant: G }
  | { readonly ok: false; readonly reason: Refusal };

/** The result of a successful authentication. */
export interface Accepted<G> extends EapKeys {
  readonly peer: PeerIdentity;
  readonly identity: string;
  readonly grant: G;
  /** In the notation of Node.js, such as `TLSv1.3`. */
  readonly tlsVersion: string;
  readonly resumed: boolean;
}

/** Answers to questions. Each has the token of its question; an answer to an older question is ignored. */
export type ServerTlsInput<G> =
  /** The engine's next flight; the handshake continues. */
  | { readonly type: 'flight'; readonly token: number; readonly flight: Uint8Array }
  /**
   * The handshake is complete and the client's certificate is valid. The engine holds its last flight back until
   * `commit`. `applicationData`: number of application data octets that the client sent, which must be 0.
   */
  | {
      readonly type: 'verified';
      readonly token: number;
      readonly peer: PeerIdentity;
      readonly tlsVersion: string;
      readonly resumed: boolean;
      readonly applicationData: number;
    }
  | { readonly type: 'authorized'; readonly token: number; readonly decision: Authorization<G> }
  /** The last flight, which includes the commitment. The machine takes ownership of the keys. */
  | { readonly type: 'finished'; readonly token: number; readonly flight: Uint8Array; readonly keys: EapKeys }
  | { readonly type: 'failed'; readonly token: number; readonly reason: Refusal; readonly detail: string }
  /** The engine is overloaded, or it has lost the handshake. */
  | { readonly type: 'busy'; readonly token: number };

export type ServerTlsQuestion =
  /** Pass this flight of the client to the engine. Answered by flight, verified, failed or busy. */
  | { readonly type: 'handshake'; readonly token: number; readonly flight: Uint8Array }
  /** Decide whether to authorize this client. Answered by authorized or failed. */
  | { readonly type: 'authorize'; readonly token: number; readonly peer: PeerIdentity }
  /** Write this application data, export the keys and return the last flight. Answered by finished, failed or busy. */
  | { readonly type: 'commit'; readonly token: number; readonly applicationData: Uint8Array }
  /** No more questions follow; the engine may free the handshake. */
  | { readonly type: 'abandon' };

export type ServerTlsStep<G> =
  | ServerTlsQuestion
  | { readonly type: 'send'; readonly flight: Uint8Array }
  | { readonly type: 'accepted'; readonly accepted: Accepted<G> }
  | { readonly type: 'refused'; readonly reason: Refusal; readonly detail: string }
  | { readonly type: 'turnedAway' };

type Verified = Extract<ServerTlsInput<never>, { type: 'verified' }>;
type Permission<G> = Extract<Authorization<G>, { ok: true }>;

type State<G> =
  /** Waiting for a flight of the client. */
  | { readonly name: 'CLIENT'; readonly first: boolean }
  /** The engine is processing a flight. */
  | { readonly name: 'ENGINE' }
  | { readonly name: 'DECISION'; readonly verified: Verified }
  | { readonly name: 'COMMIT'; readonly verified: Verified; readonly permission: Permission<G> }
  /** The last flight was sent; waiting for the empty Response. */
  | { readonly name: 'COMMITTED'; readonly accepted: Accepted<G> }
  | { readonly name: 'OVER' };

/**
 * EAP-TLS on the authentication server, from whole flights to keys (RFC 9190, RFC 5216). Authorization is decided
 * before the commitment is sent. The keys are delivered when the client has acknowledged the commitment.
 */
export class TlsAuthenticator<G> {
  #state: State<G> = { name: 'CLIENT', first: true };
  #token = 0;

  /** Whether an answer of the engine or an authorization decision is pending. */
  get busy(): boolean {
    const { name } = this.#state;
    return name === 'ENGINE' || name === 'DECISION' || name === 'COMMIT';
  }

  /** Whether the client has sent a flight. */
  get begun(): boolean {
    return !(this.#state.name === 'CLIENT' && this.#state.first);
  }

  /** Whether the client has proven possession of an accepted certificate and is authorized. */
  get proven(): boolean {
    return this.#state.name === 'COMMITTED';
  }

  /** Processes a whole flight of the client. `complete` false: only a part of a flight was received. */
  flight(flight: Uint8Array, complete = true): ServerTlsStep<G>[] {
    const state = this.#state;
    // RFC 9190 2.1.1, RFC 5216 2.1.1: the empty Response to the last flight, or an alert.
    if (state.name === 'COMMITTED') {
      if (flight[0] === CONTENT_TYPE.ALERT) return this.#refuse('tls-alert', 'alert after the handshake');
      if (flight.length > 0 || !complete) return this.#refuse('protocol', 'data after the handshake');
      return this.#accept(state.accepted);
    }
    if (state.name !== 'CLIENT' || !complete) return [];
    if (flight.length === 0) return this.#refuse('protocol', 'empty flight');
    const effort = effortOf(flight, state.first);
    if (effort !== undefined) return this.#refuse('effort', effort);
    this.#state = { name: 'ENGINE' };
    return [{ type: 'handshake', token: this.#ask(), flight }];
  }

  answered(input: ServerTlsInput<G>): ServerTlsStep<G>[] {
    const steps = input.token === this.#token ? this.#answered(input) : undefined;
    if (steps) return steps;
    if (input.type === 'finished') wipeKeys(input.keys);
    return [];
  }

  /** Wipes keys that were not delivered. */
  close(): void {
    if (this.#state.name === 'COMMITTED') wipeKeys(this.#state.accepted);
    this.#state = { name: 'OVER' };
  }

  /** Handles the answer to the current question. Undefined: the input answers another one. */
  #answered(input: ServerTlsInput<G>): ServerTlsStep<G>[] | undefined {
    const state = this.#state;
    if (!this.busy) return undefined;
    if (input.type === 'failed') return this.#refuse(input.reason, input.detail);
    if (state.name !== 'DECISION' && input.type === 'busy') {
      this.close();
      return [{ type: 'abandon' }, { type: 'turnedAway' }];
    }
    if (state.name === 'ENGINE' && input.type === 'flight') {
      if (input.flight.length === 0) return this.#refuse('protocol', 'incomplete flight');
      this.#state = { name: 'CLIENT', first: false };
      return [{ type: 'send', flight: input.flight }];
    }
    if (state.name === 'ENGINE' && input.type === 'verified') {
      if (input.applicationData > 0) return this.#refuse('protocol', 'application data from the client');
      this.#state = { name: 'DECISION', verified: input };
      return [{ type: 'authorize', token: this.#ask(), peer: input.peer }];
    }
    if (state.name === 'DECISION' && input.type === 'authorized') {
      const { verified } = state;
      const { decision } = input;
      if (!decision.ok) return this.#refuse(decision.reason, [...new Set(verified.peer.peerIds)].join(' '));
      this.#state = { name: 'COMMIT', verified, permission: decision };
      const applicationData = verified.tlsVersion === 'TLSv1.3' ? PROTECTED_SUCCESS : NO_DATA;
      return [{ type: 'commit', token: this.#ask(), applicationData }];
    }
    if (state.name === 'COMMIT' && input.type === 'finished') {
      const { peer, tlsVersion, resumed } = state.verified;
      const { identity, grant } = state.permission;
      const accepted = { peer, identity, grant, tlsVersion, resumed, ...input.keys };
      // A TLS 1.2 resumption ends with the client's Finished; only EAP-Success remains to be sent (RFC 5216 2.1.2).
      if (input.flight.length === 0) return this.#accept(accepted);
      this.#state = { name: 'COMMITTED', accepted };
      return [{ type: 'send', flight: input.flight }];
    }
    return undefined;
  }

  #accept(accepted: Accepted<G>): ServerTlsStep<G>[] {
    this.#state = { name: 'OVER' };
    return [{ type: 'abandon' }, { type: 'accepted', accepted }];
  }

  #refuse(reason: Refusal, detail: string): ServerTlsStep<G>[] {
    this.close();
    return [{ type: 'refused', reason, detail }];
  }

  #ask(): number {
    this.#token += 1;
    return this.#token;
  }
}

/**
 * Why the engine must not process a flight: it is malformed, or its cleartext certificates would cost too much to
 * verify.
 */
function effortOf(flight: Uint8Array, first: boolean): string | undefined {
  try {
    return chainProblem(clearCertificates(flight, first));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return `TLS flight: ${error.message}`;
  }
}
