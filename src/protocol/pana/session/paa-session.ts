import type { Drbg } from '../../bytes/drbg.js';
import { equalOctets } from '../../bytes/octets.js';
import type { Secret } from '../../bytes/secret.js';
import { CAPABILITY, type MobilityAssignment } from '../../mip6/assignment.js';
import { type Algorithms, algorithmsOf } from '../wire/algorithms.js';
import { FLAG, MESSAGE_TYPE, type PanaAvp } from '../wire/codec.js';
import { AVPS, makeAvp, RESULT_CODE, TERMINATION_CAUSE } from '../wire/dictionary.js';
import { type Protection, panaAuthKey } from '../wire/keys.js';
import { mobilityAvps } from '../wire/mobility.js';
import { Channel } from './channel.js';
import type { RetransmissionParameters } from './retransmission.js';
import {
  type Draft,
  type Dropped,
  dropped,
  MIN_PING_INTERVAL,
  type Received,
  type Run,
  replays,
  type Send,
  type SessionKey,
  sends,
} from './session.js';
import type { Start } from './start.js';

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

/**
 * A re-authentication on which the AAA server gave no verdict begins again after this time, and after twice as long each
 * time up to the other; a PaC waits for a minute. Milliseconds.
 */
export const POSTPONED_FIRST = 5_000;
export const POSTPONED_LONGEST = 30_000;

/** Octets that a PNR asks to have back. */
const ECHO_LENGTH = 16;

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

type State =
  /** `retryAt`: EAP begins again then, since the last try got no verdict. */
  | { readonly name: 'WAIT_EAP_MSG'; readonly until: number; readonly retryAt?: number }
  | { readonly name: 'WAIT_PAN_OR_PAR'; readonly until: number }
  /** `again`: the PaC has asked for another run, which begins when PAN[C] has come. */
  | { readonly name: 'WAIT_SUCC_PAN'; readonly grant: Grant; readonly again: boolean }
  | { readonly name: 'WAIT_FAIL_PAN'; readonly until: number }
  | {
      readonly name: 'OPEN' | 'WAIT_PNA_PING';
      readonly until: number | undefined;
      readonly reauthenticateAt: number | undefined;
    }
  | { readonly name: 'SESS_TERM'; readonly cause: PaaClosed }
  | { readonly name: 'CLOSED' };

/** The PAA's state machine, RFC 5609 8, from a valid PAN[S] on (INITIAL needs no state). */
export class PaaSession {
  readonly #config: PaaSessionConfig;
  readonly #drbg: Drbg;
  readonly #channel: Channel;
  readonly #iPar: Uint8Array;
  readonly #iPan: Uint8Array;
  readonly #algorithms: Algorithms | undefined;
  /** Mobility-Capability of PAN[S], sent to the AAA server in every run. */
  readonly wish: number | undefined;
  /** The PaC sends an Echo back. */
  readonly echoes: boolean;
  #state: State;
  #run: Run;
  #keyId: number;
  /** The AAA server has authorised this session, in this run or an earlier one. */
  #granted = false;
  /** When the lifetime that the PaC was told is over, with its grace; undefined: never, or it was never told one. */
  #lifeUntil: number | undefined;
  #admitted = false;
  /** How often in a row there was no verdict. */
  #postponed = 0;
  /** The Echo that was asked for last. */
  #proof: Uint8Array | undefined;
  #lastHeard: number;
  #pingedAt = Number.NEGATIVE_INFINITY;
  /** The PaC has seen a PAR without S: its PCI from the same place is a new start. */
  #begun = false;
  /** The EAP response that a PaC sent in a PAR before that. */
  #firstResponse: Uint8Array | undefined;

  private constructor(
    config: PaaSessionConfig,
    drbg: Drbg,
    start: Start,
    pan: Received,
    algorithms: Algorithms | undefined,
    now: number,
  ) {
    this.#config = config;
    this.#drbg = drbg;
    this.#channel = new Channel(drbg, config.request, start.sessionId, (start.sequence + 1) >>> 0);
    this.#iPar = start.iPar;
    this.#iPan = pan.octets;
    this.#algorithms = algorithms;
    // A wish that was not offered is ignored, unless nothing is ever offered to these peers: then it asks.
    const mayAsk = start.offersMobility || (config.peers === 'legacy' && config.mobility !== undefined);
    const said = mayAsk ? pan.values['Mobility-Capability'] : undefined;
    this.echoes = ((said ?? 0) & CAPABILITY.ECHO) !== 0;
    this.wish = said === CAPABILITY.ECHO ? undefined : said && said & ~CAPABILITY.ECHO;
    this.#run = this.#newRun(true);
    this.#keyId = drbg.u32();
    this.#lastHeard = now;
    this.#state = { name: 'WAIT_EAP_MSG', until: now + config.failedSessionTimeout };
  }

