import type { Drbg } from '../../bytes/drbg.js';
import { equalOctets } from '../../bytes/octets.js';
import { xorshift } from '../../bytes/xorshift.js';
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
import { encapsulate } from '../wire/encryption.js';
import { type Protection, signInPlace, verifyAuth, wipeProtection } from '../wire/keys.js';
import {
  nextRetransmission,
  type Retransmission,
  type RetransmissionParameters,
  startRetransmission,
} from './retransmission.js';

/** Maximum number of answers replayed to repeated requests per second and session (RFC 5191 5.2 allows a limit). */
const MAX_REPLAYS_PER_SECOND = 10;

/** Octets reserved for AUTH, its header and the longest tag, and for the header of Encryption-Encap. */
const ROOM_FOR_AUTH = 8 + 64 + 8;

/** Maximum number of requests queued behind the outstanding one. More are a programming error. */
const MAX_QUEUED = 4;

/** An answer without its sequence number and AUTH. */
export interface AnswerDraft {
  readonly type: number;
  /** Flags without R, which the channel sets on requests. */
  readonly flags: number;
  readonly avps: readonly PanaAvp[];
}

/** A request without its sequence number and AUTH. */
export interface Draft extends AnswerDraft {
  /** AVPs that follow `avps`, encrypted if the session encrypts (RFC 6786). */
  readonly hidden?: readonly PanaAvp[];
  /**
   * The new key that this message introduces; earlier messages keep the old one (RFC 5191 5.3). The channel takes
   * ownership.
   */
  readonly protect?: Protection | undefined;
}

interface Outstanding {
  readonly draft: Draft;
  readonly sequence: number;
  timer: Retransmission;
}

interface LastRequest {
  readonly type: number;
  readonly sequence: number;
  readonly octets: Uint8Array;
  /** The key that verified the request. Its sender may not have a newer one yet. */
  readonly verified: Protection | undefined;
  /** Undefined while the request is being processed. */
  answer: { readonly draft: AnswerDraft; octets: Uint8Array; signedWith: Protection | undefined } | undefined;
}

export type RequestVerdict = 'new' | 'duplicate' | 'out-of-sequence';

/**
 * The reliable transport of a PANA session, the same for both ends (RFC 5191 5.2, 5.4, 9): two sequence number spaces,
 * one outstanding request with its retransmission, the last answer for repeated requests, and AUTH.
 */
export class Channel {
  /** Draws the jitter of each transmission. */
  readonly #unit: () => number;
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
  /** Whether messages have the E flag (RFC 5873 3). */
  preAuthenticates = false;

  constructor(drbg: Drbg, parameters: RetransmissionParameters, sessionId: number, txSeq = drbg.u32()) {
    this.#unit = xorshift(drbg.u32());
    this.#parameters = parameters;
    this.#sessionId = sessionId;
    this.#txSeq = txSeq;
  }

  get sessionId(): number {
    return this.#sessionId;
  }

  /** The current key of the PANA SA; undefined: there is no SA. */
  get protection(): Protection | undefined {
    return this.#protection;
  }

  /** When the outstanding request must be retransmitted. */
  get deadline(): number | undefined {
    return this.#outstanding?.timer.at;
  }

  /** Number of transmissions of the outstanding request; 0: there is none. */
  get transmissions(): number {
    return this.#outstanding?.timer.sent ?? 0;
  }

  /** When the outstanding request was first sent; undefined: there is none. */
  get askedAt(): number | undefined {
    return this.#outstanding?.timer.firstAt;
  }

  get busy(): boolean {
    return this.#outstanding !== undefined;
  }

  /** Content of the outstanding request. */
  get asked(): Draft | undefined {
    return this.#outstanding?.draft;
  }

