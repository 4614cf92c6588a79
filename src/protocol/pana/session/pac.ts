import { Drbg } from '../../bytes/drbg.js';
import { equalOctets } from '../../bytes/octets.js';
import type { Secret } from '../../bytes/secret.js';
import type { MobilityAssignment } from '../../mip6/assignment.js';
import { CAPABILITY } from '../../mip6/assignment.js';
import { type Algorithms, algorithmsOf } from '../wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE, type PanaAvp } from '../wire/codec.js';
import { makeAvp, RESULT_CODE, TERMINATION_CAUSE } from '../wire/dictionary.js';
import { type Protection, panaAuthKey, verifyAuth } from '../wire/keys.js';
import { readAssignment } from '../wire/mobility.js';
import { Channel } from './channel.js';
import {
  nextRetransmission,
  type Retransmission,
  type RetransmissionParameters,
  startRetransmission,
} from './retransmission.js';
import {
  algorithmAvps,
  choose,
  type Dropped,
  dropped,
  MIN_LIFETIME,
  MIN_PING_INTERVAL,
  type Received,
  type Run,
  receive,
  replays,
  type Send,
  type SessionKey,
  sends,
} from './session.js';

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

/**
 * A PaC that wants mobility asks again when an offer has no Mobility-Capability. Our PAA sends such a plain offer to each third
 * PCI, and the other offers may be lost, but plain offers to more PCIs than that show that the PAA has no other. One more is
 * allowed for, as a copy that the network made. The PaC asks at once for so many times, then with the timer of PCI.
 */
export const PCIS_PER_PLAIN_OFFER = 3;
const ASKED_AT_ONCE = 2;

/** How long a plain offer that nobody asked for waits for a better one, in milliseconds: our PAA repeats its own by then. */
export const UNASKED_OFFER_WAIT = 5_000;

/** Plain offers after which a PaC that has seen an offer with Mobility-Capability before takes one. */
export const PLAIN_OFFERS_IGNORED = 8;

/** Code and Type of an EAP packet that asks for the identity, RFC 3748 4.1, 5.1. */
const EAP_REQUEST = 1;
const EAP_IDENTITY = 1;

/** Transmissions of a request after which a PAA is `silent`: with the defaults of RFC 5191 9.1 seven seconds. */
const SILENT_AFTER = 4;

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

interface PacRun extends Run {
  /** Whether the EAP server has said under protection that it lets the PaC in: the 0x00 of EAP-TLS 1.3 (RFC 9190 2.5). */
  confirmed: boolean;
}

/** What stays of the S exchange for the whole session. */
interface Session {
  readonly channel: Channel;
  readonly iPar: Uint8Array;
  readonly iPan: Uint8Array;
  readonly algorithms: Algorithms | undefined;
  run: PacRun;
  /** A PAR without S was taken: PAR[S] is invalid from now on (RFC 5191 5.5). */
  begun: boolean;
}

type State =
  | {
      readonly name: 'INITIAL';
      pci: Retransmission | undefined;
      start: { readonly par: Received; readonly until: number } | undefined;
      /** Plain offers that were not taken. */
      plainOffers: number;
      /** One that nobody asked for, which is taken when no better one comes. */
      unasked: { readonly par: Received; readonly until: number } | undefined;
    }
  | { readonly name: 'WAIT_PAA'; readonly session: Session; pci: Retransmission | undefined; until: number }
  | {
      readonly name: 'WAIT_EAP_MSG';
      readonly session: Session;
      /** PCI is repeated until the first PAR without S, also after an optimised start. */
      pci: Retransmission | undefined;
      readonly replyBy: number | undefined;
      readonly until: number;
    }
  | { readonly name: 'WAIT_EAP_RESULT'; readonly session: Session; readonly par: Received; readonly until: number }
  | {
      readonly name: 'WAIT_EAP_RESULT_CLOSE';
      readonly session: Session;
      readonly par: Received;
      readonly until: number;
    }
  | { readonly name: 'OPEN' | 'WAIT_PNA_PING'; readonly session: Session; readonly life: Life }
  | { readonly name: 'WAIT_PNA_REAUTH'; readonly session: Session; readonly life: Life }
  | { readonly name: 'SESS_TERM'; readonly session: Session }
  | { readonly name: 'CLOSED' };

/** End of the session and when to do something about it; undefined: never. */
interface Life {
  readonly until: number | undefined;
  readonly reauthenticateAt: number | undefined;
}

/**
 * Once there is an MSK, a refusal without AUTH is not believed, but a PAR[C] with AUTH must come within this time, in
 * milliseconds: two of its repetitions do.
 */
