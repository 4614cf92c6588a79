import type { Drbg } from '../../bytes/drbg.js';
import { equalOctets } from '../../bytes/octets.js';
import {
  encodePana,
  FLAG,
  HEADER_LENGTH,
  lengthOf,
  MAX_MESSAGE,
  type PanaAvp,
  type PanaMessage,
} from '../wire/codec.js';
import { makeAvp } from '../wire/dictionary.js';
import { type Protection, signInPlace, verifyAuth } from '../wire/keys.js';
import {
  nextRetransmission,
  type Retransmission,
  type RetransmissionParameters,
  startRetransmission,
} from './retransmission.js';

/** Answers replayed to repeated requests in one second, a session (RFC 5191 5.2 allows a limit). */
export const MAX_REPLAYS_PER_SECOND = 10;

/** Octets that are kept free for AUTH: its header and the longest tag that there is. */
const ROOM_FOR_AUTH = 8 + 64;

/** Requests that may wait behind the one outstanding; more are a fault of the caller. */
const MAX_QUEUED = 4;

/** What is sent before its sequence number and AUTH are known. */
export interface Draft {
  readonly type: number;
  /** Without R, which the channel sets on requests. */
  readonly flags: number;
  readonly avps: readonly PanaAvp[];
  /**
   * The key that comes into force with this message: what was sent before it keeps the old one (RFC 5191 5.3). The channel
   * takes it over.
   */
  readonly protect?: Protection | undefined;
}

interface Outstanding {
  readonly draft: Draft;
  readonly sequence: number;
  octets: Uint8Array;
  signedWith: Protection | undefined;
  timer: Retransmission;
}

interface LastRequest {
  readonly type: number;
  readonly sequence: number;
  readonly octets: Uint8Array;
  /** The key that it was right with: its sender may know no other yet. */
  readonly verified: Protection | undefined;
  /** Undefined while the request is being processed. */
  answer: { readonly draft: Draft; octets: Uint8Array; signedWith: Protection | undefined } | undefined;
}

export type RequestVerdict = 'new' | 'duplicate' | 'out-of-sequence';

/**
 * The reliable part of a PANA session, the same on both ends (RFC 5191 5.2, 5.4, 9): two sequence number spaces, one
 * outstanding request with its retransmission, the last answer for repeated requests, and AUTH.
 */
export class Channel {
  readonly #drbg: Drbg;
  readonly #parameters: RetransmissionParameters;
  #sessionId: number;
  #txSeq: number;
  #rxSeq: number | undefined;
  #outstanding: Outstanding | undefined;
  readonly #queue: Draft[] = [];
  #last: LastRequest | undefined;
  #protection: Protection | undefined;
  #previous: Protection | undefined;
  #replays = { since: 0, count: 0 };

  constructor(drbg: Drbg, parameters: RetransmissionParameters, sessionId: number, txSeq = drbg.u32()) {
    this.#drbg = drbg;
    this.#parameters = parameters;
    this.#sessionId = sessionId;
    this.#txSeq = txSeq;
  }

  get sessionId(): number {
    return this.#sessionId;
  }

  /** The PANA SA's key in force; undefined without an SA. */
  get protection(): Protection | undefined {
    return this.#protection;
  }

  /** When the outstanding request is due again. */
  get deadline(): number | undefined {
    return this.#outstanding?.timer.at;
  }

  /** How often the outstanding request was sent; 0: there is none. */
  get transmissions(): number {
    return this.#outstanding?.timer.sent ?? 0;
  }

  /** When the outstanding request was sent first; undefined: there is none. */
  get askedAt(): number | undefined {
    return this.#outstanding?.timer.firstAt;
  }

  get busy(): boolean {
    return this.#outstanding !== undefined;
  }

  /** What the outstanding request says. */
  get asked(): Draft | undefined {
    return this.#outstanding?.draft;
  }