  /** Removes a queued request of this type. */
  withdraw(type: number, flags: number): void {
    const at = this.#queue.findIndex((draft) => draft.type === type && draft.flags === flags);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /** Whether a request of this type is queued. */
  queues(type: number, flags: number): boolean {
    return this.#queue.some((draft) => draft.type === type && draft.flags === flags);
  }

  /**
   * Activates a new key. The previous key still verifies messages that the peer sent before it had the new one, until
   * `dropPrevious` is called.
   */
  protect(protection: Protection): void {
    this.#previous = this.#protection;
    this.#protection = protection;
  }

  /** Wipes the previous key. */
  dropPrevious(): void {
    if (this.#previous) wipeProtection(this.#previous);
    this.#previous = undefined;
  }

  /** Wipes the keys. The channel must not be used afterwards. */
  destroy(): void {
    this.dropPrevious();
    if (this.#protection) wipeProtection(this.#protection);
    this.#protection = undefined;
    this.#outstanding = undefined;
    for (const { protect } of this.#queue) if (protect) wipeProtection(protect);
    this.#queue.length = 0;
  }

  // ------------------------------------------------------------------------------------------------------- requests

  /**
   * Sends a request, or queues it behind the outstanding one (RFC 5191 5.2: one at a time). Returns the octets to send
   * now, or 'too-long' if the message would exceed its maximum size; then nothing has changed.
   */
  request(draft: Draft, now: number): Uint8Array[] | 'too-long' {
    if (fits(draft)) return this.#request(draft, now);
    if (draft.protect) wipeProtection(draft.protect);
    return 'too-long';
  }

  #request(draft: Draft, now: number): Uint8Array[] {
    if (this.#outstanding) {
      if (this.#queue.length < MAX_QUEUED) this.#queue.push(draft);
      else if (draft.protect) wipeProtection(draft.protect);
      return [];
    }
    if (draft.protect) this.protect(draft.protect);
    const sequence = this.#txSeq;
    this.#txSeq = (sequence + 1) >>> 0;
    const timer = startRetransmission(this.#parameters, now, this.#unit());
    this.#outstanding = { draft, sequence, timer };
    return this.resend();
  }

  /** The outstanding request for an extra transmission. Its timer does not change. */
  resend(): Uint8Array[] {
    return this.#outstanding ? [this.#encoded(this.#outstanding)] : [];
  }

  /** Retransmits requests that are due at `now`. 'failed': the limits of RFC 5191 9 are reached. */
  tick(now: number): Uint8Array[] | 'failed' {
    const outstanding = this.#outstanding;
    if (!outstanding || now < outstanding.timer.at) return [];
    const timer = nextRetransmission(outstanding.timer, now, this.#unit());
    if (!timer) return 'failed';
    outstanding.timer = timer;
    return [this.#encoded(outstanding)];
  }

  /** The encoded request, signed with the current key: after a change of key the peer accepts only the new one. */
  #encoded({ draft, sequence }: Outstanding): Uint8Array {
    return this.#encode(draft, FLAG.R, sequence, this.#protection);
  }

  /** Whether sequence number, type and flags of an answer match the outstanding request (RFC 5191 5.2, 5.5). */
  answers(message: PanaMessage): boolean {
    const outstanding = this.#outstanding;
    return (
      outstanding !== undefined &&
      message.sequence === outstanding.sequence &&
      message.type === outstanding.draft.type &&
      (message.flags & ANSWER_FLAGS) === (outstanding.draft.flags & ANSWER_FLAGS)
    );
  }

  /** The outstanding request was answered. Returns the octets of the next request in the queue. */
  answered(now: number): Uint8Array[] {
    this.#outstanding = undefined;
    const next = this.#queue.shift();
    return next ? this.#request(next, now) : [];
  }

  // -------------------------------------------------------------------------------------------------------- answers

  /** Compares a request with the peer's sequence numbers. The first request may have any number (RFC 5191 5.2). */
  place(message: PanaMessage): RequestVerdict {
    if (this.#last && message.sequence === this.#last.sequence) {
      return message.type === this.#last.type ? 'duplicate' : 'out-of-sequence';
    }
    return this.#rxSeq === undefined || message.sequence === this.#rxSeq ? 'new' : 'out-of-sequence';
  }

  /** Accepts a new request; from now on its repetitions are duplicates. Its answer is protected if the request was. */
  accept(message: PanaMessage, octets: Uint8Array, verified?: Protection): void {
    this.#rxSeq = (message.sequence + 1) >>> 0;
    this.#last = { type: message.type, sequence: message.sequence, octets, verified, answer: undefined };
  }

  /** Answers the accepted request and keeps the answer for repetitions. 'too-long' as in `request`. */
  answer({ type, flags, avps }: AnswerDraft): Uint8Array[] | 'too-long' {
    const draft = { type, flags, avps };
    if (!fits(draft)) return 'too-long';
    const last = this.#last;
    if (!last || last.answer) return [];
    const signedWith = last.verified ?? this.#protection;
    const octets = this.#encode(draft, 0, last.sequence, signedWith);
    last.answer = { draft, octets, signedWith };
    return [octets];
  }

  /** Whether the accepted request is still unanswered. */
  get owesAnswer(): boolean {
    return this.#last !== undefined && this.#last.answer === undefined;
  }

  /**
   * The stored answer to a repeated request; undefined if it does not exist yet; 'replays' if it was requested too
   * often. The octets of the repetition may differ: its sender may have signed it with a new key, and can then verify
   * only an answer with that key.
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

  /**
   * The key that verifies the message's AUTH: the current one, or the previous one while both are valid. Undefined:
   * neither does.
   */
  verify(octets: Uint8Array): Protection | undefined {
    for (const protection of [this.#protection, this.#previous]) {
      if (protection && verifyAuth(protection, octets)) return protection;
    }
    return undefined;
  }

  #encode(draft: Draft, extraFlags: number, sequence: number, protection: Protection | undefined): Uint8Array {
    const auth = protection ? [makeAvp('AUTH', new Uint8Array(protection.integrity.tagLength))] : [];
    const { type, flags, avps, hidden = [] } = draft;
    const phase = this.preAuthenticates ? FLAG.E : 0;
    const header = { type, flags: flags | extraFlags | phase, sessionId: this.#sessionId, sequence };
    const encryption = hidden.length > 0 ? protection?.encryption : undefined;
    const shown = encryption ? [encapsulate(hidden, encryption, header)] : hidden;
    const octets = encodePana({ ...header, avps: [...avps, ...shown, ...auth] });
    return protection ? signInPlace(protection, octets) : octets;
  }
}

function fits({ avps, hidden = [] }: Draft): boolean {
  return HEADER_LENGTH + lengthOf(avps) + lengthOf(hidden) + ROOM_FOR_AUTH <= MAX_MESSAGE;
}

/** Flags that an answer copies from its request. */
const ANSWER_FLAGS = FLAG.S | FLAG.C | FLAG.A | FLAG.P;