const REFUSAL_DOUBT = 5_000;

function initial(
  pci: Retransmission | undefined,
  start: { readonly par: Received; readonly until: number } | undefined,
): Extract<State, { readonly name: 'INITIAL' }> {
  return { name: 'INITIAL', pci, start, plainOffers: 0, unasked: undefined };
}

const ENDLESS: Life = { until: undefined, reauthenticateAt: undefined };

/**
 * The PaC's state machine, RFC 5609 7. One instance is one session: after CLOSED make another. The EAP peer is outside:
 * its packets come out as `eapPacket` and its answers go in.
 */
export class PacSession {
  readonly #config: PacConfig;
  readonly #drbg: Drbg;
  /** The same for every start, or a start that is taken up again would go on with other numbers than it began with. */
  readonly #firstSequence: number;
  #state: State = initial(undefined, undefined);
  #lastHeard = 0;
  #silent = false;
  #pingedAt = Number.NEGATIVE_INFINITY;
  #pcis = 0;
  #offerSeen = false;
  #plainOffers = 0;
  #believesPlain = false;

  constructor(config: PacConfig, seed: Uint8Array) {
    this.#config = config;
    this.#drbg = new Drbg(seed);
    this.#firstSequence = this.#drbg.u32();
  }

  get state(): State['name'] {
    return this.#state.name;
  }

  get sessionId(): number | undefined {
    return 'session' in this.#state ? this.#state.session.channel.sessionId : undefined;
  }