  /** Takes back a request of this kind that waits for its turn. */
  withdraw(type: number, flags: number): void {
    const at = this.#queue.findIndex((draft) => draft.type === type && draft.flags === flags);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /** Whether a request of this kind waits for its turn. */
  queues(type: number, flags: number): boolean {
    return this.#queue.some((draft) => draft.type === type && draft.flags === flags);
  }

  /**
   * Puts a new key in force. The one before it still verifies what the peer sent before it knew the new one, until
   * `settle` says that the peer does.
   */
  protect(protection: Protection): void {
    this.#previous = this.#protection;
    this.#protection = protection;
  }

  settle(): void {
    this.#previous?.key.wipe();
    this.#previous = undefined;
  }

  /** Overwrites the keys; the channel is not used afterwards. */
  destroy(): void {
    this.settle();
    this.#protection?.key.wipe();
    this.#protection = undefined;
    this.#outstanding = undefined;
    for (const { protect } of this.#queue) protect?.key.wipe();
    this.#queue.length = 0;
  }

  // ------------------------------------------------------------------------------------------------------- requests

  /**
   * Sends a request, or queues it behind the outstanding one (RFC 5191 5.2: one at a time). Octets to send now; 'too-long',
   * and nothing has changed, if it does not fit a message.
   */
  request(draft: Draft, now: number): Uint8Array[] | 'too-long' {
    if (fits(draft)) return this.#request(draft, now);
    draft.protect?.key.wipe();
    return 'too-long';
  }

  #request(draft: Draft, now: number): Uint8Array[] {
    if (this.#outstanding) {
      if (this.#queue.length < MAX_QUEUED) this.#queue.push(draft);
      else draft.protect?.key.wipe();
      return [];
    }
    if (draft.protect) this.protect(draft.protect);
    const sequence = this.#txSeq;
    this.#txSeq = (sequence + 1) >>> 0;
    const octets = this.#encode(draft, FLAG.R, sequence, this.#protection);
    const timer = startRetransmission(this.#parameters, now, this.#drbg.unit());
    this.#outstanding = { draft, sequence, octets, signedWith: this.#protection, timer };
    return [octets];
  }

  /** The outstanding request once more, out of turn: its timer is left alone. */
  resend(): Uint8Array[] {
    return this.#outstanding ? [this.#fresh(this.#outstanding)] : [];
  }

  /** Retransmits what is due at `now`; 'failed' when the limits of RFC 5191 9 are reached. */
  tick(now: number): Uint8Array[] | 'failed' {
    const outstanding = this.#outstanding;
    if (!outstanding || now < outstanding.timer.at) return [];
    const timer = nextRetransmission(outstanding.timer, now, this.#drbg.unit());
    if (!timer) return 'failed';
    outstanding.timer = timer;
    return [this.#fresh(outstanding)];
  }

  /** Its octets stay the same but for the key, which may have changed in between: the peer knows only the new one. */
  #fresh(outstanding: Outstanding): Uint8Array {
    if (outstanding.signedWith !== this.#protection) {
      outstanding.octets = this.#encode(outstanding.draft, FLAG.R, outstanding.sequence, this.#protection);
      outstanding.signedWith = this.#protection;
    }
    return outstanding.octets;
  }

  /** Whether an answer is to the outstanding request (RFC 5191 5.2, 5.5): its number, type and flags. */
  answers(message: PanaMessage): boolean {
    const outstanding = this.#outstanding;
    return (
      outstanding !== undefined &&
      message.sequence === outstanding.sequence &&
      message.type === outstanding.draft.type &&
      (message.flags & ANSWER_FLAGS) === (outstanding.draft.flags & ANSWER_FLAGS)
    );
  }

  /** The outstanding request was answered; octets of the next one in the queue. */
  answered(now: number): Uint8Array[] {
    this.#outstanding = undefined;
    const next = this.#queue.shift();
    return next ? this.#request(next, now) : [];
  }

  // -------------------------------------------------------------------------------------------------------- answers

  /** Where a request stands in the peer's sequence; its first one may have any number (RFC 5191 5.2). */
  place(message: PanaMessage): RequestVerdict {
    if (this.#last && message.sequence === this.#last.sequence) {
      return message.type === this.#last.type ? 'duplicate' : 'out-of-sequence';
    }
    return this.#rxSeq === undefined || message.sequence === this.#rxSeq ? 'new' : 'out-of-sequence';
  }

  /** Takes a new request: from here on its repetitions are duplicates. Its answer is signed as it was, if it was. */
  accept(message: PanaMessage, octets: Uint8Array, verified?: Protection): void {
    this.#rxSeq = (message.sequence + 1) >>> 0;
    this.#last = { type: message.type, sequence: message.sequence, octets, verified, answer: undefined };
  }

  /** Answers the request taken last and keeps the answer for its repetitions; 'too-long' as `request`. */
  answer(draft: Draft): Uint8Array[] | 'too-long' {
    if (!fits(draft)) return 'too-long';
    const last = this.#last;
    if (!last || last.answer) return [];
    const signedWith = last.verified ?? this.#protection;
    const octets = this.#encode(draft, 0, last.sequence, signedWith);
    last.answer = { draft, octets, signedWith };
    return [octets];
  }

  /** Whether the request taken last waits for its answer. */
  get owesAnswer(): boolean {
    return this.#last !== undefined && this.#last.answer === undefined;
  }

  /**
   * The kept answer to a repeated request, nothing if it is not there yet or was asked for too often. A repetition need
   * not have the same octets: its sender may have signed it anew, and then can read only an answer with that key.
   */
  replay(octets: Uint8Array, verified: Protection | undefined, now: number): Uint8Array | 'replays' | undefined {
    const last = this.#last;
    if (!last?.answer) return undefined;
    if (now - this.#replays.since >= 1000) this.#replays = { since: now, count: 0 };
    this.#replays.count += 1;
    if (this.#replays.count > MAX_REPLAYS_PER_SECOND) return 'replays';
    const { answer } = last;
    if (verified && answer.signedWith !== verified && !equalOctets(octets, last.octets)) {
      answer.octets = this.#encode(answer.draft, 0, last.sequence, verified);
      answer.signedWith = verified;
    }
    return answer.octets;
  }

  // ----------------------------------------------------------------------------------------------------------- AUTH

  /** The key that the message's AUTH is right with: the one in force, or the one before it while both are known. */
  verify(octets: Uint8Array): Protection | undefined {
    for (const protection of [this.#protection, this.#previous]) {
      if (protection && verifyAuth(protection, octets)) return protection;
    }
    return undefined;
  }

  #encode(draft: Draft, extraFlags: number, sequence: number, protection: Protection | undefined): Uint8Array {
    const auth = protection ? [makeAvp('AUTH', new Uint8Array(protection.integrity.tagLength))] : [];
    const octets = encodePana({
      type: draft.type,
      flags: draft.flags | extraFlags,
      sessionId: this.#sessionId,
      sequence,
      avps: [...draft.avps, ...auth],
    });
    return protection ? signInPlace(protection, octets) : octets;
  }
}

function fits({ avps }: Draft): boolean {
  return HEADER_LENGTH + lengthOf(avps) + ROOM_FOR_AUTH <= MAX_MESSAGE;
}

/** Flags that an answer repeats from its request. */
const ANSWER_FLAGS = FLAG.S | FLAG.C | FLAG.A | FLAG.P;