  /**
   * The session that a PAN[S] begins.
   *
   *   INITIAL    PAN[S]     | not OPTIMIZED_INIT | EAPrestart; ST(FAILED)| WAIT_EAP_MSG
   *   INITIAL    PAN[S]     | OPTIMIZED_INIT, EAP-Payload    | EAP(m)    | WAIT_EAP_MSG
   *   INITIAL    PAN[S]     | OPTIMIZED_INIT, no EAP-Payload |           | WAIT_PAN_OR_PAR
   */
  static begin(
    config: PaaSessionConfig,
    drbg: Drbg,
    start: Start,
    pan: Received,
    now: number,
  ): { session: PaaSession; out: PaaSessionOutput[] } | Dropped {
    const { values } = pan;
    const [prf] = values['PRF-Algorithm'];
    const [integrity] = values['Integrity-Algorithm'];
    const none = prf === undefined && integrity === undefined;
    const offered = config.prf.includes(prf ?? 0) && config.integrity.includes(integrity ?? 0);
    if (none ? config.sa === 'required' : !offered) return dropped('no-algorithm');
    const session = new PaaSession(config, drbg, start, pan, algorithmsOf(prf, integrity), now);
    const asked = start.eapRequest;
    const packet = asked && values['EAP-Payload'];
    if (asked && !packet) session.#state = { name: 'WAIT_PAN_OR_PAR', until: now + config.failedSessionTimeout };
    const out: PaaSessionOutput[] = [{ type: 'eapStart', reauthentication: false, wish: session.wish, asked }];
    if (packet) out.push({ type: 'eapPacket', packet });
    return { session, out };
  }

  get sessionId(): number {
    return this.#channel.sessionId;
  }

  get state(): State['name'] {
    return this.#state.name;
  }

  get protected(): boolean {
    return this.#channel.protection !== undefined;
  }

  /** Whether a PCI from its address still belongs to this start (the PaC repeats PCI until it sees a PAR without S). */
  get starting(): boolean {
    return !this.#begun;
  }