  /** When to call `handle` with a tick at the latest; undefined: no timer runs. */
  get deadline(): number | undefined {
    const state = this.#state;
    const times: (number | undefined)[] = 'session' in state ? [state.session.channel.deadline] : [];
    if ('pci' in state) times.push(state.pci?.at);
    if (state.name === 'INITIAL') times.push(state.start?.until, state.unasked?.until);
    if ('until' in state) times.push(state.until);
    if (state.name === 'WAIT_EAP_MSG') times.push(state.replyBy);
    if ('life' in state) times.push(state.life.until);
    if (state.name === 'OPEN') times.push(state.life.reauthenticateAt, this.#pingAt());
    return earliest(times);
  }

  handle(input: PacInput, now: number): PacOutput[] {
    switch (input.type) {
      case 'start':
        return this.#start(now);
      case 'datagram':
        return this.#datagram(input.octets, now);
      case 'tick':
        return this.#tick(now);
      case 'eapKeys':
        return this.#eapKeys(input.msk, input.unconfirmed !== true);
      case 'eapResponse':
        return this.#eapResponse(input.packet, now);
      case 'eapSucceeded':
        return this.#eapResult(true, now);
      case 'eapFailed':
        return this.#eapResult(false, now);
      case 'eapDiscarded':
        return this.#eapDiscarded();
      case 'ping':
        return now - this.#pingedAt < MIN_PING_INTERVAL ? [dropped('pings')] : this.#ping(now);
      case 'moved':
        return this.#moved(now);
      case 'reauthenticate':
        return this.#reauthenticate(now);
      case 'terminate':
        return this.#terminate(now);
    }
  }

  /** Whether the PAA will believe that this PaC has moved: without a key nothing proves it (RFC 5191 5.6). */
  get protected(): boolean {
    return 'session' in this.#state && this.#state.session.channel.protection !== undefined;
  }

  /** Wipes the keys; the session is over without a word, and not used afterwards. */
  destroy(): void {
    this.#close('terminated');
  }

  // --------------------------------------------------------------------------------------------------------- timers

  // INITIAL    AUTH_USER  | first time         | Tx PCI; RTX+        | INITIAL
  #start(now: number): PacOutput[] {
    const state = this.#state;
    if (state.name !== 'INITIAL' || state.pci) return [];
    state.pci = startRetransmission(this.#config.pci, now, this.#drbg.unit());
    return [this.#pci()];
  }

  #pci(): Send {
    this.#pcis += 1;
    const octets = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    return { type: 'send', octets };
  }

  #tick(now: number): PacOutput[] {
    const out: PacOutput[] = [];
    const state = this.#state;

    // Not RFC: a start that the PAA never went on with, while PCI is still sent, is forgotten, not the attempt: only the
    // limits of PCI end that.
    if (state.name === 'WAIT_PAA' && state.pci && !state.session.begun && now >= state.until) {
      forget(state.session);
      this.#state = initial(state.pci, undefined);
      return this.#tick(now);
    }
    // any        session timer expiry              | DISC                | CLOSED
    if ('until' in state && now >= state.until) return this.#close('no-progress');
    if ('life' in state && state.life.until !== undefined && now >= state.life.until)
      return this.#close('lifetime-expired');
    if (state.name === 'INITIAL' && state.start && now >= state.start.until) state.start = undefined;
    if (state.name === 'INITIAL' && state.unasked && now >= state.unasked.until) {
      this.#believesPlain = true;
      return [...this.#parStart(state.unasked.par, now), ...this.#tick(now)];
    }

    // any        RTX timeout| below the limit    | send again          | same
    // any        RTX timeout| limit reached      | DISC                | CLOSED
    if ('pci' in state && state.pci && now >= state.pci.at) {
      state.pci = nextRetransmission(state.pci, now, this.#drbg.unit());
      if (!state.pci) return this.#close('no-answer');
      out.push(this.#pci());
    }
    if ('session' in state) {
      const again = state.session.channel.tick(now);
      if (again === 'failed') return this.#close(state.name === 'SESS_TERM' ? 'terminated' : 'no-answer');
      out.push(...sends(again));
      const asks = state.name === 'WAIT_PNA_PING' || state.name === 'WAIT_PNA_REAUTH';
      if (asks && again.length > 0 && state.session.channel.transmissions >= SILENT_AFTER) {
        this.#silent = true;
        out.push({ type: 'silent' });
      }
    }

    // WAIT_EAP_MSG  EAP reply timer | piggyback  | Tx PAN (Nonce)      | WAIT_PAA
    if (state.name === 'WAIT_EAP_MSG' && state.replyBy !== undefined && now >= state.replyBy) {
      out.push(...this.#pan(state.session, []));
      this.#state = { name: 'WAIT_PAA', session: state.session, pci: undefined, until: state.until };
    }
    if (state.name === 'OPEN') {
      if (state.life.reauthenticateAt !== undefined && now >= state.life.reauthenticateAt) {
        return [...out, ...this.#reauthenticate(now)];
      }
      const pingAt = this.#pingAt();
      if (pingAt !== undefined && now >= pingAt) return [...out, ...this.#ping(now)];
    }
    return out;
  }

  #pingAt(): number | undefined {
    return this.#config.pingInterval > 0 ? this.#lastHeard + this.#config.pingInterval : undefined;
  }

  // ------------------------------------------------------------------------------------------------------- messages

  #datagram(octets: Uint8Array, now: number): PacOutput[] {
    if (this.#state.name === 'CLOSED') return [dropped('unknown-session')];
    const received = receive(octets, this.#config.vendorId);
    if ('type' in received) return [received];
    const { message } = received;
    const request = (message.flags & FLAG.R) !== 0;
    if (message.type === MESSAGE_TYPE.PCI || message.type === MESSAGE_TYPE.RELAY) return [dropped('unexpected')];
    if (request && message.type === MESSAGE_TYPE.AUTH && message.flags & FLAG.S) return this.#parStart(received, now);

    const state = this.#state;
    if (!('session' in state)) return [dropped('unexpected')];
    if (message.sessionId !== state.session.channel.sessionId) return [dropped('unknown-session')];
    return request ? this.#request(received, state, now) : this.#answer(received, state, now);
  }

  /** PAR[S], RFC 5191 4.1: an offer, taken until the first PAR without S. */
  #parStart(par: Received, now: number): PacOutput[] {
    const state = this.#state;
    if (state.name !== 'INITIAL' && state.name !== 'WAIT_PAA' && state.name !== 'WAIT_EAP_MSG') {
      return [dropped('unexpected')];
    }
    if (state.name !== 'INITIAL') {
      const { session } = state;
      if (session.begun) return [dropped('unexpected')];
      // WAIT_PAA   PAR[S]     | the same again     | Tx PAN[S] again     | WAIT_PAA
      if (equalOctets(par.octets, session.iPar)) return replays(session.channel.replay(par.octets, undefined, now));
    }
    const algorithms = this.#chooseAlgorithms(par);
    if (algorithms === 'none') return [dropped('no-algorithm')];
    if (par.values['Mobility-Capability'] === undefined) {
      const waits = this.#waitsForBetter(par, state, now);
      if (waits) return waits;
    } else {
      this.#offerSeen = true;
      this.#plainOffers = 0;
    }

    const until = now + this.#config.failedSessionTimeout;
    const payload = par.values['EAP-Payload'];
    const restart: PacOutput[] = [{ type: 'eapRestart' }];
    if (payload) restart.push({ type: 'eapPacket', packet: payload });

    // INITIAL    PAR[S] with EAP-Payload | pb      | EAPrestart; EAP(m)  | INITIAL
    if (payload && this.#config.piggyback) {
      this.#state = initial(state.pci, { par, until });
      return restart;
    }
    // INITIAL    PAR[S]     | no EAP-Payload     | EAPrestart; PAN[S]  | WAIT_PAA
    // INITIAL    PAR[S]     | EAP-Payload, no pb | …; EAP(m); PAN[S]   | WAIT_EAP_MSG
    const { session, out } = this.#answerStart(par, undefined);
    this.#state = payload
      ? { name: 'WAIT_EAP_MSG', session, pci: state.pci, replyBy: undefined, until }
      : { name: 'WAIT_PAA', session, pci: state.pci, until };
    return [...out, ...restart];
  }

  #chooseAlgorithms(par: Received): Algorithms | undefined | 'none' {
    const prfs = par.values['PRF-Algorithm'];
    const integrities = par.values['Integrity-Algorithm'];
    if (prfs.length === 0 && integrities.length === 0) return this.#config.sa === 'required' ? 'none' : undefined;
    const prf = choose(this.#config.prf, prfs);
    const integrity = choose(this.#config.integrity, integrities);
    return algorithmsOf(prf, integrity) ?? 'none';
  }

  /**
   * What is done about a plain offer that is not taken now; undefined: it is taken. Nothing in the numbers of a PAA tells
   * whether it has another offer.
   */
  #waitsForBetter(par: Received, state: State, now: number): PacOutput[] | undefined {
    const { mobility } = this.#config;
    if (!mobility || this.#believesPlain) return undefined;
    if (mobility.mode === 'required') return [dropped('no-mobility')];
    if (this.#offerSeen || state.name !== 'INITIAL') {
      this.#plainOffers += 1;
      return this.#plainOffers < PLAIN_OFFERS_IGNORED ? [dropped('no-mobility')] : undefined;
    }
    state.plainOffers += 1;
    if (state.plainOffers > Math.ceil(this.#pcis / PCIS_PER_PLAIN_OFFER) + 1) {
      this.#believesPlain = true;
      return undefined;
    }
    if (!state.pci) {
      state.unasked = { par, until: state.unasked?.until ?? now + UNASKED_OFFER_WAIT };
      return [dropped('no-mobility')];
    }
    // INITIAL    PAR[S]     | plain, wants more  | Tx PCI              | INITIAL
    return [dropped('no-mobility'), ...(state.plainOffers <= ASKED_AT_ONCE ? [this.#pci()] : [])];
  }

  /** Sends PAN[S] and makes the session of this start; one made of an older PAR[S] is forgotten. */
  #answerStart(par: Received, packet: Uint8Array | undefined): { session: Session; out: PacOutput[] } {
    const chosen = this.#chooseAlgorithms(par);
    const algorithms = chosen === 'none' ? undefined : chosen;
    const channel = new Channel(this.#drbg, this.#config.request, par.message.sessionId, this.#firstSequence);
    channel.accept(par.message, par.octets);
    const avps: PanaAvp[] = [...algorithmAvps(algorithms)];
    if (packet) avps.push(makeAvp('EAP-Payload', packet));
    const offer = par.values['Mobility-Capability'];
    const wish = offer === undefined ? 0 : wishFor(this.#config.mobility, offer) | (offer & CAPABILITY.ECHO);
    if (wish !== 0) avps.push(makeAvp('Mobility-Capability', wish, this.#config.vendorId));
    const sent = channel.answer({ type: MESSAGE_TYPE.AUTH, flags: FLAG.S, avps });
    const [iPan = new Uint8Array(0)] = sent === 'too-long' ? [] : sent;
    const session = { channel, iPar: par.octets, iPan, algorithms, run: this.#newRun(true, algorithms), begun: false };
    return { session, out: sends(sent) };
  }

  #newRun(first: boolean, algorithms: Algorithms | undefined): PacRun {
    const ownNonce = this.#drbg.bytes(algorithms?.prf.nonceLength ?? 0);
    return { first, ownNonce, nonceSent: false, peerNonce: undefined, msk: undefined, confirmed: false };
  }

  #request(received: Received, state: Exclude<State, { name: 'INITIAL' | 'CLOSED' }>, now: number): PacOutput[] {
    const { message, octets } = received;
    const { channel } = state.session;
    const place = channel.place(message);
    if (place === 'out-of-sequence') return [dropped('out-of-sequence')];
    const verified = channel.verify(octets);
    if (place === 'duplicate') {
      if (channel.protection && !verified) return [dropped('auth')];
      return replays(channel.replay(octets, verified, now));
    }
    if (message.type === MESSAGE_TYPE.AUTH && message.flags & FLAG.C) return this.#parComplete(received, state, now);
    if (channel.protection && !verified) return [dropped('auth')];
    if (message.type === MESSAGE_TYPE.AUTH) return this.#par(received, state, now);
    // RFC 5191 5.5: the first authentication phase knows neither termination nor notification.
    if (!channel.protection && isAuthenticating(state)) return [dropped('unexpected')];
    if (message.type === MESSAGE_TYPE.TERMINATION) return this.#ptr(received, state, now);
    return this.#pnr(received, state, now);
  }

  // any but INITIAL  PNR[P]                       | Tx PNA[P]           | same
  #pnr(received: Received, { session }: { session: Session }, now: number): PacOutput[] {
    const { message, octets, values } = received;
    if ((message.flags & FLAG.P) === 0) return [dropped('unexpected')];
    this.#lastHeard = now;
    session.channel.accept(message, octets);
    // What a PAA of ours asks to have back shows it that we are where it sent that.
    const avps = values.Echo ? [makeAvp('Echo', values.Echo, this.#config.vendorId)] : [];
    return sends(session.channel.answer({ type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, avps }));
  }

  // OPEN, WAIT_PNA_PING, WAIT_PNA_REAUTH  PTR      | Tx PTA; DISC        | CLOSED
  // SESS_TERM  PTR        | both ends end it   | Tx PTA              | SESS_TERM
  // Not RFC: also in the other states of a re-authentication, where RFC 5191 5.5 does not forbid a PTR.
  #ptr(received: Received, state: { name: State['name']; session: Session }, now: number): PacOutput[] {
    const { channel } = state.session;
    this.#lastHeard = now;
    channel.accept(received.message, received.octets);
    const out = sends(channel.answer({ type: MESSAGE_TYPE.TERMINATION, flags: 0, avps: [] }));
    return state.name === 'SESS_TERM' ? out : [...out, ...this.#close('terminated-by-paa')];
  }

  /** PAR without S and C. */
  #par(received: Received, state: State, now: number): PacOutput[] {
    switch (state.name) {
      case 'WAIT_PAA':
        return this.#eapRequest(received, state.session, now);
      // OPEN       PAR        | PAA re-authenticates | EAP(m); …         | WAIT_EAP_MSG
      case 'OPEN':
      case 'WAIT_PNA_PING':
        return this.#eapRequest(received, state.session, now, this.#newRun(false, state.session.algorithms));
      // A PaC that asked for re-authentication takes no PAR before PNA[A] (RFC 5191 4.3).
      default:
        return [dropped('unexpected')];
    }
  }

  #eapRequest(received: Received, session: Session, now: number, newRun?: PacRun): PacOutput[] {
    const packet = received.values['EAP-Payload'];
    if (!packet) return [dropped('avp-missing')];
    const run = newRun ?? session.run;
    // RFC 5191 4.1, 4.3: the Nonce is in the first PAR without S of a run, and nowhere else.
    const wanted = session.algorithms !== undefined && run.peerNonce === undefined;
    const nonce = received.values.Nonce;
    if (wanted !== (nonce !== undefined) && session.algorithms) return [dropped('nonce')];

    // RFC 3748 2: a request for the identity begins EAP anew. A PAA does so in a run whose AAA server was too busy.
    const again = run.peerNonce !== undefined && packet[0] === EAP_REQUEST && packet[4] === EAP_IDENTITY;
    if (again) {
      run.msk?.wipe();
      run.msk = undefined;
    }
    this.#lastHeard = now;
    session.begun = true;
    run.peerNonce ??= nonce;
    if (newRun) session.run.msk?.wipe();
    session.run = run;
    session.channel.accept(received.message, received.octets);
    const out: PacOutput[] = newRun || again ? [{ type: 'eapRestart' }] : [];
    // WAIT_PAA   PAR        | not pb             | EAP(m); Tx PAN      | WAIT_EAP_MSG
    if (!this.#config.piggyback) out.push(...this.#pan(session, []));
    // WAIT_PAA   PAR        | pb                 | EAP(m); respT+      | WAIT_EAP_MSG
    const replyBy = this.#config.piggyback ? now + this.#config.eapReplyTimeout : undefined;
    const until = now + this.#config.failedSessionTimeout;
    this.#state = { name: 'WAIT_EAP_MSG', session, pci: undefined, replyBy, until };
    return [...out, { type: 'eapPacket', packet }];
  }

  /** PAN without S and C; the first of a run carries the Nonce. */
  #pan(session: Session, avps: readonly PanaAvp[]): (Send | Dropped)[] {
    const { run } = session;
    const nonce = session.algorithms && !run.nonceSent ? [makeAvp('Nonce', run.ownNonce)] : [];
    run.nonceSent = true;
    return sends(session.channel.answer({ type: MESSAGE_TYPE.AUTH, flags: 0, avps: [...avps, ...nonce] }));
  }

  /** PAR[C]: the only message that a key verifies which its own Key-Id makes (RFC 5191 5.3). */
  #parComplete(received: Received, state: State, now: number): PacOutput[] {
    if (state.name !== 'WAIT_PAA') return [dropped('unexpected')];
    const { session } = state;
    const { values, message, octets } = received;
    const result = values['Result-Code'];
    if (result === undefined) return [dropped('avp-missing')];
    const success = result === RESULT_CODE.SUCCESS;
    if (success && !values['EAP-Payload']) return [dropped('avp-missing')];
    const key = this.#checkComplete(session, received, success);
    if (typeof key === 'string') {
      // Not RFC: the server has let the PaC in, and may have died since; or somebody forges a refusal.
      const doubted = !success && values.AUTH === undefined && !session.channel.protection;
      if (doubted) state.until = Math.min(state.until, now + REFUSAL_DOUBT);
      return [dropped(key)];
    }

    this.#lastHeard = now;
    session.begun = true;
    session.channel.accept(message, octets);
    const out: PacOutput[] = [];
    if (key.fresh) {
      session.channel.protect(key.fresh);
      const { sessionId } = session.channel;
      const keyId = values['Key-Id'] ?? 0;
      const { integrity, key: octets } = key.fresh;
      if (this.#config.exportKeys)
        out.push({ type: 'key', sessionId, keyId, integrity: integrity.id, key: octets.copy() });
    }
    session.channel.settle();
    const until = now + this.#config.failedSessionTimeout;
    const packet = values['EAP-Payload'];
    // WAIT_PAA   PAR[C]     | Result success     | EAP(m)              | WAIT_EAP_RESULT
    // WAIT_PAA   PAR[C]     | Result not success | EAP(m)              | WAIT_EAP_RESULT_CLOSE
    this.#state = { name: success ? 'WAIT_EAP_RESULT' : 'WAIT_EAP_RESULT_CLOSE', session, par: received, until };
    // … or alt_reject(), where a failure comes without an EAP packet.
    return [...out, ...(packet ? [{ type: 'eapPacket', packet } as const] : this.#eapResult(false, now))];
  }

  /**
   * AUTH of PAR[C]: success only with the new key; a failure with the new one if there is an MSK, else with the old
   * one; without AUTH only in the first run and before any key.
   */
  #checkComplete(
    session: Session,
    { values, octets }: Received,
    success: boolean,
  ): { fresh: Protection | undefined } | 'auth' {
    const { algorithms, run, channel } = session;
    if (!algorithms) return { fresh: undefined };
    const keyId = values['Key-Id'];
    if (run.msk && run.peerNonce && keyId !== undefined) {
      const { iPar, iPan } = session;
      const input = { msk: run.msk, iPar, iPan, pacNonce: run.ownNonce, paaNonce: run.peerNonce, keyId };
      const fresh = { integrity: algorithms.integrity, key: panaAuthKey(algorithms, input) };
      if (verifyAuth(fresh, octets)) return { fresh };
      fresh.key.wipe();
      return 'auth';
    }
    if (success || (values.AUTH !== undefined) !== (channel.protection !== undefined)) return 'auth';
    if (channel.protection) return channel.verify(octets) ? { fresh: undefined } : 'auth';
    return run.msk && run.confirmed ? 'auth' : { fresh: undefined };
  }

  #answer(
    { message, octets }: Received,
    state: Exclude<State, { name: 'INITIAL' | 'CLOSED' }>,
    now: number,
  ): PacOutput[] {
    const { session } = state;
    if (!session.channel.answers(message)) return [dropped('out-of-sequence')];
    if (session.channel.protection && !session.channel.verify(octets)) return [dropped('auth')];
    this.#lastHeard = now;
    const out: PacOutput[] = sends(session.channel.answered(now));
    if (this.#silent) out.push({ type: 'heard' });
    this.#silent = false;
    if (message.type === MESSAGE_TYPE.TERMINATION) {
      // SESS_TERM  PTA                             | DISC                | CLOSED
      return [...out, ...this.#close('terminated')];
    }
    if (state.name === 'WAIT_PNA_PING' && message.flags & FLAG.P) {
      // WAIT_PNA_PING  PNA[P]                      | RTX-                | OPEN
      this.#state = { ...state, name: 'OPEN' };
    } else if (state.name === 'WAIT_PNA_REAUTH' && message.flags & FLAG.A) {
      // WAIT_PNA_REAUTH  PNA[A]                    | ST(FAILED)          | WAIT_PAA
      session.run.msk?.wipe();
      session.run = this.#newRun(false, session.algorithms);
      this.#state = { name: 'WAIT_PAA', session, pci: undefined, until: now + this.#config.failedSessionTimeout };
      out.push({ type: 'eapRestart' });
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------------------------ EAP

  #eapKeys(msk: Secret, confirmed: boolean): PacOutput[] {
    if (!('session' in this.#state)) {
      msk.wipe();
      return [];
    }
    const { run } = this.#state.session;
    run.msk?.wipe();
    run.msk = msk;
    run.confirmed = confirmed;
    return [];
  }

  #eapResponse(packet: Uint8Array, now: number): PacOutput[] {
    const state = this.#state;
    const until = now + this.#config.failedSessionTimeout;
    // INITIAL    EAP_RESPONSE                      | Tx PAN[S](EAP)      | WAIT_PAA
    if (state.name === 'INITIAL' && state.start) {
      const { session, out } = this.#answerStart(state.start.par, packet);
      this.#state = { name: 'WAIT_PAA', session, pci: state.pci, until };
      return out;
    }
    const avps = [makeAvp('EAP-Payload', packet)];
    if (state.name === 'WAIT_EAP_MSG') {
      const { session, pci } = state;
      this.#state = { name: 'WAIT_PAA', session, pci, until };
      // WAIT_EAP_MSG  EAP_RESPONSE | pb            | Tx PAN(EAP, Nonce)  | WAIT_PAA
      if (session.channel.owesAnswer) return this.#pan(session, avps);
      // WAIT_EAP_MSG  EAP_RESPONSE | not pb        | Tx PAR(EAP); RTX+   | WAIT_PAA
      return sends(session.channel.request({ type: MESSAGE_TYPE.AUTH, flags: 0, avps }, now));
    }
    // Not RFC: the response comes after the EAP reply timer sent an empty PAN: it goes as a PAR of its own.
    if (state.name === 'WAIT_PAA' && state.session.begun) {
      return sends(state.session.channel.request({ type: MESSAGE_TYPE.AUTH, flags: 0, avps }, now));
    }
    return [];
  }

  #eapResult(success: boolean, now: number): PacOutput[] {
    const state = this.#state;
    // WAIT_EAP_MSG  EAP_FAILURE                    | ST-; DISC           | CLOSED
    if (state.name === 'WAIT_EAP_MSG') return success ? [] : this.#close('eap-failed');
    if (state.name !== 'WAIT_EAP_RESULT' && state.name !== 'WAIT_EAP_RESULT_CLOSE') return [];
    const { session, par } = state;
    const keyId = success ? par.values['Key-Id'] : undefined;
    const avps = keyId === undefined ? [] : [makeAvp('Key-Id', keyId)];
    const out: PacOutput[] = sends(session.channel.answer({ type: MESSAGE_TYPE.AUTH, flags: FLAG.C, avps }));
    // WAIT_EAP_RESULT_CLOSE  EAP_SUCCESS, EAP_FAILURE | Tx PAN[C]; DISC  | CLOSED
    if (state.name === 'WAIT_EAP_RESULT_CLOSE') {
      const refused = par.values['Result-Code'] === RESULT_CODE.AUTHORIZATION_REJECTED;
      return [...out, ...this.#close(refused ? 'authorization-rejected' : 'authentication-rejected')];
    }
    // WAIT_EAP_RESULT  EAP_FAILURE                 | Tx PAN[C](); DISC   | CLOSED
    if (!success) return [...out, ...this.#close('eap-failed')];
    // WAIT_EAP_RESULT  EAP_SUCCESS                 | Tx PAN[C]; ST(LIFE) | OPEN
    return [...out, this.#open(session, par, now)];
  }

  #open(session: Session, par: Received, now: number): PacAuthorized {
    const { run, algorithms, channel } = session;
    run.msk?.wipe();
    run.msk = undefined;
    const seconds = par.values['Session-Lifetime'];
    const lifetime =
      seconds === undefined || seconds === 0xffff_ffff ? undefined : Math.max(seconds * 1000, MIN_LIFETIME);
    const { reauthenticateAt } = this.#config;
    this.#state = {
      name: 'OPEN',
      session,
      life:
        lifetime === undefined
          ? ENDLESS
          : {
              until: now + lifetime,
              reauthenticateAt: reauthenticateAt > 0 ? now + lifetime * reauthenticateAt : undefined,
            },
    };
    const read = readAssignment(par.values);
    const isUnfit = typeof read === 'string';
    return {
      type: 'authorized',
      sessionId: channel.sessionId,
      reauthentication: !run.first,
      lifetime,
      assignment: isUnfit ? undefined : read,
      mobilityProblem: isUnfit ? read : undefined,
      reconfigure: (par.message.flags & FLAG.I) !== 0,
      algorithms,
    };
  }

  #eapDiscarded(): PacOutput[] {
    const state = this.#state;
    if (state.name !== 'WAIT_EAP_MSG') return [];
    // WAIT_EAP_MSG  EAP_DISCARD | pb               | Tx PAN(); DISC      | CLOSED
    // WAIT_EAP_MSG  EAP_DISCARD | not pb           | DISC                | CLOSED
    const out = state.session.channel.owesAnswer ? this.#pan(state.session, []) : [];
    return [...out, ...this.#close('eap-failed')];
  }

  // ------------------------------------------------------------------------------------------------------- triggers

  // OPEN       ping trigger                      | Tx PNR[P]; RTX+     | WAIT_PNA_PING
  #ping(now: number): PacOutput[] {
    const state = this.#state;
    if (state.name !== 'OPEN') return [];
    this.#pingedAt = now;
    this.#state = { ...state, name: 'WAIT_PNA_PING' };
    return sends(state.session.channel.request({ type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, avps: [] }, now));
  }

  /**
   * RFC 5191 5.6: any protected message tells the PAA where we are now. What is outstanding goes out again at once, but
   * the PAA may have it from where we were, and a repetition moves nothing: a ping comes behind it. Not RFC: in a
   * re-authentication too, where RFC 5191 4.2 has no pings: there is no other message to send.
   */
  #moved(now: number): PacOutput[] {
    const state = this.#state;
    if (!('session' in state) || !this.protected) return [];
    const { channel } = state.session;
    if (state.name === 'OPEN' && !channel.busy) return this.#ping(now);
    const again = sends(channel.resend());
    if (state.name === 'SESS_TERM' || channel.queues(MESSAGE_TYPE.NOTIFICATION, FLAG.P)) return again;
    const ping = { type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.P, avps: [] };
    return [...again, ...sends(channel.request(ping, now))];
  }

  // OPEN       re-auth trigger                   | Tx PNR[A]; RTX+     | WAIT_PNA_REAUTH
  #reauthenticate(now: number): PacOutput[] {
    const state = this.#state;
    if (state.name !== 'OPEN' && state.name !== 'WAIT_PNA_PING') return [];
    const { session, life } = state;
    this.#state = { name: 'WAIT_PNA_REAUTH', session, life };
    return sends(session.channel.request({ type: MESSAGE_TYPE.NOTIFICATION, flags: FLAG.A, avps: [] }, now));
  }

  // OPEN       terminate trigger                 | Tx PTR; RTX+; ST-   | SESS_TERM
  // Not RFC: in a re-authentication too, whose PTR RFC 5191 5.5 allows; before the first key there is nobody to tell.
  #terminate(now: number): PacOutput[] {
    const state = this.#state;
    if (state.name === 'CLOSED' || state.name === 'SESS_TERM') return [];
    if (!('session' in state)) return this.#close('terminated');
    const { session } = state;
    if (!session.channel.protection && isAuthenticating(state)) return this.#close('terminated');
    this.#state = { name: 'SESS_TERM', session };
    const avps = [makeAvp('Termination-Cause', TERMINATION_CAUSE.LOGOUT)];
    return sends(session.channel.request({ type: MESSAGE_TYPE.TERMINATION, flags: 0, avps }, now));
  }

  #close(cause: PacClosed): PacOutput[] {
    const { sessionId } = this;
    if ('session' in this.#state) forget(this.#state.session);
    this.#state = { name: 'CLOSED' };
    return [{ type: 'closed', cause, sessionId }];
  }
}

/** Wipes the keys of a session that is not used any more. */
function forget({ run, channel }: Session): void {
  run.msk?.wipe();
  run.msk = undefined;
  channel.destroy();
}

function isAuthenticating(state: { readonly name: State['name'] }): boolean {
  return ['WAIT_PAA', 'WAIT_EAP_MSG', 'WAIT_EAP_RESULT', 'WAIT_EAP_RESULT_CLOSE'].includes(state.name);
}

/** The wish, cut to what the PAA offered: its HA kinds, HoA assignment, IKE versions (protocol: PAN[S] asks, PAR[S] offers). */
function wishFor(mobility: PacMobility | undefined, offer: number): number {
  if (!mobility || (offer & CAPABILITY.MIP6) === 0) return 0;
  return mobility.wish & offer;
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  let first: number | undefined;
  for (const time of times) if (time !== undefined && (first === undefined || time < first)) first = time;
  return first;
}