  /** Since when the PaC owes an answer, or the EAP response that it will send in a PAR; undefined: it owes nothing. */
  get owesSince(): number | undefined {
    const state = this.#state;
    if (this.#channel.busy || state.name !== 'WAIT_PAN_OR_PAR') return this.#channel.askedAt;
    return state.until - this.#config.failedSessionTimeout;
  }

  get iPar(): Uint8Array {
    return this.#iPar;
  }

  /** The first authentication is over, and the PaC is in. */
  get admitted(): boolean {
    return this.#admitted && this.#state.name !== 'CLOSED';
  }

  /** Another run of EAP may begin. */
  get idle(): boolean {
    return this.#state.name === 'OPEN' || this.#state.name === 'WAIT_PNA_PING';
  }

  /** Milliseconds until the lifetime is over that the PaC was told. */
  remaining(now: number): number | undefined {
    return this.#lifeUntil === undefined || this.#state.name === 'SESS_TERM'
      ? undefined
      : this.#lifeUntil - this.#config.lifetimeGrace - now;
  }

  get deadline(): number | undefined {
    const state = this.#state;
    let first = this.#channel.deadline;
    const consider = (at: number | undefined) => {
      if (at !== undefined && (first === undefined || at < first)) first = at;
    };
    if ('until' in state) consider(state.until);
    if (state.name === 'WAIT_EAP_MSG' && state.retryAt !== undefined) consider(state.retryAt);
    consider(this.#runUntil());
    if (state.name === 'OPEN') {
      consider(state.reauthenticateAt);
      consider(this.#pingAt());
    }
    return first;
  }

  handle(input: PaaSessionInput, now: number): PaaSessionOutput[] {
    switch (input.type) {
      case 'message':
        return this.#message(input.received, now);
      case 'tick':
        return this.#tick(now);
      case 'eapRequest':
        return this.#eapRequest(input.packet, now);
      case 'eapSuccess':
        try {
          return this.#eapSuccess(input, now);
        } finally {
          input.msk?.wipe();
        }
      case 'eapFailure':
        return this.#eapFailure(input.packet, now);
      case 'eapTimeout':
        // WAIT_EAP_MSG, WAIT_PAN_OR_PAR  EAP_TIMEOUT | DISC               | CLOSED
        return this.#isAuthenticating() ? this.#close('eap-timeout') : [];
      case 'eapPostponed':
        return this.#eapPostponed(now);
      case 'replace':
        return this.#replace(now);
      case 'prove':
        return this.#prove(now);
      case 'ping':
        return now - this.#pingedAt < MIN_PING_INTERVAL ? [dropped('pings')] : this.#ping(now);
      case 'reauthenticate':
        return this.idle ? this.#beginRun(now) : [];
      case 'terminate':
        return this.#terminate(input.cause, now);
      case 'abandon':
        return this.abandon();
    }
  }

  /** Ends the session without a word, whatever its state. */
  abandon(): PaaSessionOutput[] {
    return this.#state.name === 'CLOSED' ? [] : this.#close('fault');
  }

  /** Ends the session without a word: another one has taken its place. */
  end(cause: 'replaced' | 'pushed-out'): PaaSessionOutput[] {
    return this.#state.name === 'CLOSED' ? [] : this.#close(cause);
  }

  /** The PaC is somewhere else: what it has not answered went to where it was, and goes there now at once. */
  resend(): Uint8Array[] {
    return this.#channel.resend();
  }

  // --------------------------------------------------------------------------------------------------------- timers

  #tick(now: number): PaaSessionOutput[] {
    const state = this.#state;
    // any        session timer expiry              | DISC                | CLOSED
    const runUntil = this.#runUntil();
    if (runUntil !== undefined && now >= runUntil) return this.#close('lifetime-expired');
    if ('until' in state && state.until !== undefined && now >= state.until) return this.#expired(now);
    if (state.name === 'WAIT_EAP_MSG' && state.retryAt !== undefined && now >= state.retryAt) {
      return this.#restartRun(now);
    }
    // any        RTX timeout| below the limit    | send again          | same
    // any        RTX timeout| limit reached      | DISC                | CLOSED
    const again = this.#channel.tick(now);
    if (again === 'failed') return this.#close(state.name === 'SESS_TERM' ? state.cause : 'no-answer');
    const out: PaaSessionOutput[] = sends(again);
    if (state.name === 'OPEN') {
      // OPEN       REAUTH_TIMEOUT                    | EAPrestart          | WAIT_EAP_MSG
      if (state.reauthenticateAt !== undefined && now >= state.reauthenticateAt)
        return [...out, ...this.#beginRun(now)];
      const pingAt = this.#pingAt();
      if (pingAt !== undefined && now >= pingAt) return [...out, ...this.#ping(now)];
    }
    return out;
  }

  /** The session timer has gone off. */
  #expired(now: number): PaaSessionOutput[] {
    const { name } = this.#state;
    if (name === 'WAIT_FAIL_PAN') return this.#close('rejected');
    if (!this.#isAuthenticating()) return this.#close('lifetime-expired');
    if (this.#run.first) return this.#close('no-progress');
    // Not RFC: a re-authentication without a result says nothing about the node, which keeps what it was told.
    return this.#restartRun(now);
  }

  /** A re-authentication may go on past the lifetime while it makes progress, but not for long; one that waits may not. */
  #runUntil(): number | undefined {
    const state = this.#state;
    if (this.#lifeUntil === undefined || this.#run.first || !this.#isAuthenticating()) return undefined;
    const isWaiting = state.name === 'WAIT_EAP_MSG' && state.retryAt !== undefined;
    return isWaiting ? this.#lifeUntil : this.#lifeUntil + this.#config.failedSessionTimeout;
  }

  #pingAt(): number | undefined {
    return this.#config.pingInterval > 0 ? this.#lastHeard + this.#config.pingInterval : undefined;
  }

  // ------------------------------------------------------------------------------------------------------- messages

  #message(received: Received, now: number): PaaSessionOutput[] {
    if (this.#state.name === 'CLOSED') return [dropped('unknown-session')];
    const { message } = received;
    if (message.flags & FLAG.R) return this.#request(received, now);
    if (message.flags & FLAG.S) return this.#panStart(received);
    return this.#answer(received, now);
  }

  /** A repeated PAN[S] means that our first PAR may be lost: its timer sends it again. Another PAN[S] is too late. */
  #panStart(pan: Received): PaaSessionOutput[] {
    return equalOctets(pan.octets, this.#iPan) ? [] : [dropped('bad-start')];
  }

  #request(received: Received, now: number): PaaSessionOutput[] {
    const { message, octets } = received;
    const place = this.#channel.place(message);
    if (place === 'out-of-sequence') return this.#takenUp(received) ?? [dropped('out-of-sequence')];
    const verified = this.#channel.verify(octets);
    if (this.#channel.protection && !verified) return [dropped('auth')];
    if (place === 'duplicate') return replays(this.#channel.replay(octets, verified, now));
    switch (message.type) {
      case MESSAGE_TYPE.AUTH:
        return this.#par(received, verified, now);
      case MESSAGE_TYPE.TERMINATION:
        return this.#ptr(received, verified, now);
      default:
        return this.#pnr(received, verified, now);
    }
  }

  /**
   * Not RFC: a PaC that has restarted at the same place takes the start up that it finds (its PCI belongs to that). Its
   * numbers are others, its first response is the same one.
   */
  #takenUp({ message, octets, values }: Received): PaaSessionOutput[] | undefined {
    const packet = values['EAP-Payload'];
    if (this.#begun || !this.#firstResponse || !packet || !equalOctets(packet, this.#firstResponse)) return undefined;
    this.#channel.accept(message, octets);
    return sends(this.#channel.answer({ type: MESSAGE_TYPE.AUTH, flags: 0, avps: [] }));
  }

  // WAIT_PAN_OR_PAR  PAR                          | EAP(m); RTX-; Tx PAN()| WAIT_EAP_MSG
  #par(received: Received, verified: Protection | undefined, now: number): PaaSessionOutput[] {
    const { message, values, octets } = received;
    const packet = values['EAP-Payload'];
    if (this.#state.name !== 'WAIT_PAN_OR_PAR' || message.flags & (FLAG.S | FLAG.C | FLAG.I) || !packet) {
      return [dropped('unexpected')];
    }
    // Not RFC: the request that this PAR responds to stays outstanding until its PAN comes, or a gap would remain in
    // the numbers; the PaC's answer to it may have been overtaken, not lost.
    this.#heard(now);
    this.#channel.accept(message, octets, verified);
    if (this.#channel.busy) this.#begun = true;
    else if (!this.#begun) this.#firstResponse = packet;
    const out = sends(this.#channel.answer({ type: MESSAGE_TYPE.AUTH, flags: 0, avps: [] }));
    this.#state = { name: 'WAIT_EAP_MSG', until: now + this.#config.failedSessionTimeout };
    return [...out, ...this.#moved(undefined), { type: 'eapPacket', packet }];
  }

  // OPEN, WAIT_PNA_PING  PTR                      | Tx PTA; ST-; DISC   | CLOSED
  // SESS_TERM  PTR        | both ends end it   | Tx PTA              | SESS_TERM
  // Not RFC: also during a re-authentication, where RFC 5191 5.5 does not forbid it.
  #ptr(received: Received, verified: Protection | undefined, now: number): PaaSessionOutput[] {
    if (!this.#established()) return [dropped('unexpected')];
    this.#heard(now);
    this.#channel.accept(received.message, received.octets, verified);
    const out: PaaSessionOutput[] = sends(this.#channel.answer({ type: MESSAGE_TYPE.TERMINATION, flags: 0, avps: [] }));
    return this.#state.name === 'SESS_TERM' ? out : [...out, ...this.#close('logout')];
  }

  #pnr(received: Received, verified: Protection | undefined, now: number): PaaSessionOutput[] {
    if (!this.#established()) return [dropped('unexpected')];
    const { flags } = received.message;
    if (flags & FLAG.A && this.#state.name === 'SESS_TERM') return [dropped('unexpected')];
    this.#heard(now);
    this.#channel.accept(received.message, received.octets, verified);
    // any but INITIAL  PNR[P]                       | Tx PNA[P]           | same
    // OPEN, WAIT_PNA_PING  PNR[A]                  | Tx PNA[A]; EAPrestart | WAIT_EAP_MSG
    const kind = flags & FLAG.A ? FLAG.A : FLAG.P;
    const out: PaaSessionOutput[] = sends(
      this.#channel.answer({ type: MESSAGE_TYPE.NOTIFICATION, flags: kind, avps: [] }),
    );
    out.push(...this.#moved(undefined));
    if (kind === FLAG.P) return out;
    const state = this.#state;
    // Not RFC: a PNR[A] that crosses our own re-authentication is answered and the run goes on. After PAR[C] it comes
    // from a PaC that is OPEN already and whose PAN[C] was lost: it waits for a run of its own.
    if (state.name === 'WAIT_SUCC_PAN') this.#state = { ...state, again: true };
    if (state.name === 'OPEN' || state.name === 'WAIT_PNA_PING') out.push(...this.#beginRun(now));
    return out;
  }

  #answer(received: Received, now: number): PaaSessionOutput[] {
    const { message, octets, values } = received;
    if (!this.#channel.answers(message)) return [dropped('out-of-sequence')];
    const { protection } = this.#channel;
    const verified = this.#channel.verify(octets);
    if (protection && !verified) return [dropped('auth')];
    const state = this.#state;
    if (message.type === MESSAGE_TYPE.AUTH) {
      const complete = (message.flags & FLAG.C) !== 0;
      // RFC 5191 5.3: PAN[C] is the first of the PaC's messages that shows the new key.
      if (complete && verified !== protection) return [dropped('auth')];
      if (!complete) return this.#pan(received, now);
      // RFC 5191 4.1: PAN[C] repeats the Key-Id of PAR[C].
      if (state.name === 'WAIT_SUCC_PAN' && this.#algorithms && values['Key-Id'] !== this.#keyId)
        return [dropped('avp-missing')];
    }
    const echo = this.#asksFor();
    if (echo && !(values.Echo && equalOctets(values.Echo, echo))) return [dropped('echo')];
    this.#heard(now);
    const out: PaaSessionOutput[] = [...this.#moved(this.#channel.askedAt), ...sends(this.#channel.answered(now))];
    if (echo && echo === this.#proof) out.push({ type: 'reached' });
    switch (state.name) {
      case 'WAIT_SUCC_PAN':
        if (message.type !== MESSAGE_TYPE.AUTH) return out;
        out.push(this.#open(state.grant, now));
        return state.again ? [...out, ...this.#beginRun(now)] : out;
      // WAIT_FAIL_PAN  PAN[C]                        | RTX-; DISC          | CLOSED
      case 'WAIT_FAIL_PAN':
        return message.type === MESSAGE_TYPE.AUTH ? [...out, ...this.#close('rejected')] : out;
      // WAIT_PNA_PING  PNA[P]                        | RTX-                | OPEN
      case 'WAIT_PNA_PING':
        this.#state = { ...state, name: 'OPEN' };
        return out;
      // SESS_TERM  PTA                               | RTX-; DISC          | CLOSED
      case 'SESS_TERM':
        return message.type === MESSAGE_TYPE.TERMINATION ? [...out, ...this.#close(state.cause)] : out;
      default:
        return out;
    }
  }

  /** The Echo that the outstanding request wants to have back. */
  #asksFor(): Uint8Array | undefined {
    return this.#channel.asked?.avps.find((avp) => avp.code === AVPS.Echo.code && avp.vendorId !== undefined)?.value;
  }

  // WAIT_PAN_OR_PAR  PAN      | EAP-Payload        | EAP(m); RTX-        | WAIT_EAP_MSG
  // WAIT_PAN_OR_PAR  PAN      | no EAP-Payload     | RTX-                | WAIT_PAN_OR_PAR
  #pan(received: Received, now: number): PaaSessionOutput[] {
    const { values } = received;
    const state = this.#state;
    // Not RFC: the answer to a PAR whose EAP response came before it in a PAR; PAR[C] waits behind it.
    if (state.name === 'WAIT_SUCC_PAN' || state.name === 'WAIT_FAIL_PAN') {
      this.#heard(now);
      return [...this.#moved(this.#channel.askedAt), ...sends(this.#channel.answered(now))];
    }
    if (state.name !== 'WAIT_PAN_OR_PAR' && state.name !== 'WAIT_EAP_MSG') return [dropped('unexpected')];
    const wanted = this.#algorithms !== undefined && this.#run.peerNonce === undefined;
    if (this.#algorithms && wanted !== (values.Nonce !== undefined)) return [dropped('nonce')];
    this.#heard(now);
    this.#begun = true;
    this.#run.peerNonce ??= values.Nonce;
    const out: PaaSessionOutput[] = [...this.#moved(this.#channel.askedAt), ...sends(this.#channel.answered(now))];
    const packet = values['EAP-Payload'];
    const until = now + this.#config.failedSessionTimeout;
    if (state.name === 'WAIT_EAP_MSG' || !packet) {
      this.#state = { name: state.name, until };
      return out;
    }
    this.#state = { name: 'WAIT_EAP_MSG', until };
    return [...out, { type: 'eapPacket', packet }];
  }

  #heard(now: number): void {
    this.#lastHeard = now;
  }

  /** Only what a key protects may move the PaC (RFC 5191 5.6). */
  #moved(askedAt: number | undefined): PaaSessionOutput[] {
    return this.#channel.protection ? [{ type: 'heard', askedAt }] : [];
  }

  // ------------------------------------------------------------------------------------------------------------ EAP

  #newRun(first: boolean): Run {
    const ownNonce = this.#drbg.bytes(this.#algorithms?.prf.nonceLength ?? 0);
    return { first, ownNonce, nonceSent: false, peerNonce: undefined, msk: undefined };
  }

  #beginRun(now: number): PaaSessionOutput[] {
    this.#run = this.#newRun(false);
    this.#postponed = 0;
    return this.#startEap(now);
  }

  /** EAP from its beginning, in the run that there is: the PaC has its nonce already, and waits. */
  #restartRun(now: number): PaaSessionOutput[] {
    if (!this.#channel.busy) return this.#startEap(now);
    // The PaC has not answered yet: its request is repeated up to its limit, and nothing else can be asked.
    this.#state = { name: 'WAIT_PAN_OR_PAR', until: now + this.#config.failedSessionTimeout };
    return [];
  }

  #startEap(now: number): PaaSessionOutput[] {
    this.#state = { name: 'WAIT_EAP_MSG', until: now + this.#config.failedSessionTimeout };
    return [{ type: 'eapStart', reauthentication: true, wish: this.wish, asked: undefined }];
  }

  // WAIT_EAP_MSG  no verdict  | first run          | Result 1; Tx PAR[C]; RTX+ | WAIT_FAIL_PAN
  // WAIT_EAP_MSG  no verdict  | re-authentication  | EAPrestart later    | WAIT_EAP_MSG
  // Not RFC: RFC 5609 knows no such event; an AAA server that is busy is no reason to end a session that it granted.
  #eapPostponed(now: number): PaaSessionOutput[] {
    if (this.#state.name !== 'WAIT_EAP_MSG' || this.#run.first) return this.#eapFailure(undefined, now);
    const retryAt = now + Math.min(POSTPONED_FIRST * 2 ** this.#postponed, POSTPONED_LONGEST);
    this.#postponed += 1;
    this.#state = { name: 'WAIT_EAP_MSG', until: retryAt + this.#config.failedSessionTimeout, retryAt };
    return [];
  }

  // WAIT_EAP_MSG  EAP_REQUEST                    | Tx PAR(EAP, Nonce); RTX+ | WAIT_PAN_OR_PAR
  #eapRequest(packet: Uint8Array, now: number): PaaSessionOutput[] {
    if (this.#state.name !== 'WAIT_EAP_MSG') return [];
    const avps: PanaAvp[] = [makeAvp('EAP-Payload', packet)];
    if (this.#algorithms && !this.#run.nonceSent) avps.push(makeAvp('Nonce', this.#run.ownNonce));
    this.#run.nonceSent = true;
    this.#state = { name: 'WAIT_PAN_OR_PAR', until: now + this.#config.failedSessionTimeout };
    return this.#ask({ type: MESSAGE_TYPE.AUTH, flags: this.#reconfigure(), avps }, now);
  }

  /** A request that EAP cannot go on without: where it does not fit a message, the session is over. */
  #ask(draft: Draft, now: number): PaaSessionOutput[] {
    const sent = this.#channel.request(draft, now);
    return sent === 'too-long' ? [dropped(sent), ...this.#close('no-progress')] : sends(sent);
  }

  /** RFC 5191 6.2: the I bit is for PARs of the first run. */
  #reconfigure(): number {
    return this.#config.reconfigure && this.#run.first ? FLAG.I : 0;
  }

  // WAIT_EAP_MSG  EAP_SUCCESS | Authorize()      | Result 0; Tx PAR[C]; RTX+ | WAIT_SUCC_PAN
  // WAIT_EAP_MSG  EAP_SUCCESS | not Authorize()  | Result 2; Tx PAR[C]; RTX+ | WAIT_FAIL_PAN
  #eapSuccess(input: Extract<PaaSessionInput, { type: 'eapSuccess' }>, now: number): PaaSessionOutput[] {
    if (this.#state.name !== 'WAIT_EAP_MSG') return [];
    const { grant, packet, msk } = input;
    const { peerNonce } = this.#run;
    // Authorize() is false when an SA is wanted and EAP gave no key (RFC 5609 6.2).
    const keyed = this.#algorithms === undefined || (msk !== undefined && peerNonce !== undefined);
    const success = input.authorized && keyed;
    const avps: PanaAvp[] = [
      makeAvp('Result-Code', success ? RESULT_CODE.SUCCESS : RESULT_CODE.AUTHORIZATION_REJECTED),
      makeAvp('EAP-Payload', packet),
    ];
    let protect: Protection | undefined;
    const out: PaaSessionOutput[] = [];
    if (this.#algorithms && msk && peerNonce) {
      this.#keyId = (this.#keyId + 1) >>> 0;
      avps.push(makeAvp('Key-Id', this.#keyId));
      protect = this.#newKey(this.#algorithms, msk, peerNonce);
      if (this.#config.exportKeys) out.push(this.#exported(protect));
    }
    if (success) {
      this.#granted = true;
      if (grant.lifetime !== undefined) avps.push(makeAvp('Session-Lifetime', Math.floor(grant.lifetime / 1000)));
      if (grant.assignment && this.wish !== undefined)
        avps.push(...mobilityAvps(grant.assignment, this.#config.vendorId));
    } else if (input.authorized) {
      this.#granted = true;
      out.push({ type: 'unkeyed', missing: msk === undefined ? 'msk' : 'nonce' });
    }
    this.#state = success
      ? { name: 'WAIT_SUCC_PAN', grant, again: false }
      : { name: 'WAIT_FAIL_PAN', until: now + this.#config.failedSessionTimeout };
    const flags = FLAG.C | this.#reconfigure();
    return [...out, ...this.#ask({ type: MESSAGE_TYPE.AUTH, flags, avps, protect }, now)];
  }

  #exported({ integrity, key }: Protection): SessionKey {
    return { type: 'key', sessionId: this.sessionId, keyId: this.#keyId, integrity: integrity.id, key: key.copy() };
  }

  #newKey(algorithms: Algorithms, msk: Secret, pacNonce: Uint8Array): Protection {
    const input = {
      msk,
      iPar: this.#iPar,
      iPan: this.#iPan,
      pacNonce,
      paaNonce: this.#run.ownNonce,
      keyId: this.#keyId,
    };
    return { integrity: algorithms.integrity, key: panaAuthKey(algorithms, input) };
  }

  // WAIT_EAP_MSG  EAP_FAILURE                    | Result 1; Tx PAR[C]; RTX+ | WAIT_FAIL_PAN
  #eapFailure(packet: Uint8Array | undefined, now: number): PaaSessionOutput[] {
    if (this.#state.name !== 'WAIT_EAP_MSG') return this.#isAuthenticating() ? this.#close('eap-timeout') : [];
    const avps = [makeAvp('Result-Code', RESULT_CODE.AUTHENTICATION_REJECTED)];
    if (packet) avps.push(makeAvp('EAP-Payload', packet));
    this.#state = { name: 'WAIT_FAIL_PAN', until: now + this.#config.failedSessionTimeout };
    return this.#ask({ type: MESSAGE_TYPE.AUTH, flags: FLAG.C, avps }, now);
  }

  // WAIT_SUCC_PAN  PAN[C]                        | RTX-; ST(LIFE)      | OPEN
  #open(grant: Grant, now: number): PaaSessionOutput {
    this.#channel.settle();
    const reauthentication = !this.#run.first;
    const part = this.#config.reauthenticateAt;
    const within = [
      grant.authorizationLifetime,
      grant.lifetime !== undefined && part > 0 ? grant.lifetime * part : undefined,
    ];
    const times = within.filter((time) => time !== undefined);
    this.#admitted = true;
    this.#lifeUntil = grant.lifetime === undefined ? undefined : now + grant.lifetime + this.#config.lifetimeGrace;
    this.#state = {
      name: 'OPEN',
      until: this.#lifeUntil,
      reauthenticateAt: times.length > 0 ? now + Math.min(...times) : undefined,
    };
    return { type: 'authorized', reauthentication, grant };
  }

  // ------------------------------------------------------------------------------------------------------- triggers

  // OPEN       ping trigger                      | Tx PNR[P]; RTX+     | WAIT_PNA_PING
  #ping(now: number): PaaSessionOutput[] {
    const state = this.#state;
    if (state.name !== 'OPEN') return [];
    this.#pingedAt = now;
    this.#state = { ...state, name: 'WAIT_PNA_PING' };
    return sends(this.#channel.request({ type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, avps: [] }, now));
  }

  // OPEN       the PaC may have moved            | Tx PNR[P] (Echo); RTX+ | WAIT_PNA_PING
  // Not RFC: also while another request is outstanding, behind it.
  #prove(now: number): PaaSessionOutput[] {
    const state = this.#state;
    if (!this.protected || !this.echoes || state.name === 'SESS_TERM' || state.name === 'CLOSED') return [];
    this.#channel.withdraw(MESSAGE_TYPE.NOTIFICATION, FLAG.P);
    const proof = this.#drbg.bytes(ECHO_LENGTH);
    this.#proof = proof;
    this.#pingedAt = now;
    if (state.name === 'OPEN') this.#state = { ...state, name: 'WAIT_PNA_PING' };
    const avps = [makeAvp('Echo', proof, this.#config.vendorId)];
    return sends(this.#channel.request({ type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, avps }, now));
  }

  // OPEN       terminate trigger                 | Tx PTR; ST-; RTX+   | SESS_TERM
  #terminate(cause: PaaTermination, now: number): PaaSessionOutput[] {
    if (this.#state.name === 'CLOSED' || this.#state.name === 'SESS_TERM') return [];
    const closed: PaaClosed = cause === 8 ? 'session-timeout' : 'administrative';
    if (!this.#established()) return this.#close(closed);
    this.#state = { name: 'SESS_TERM', cause: closed };
    const avps = [makeAvp('Termination-Cause', cause)];
    return sends(this.#channel.request({ type: MESSAGE_TYPE.TERMINATION, flags: 0, avps }, now));
  }

  // OPEN       another session counts            | Tx PTR; DISC        | CLOSED
  // Not RFC: no PTA is waited for, or a subscriber could keep as many sessions as it begins.
  #replace(now: number): PaaSessionOutput[] {
    const tells = this.#established() && !this.#channel.busy && this.#state.name !== 'CLOSED';
    const avps = [makeAvp('Termination-Cause', TERMINATION_CAUSE.ADMINISTRATIVE)];
    const out = tells ? sends(this.#channel.request({ type: MESSAGE_TYPE.TERMINATION, flags: 0, avps }, now)) : [];
    return [...out, ...this.end('replaced')];
  }

  /**
   * The first authentication is over: PTR, PNR and PTA are meaningful (RFC 5191 5.5). Not RFC: also when a protected one
   * comes before PAN[C], since only a PaC that has taken PAR[C] has the key; it may have moved since.
   */
  #established(): boolean {
    return !this.#run.first || !this.#isAuthenticating() || (this.#state.name === 'WAIT_SUCC_PAN' && this.protected);
  }

  #isAuthenticating(): boolean {
    return ['WAIT_EAP_MSG', 'WAIT_PAN_OR_PAR', 'WAIT_SUCC_PAN', 'WAIT_FAIL_PAN'].includes(this.#state.name);
  }

  #close(cause: PaaClosed): PaaSessionOutput[] {
    this.#state = { name: 'CLOSED' };
    this.#channel.destroy();
    return [{ type: 'closed', cause, granted: this.#granted }];
  }
}
