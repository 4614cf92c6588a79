import { DeadlineQueue } from '../../bytes/deadline-queue.js';
import { DecodeError } from '../../bytes/decode-error.js';
import type { Secret } from '../../bytes/secret.js';
import { checkResponse } from '../wire/authenticators.js';
import { decodeRadius, type RadiusPacket } from '../wire/codec.js';
import { MRC, MRD, retransmissionTime } from './retransmission.js';

/** Number of identifiers, which is that of the unanswered requests to one address and port. */
const IDENTIFIERS = 256;

/** Where requests go, and the secret shared with it. */
export interface RadiusTarget {
  readonly address: string;
  readonly port: number;
  readonly secret: Secret;
  /** A connection that loses nothing: requests are not repeated (RFC 6613 2.6.1). */
  readonly isReliable?: boolean;
}

/** Which packets answer a request. */
export interface ExpectedAnswers {
  readonly codes: readonly number[];
  /** Whether an answer without a Message-Authenticator is discarded: required for Access-Requests (CVE-2024-3596). */
  readonly mustBeSigned: boolean;
}

interface Outstanding<T> {
  readonly token: T;
  readonly target: RadiusTarget;
  readonly octets: Uint8Array;
  readonly authenticator: Uint8Array;
  readonly answers: ExpectedAnswers;
  readonly since: number;
  sent: number;
  interval: number;
}

/** An answer, or `undefined` for a request that was given up. */
export interface RadiusOutcome<T> {
  readonly token: T;
  readonly answer: RadiusPacket | undefined;
}

/**
 * Requests that wait for their answers: assigns identifiers, repeats requests unchanged (RFC 5080 2.2.1), and matches
 * answers by address, port, identifier and authenticator.
 */
export class RadiusRequests<T> {
  readonly #random: () => number;
  /** By address, port and identifier. */
  readonly #outstanding = new Map<string, Outstanding<T>>();
  readonly #deadlines = new DeadlineQueue<string>();
  /** The identifier after the last one, by address and port; only while requests are unanswered. */
  readonly #next = new Map<string, { next: number; used: number }>();

  /** `random`: a number from [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  get deadline(): number | undefined {
    return this.#deadlines.first;
  }

  get size(): number {
    return this.#outstanding.size;
  }

  /**
   * Adds a request and returns its octets to send. `encode`: the packet with an identifier. Undefined: too many requests
   * to this target are unanswered.
   */
  add(
    token: T,
    target: RadiusTarget,
    encode: (identifier: number) => Uint8Array,
    answers: ExpectedAnswers,
    now: number,
  ): Uint8Array | undefined {
    const identifier = this.#take(target);
    if (identifier === undefined) return undefined;
    const octets = encode(identifier);
    const { authenticator } = decodeRadius(octets);
    const key = keyOf(target, identifier);
    const interval = retransmissionTime(undefined, this.#random());
    this.#outstanding.set(key, {
      token,
      target,
      octets,
      authenticator,
      answers,
      since: now,
      sent: 1,
      interval,
    });
    this.#deadlines.set(key, now + interval);
    return octets;
  }

  /** Takes a packet from an address and port. Undefined: it answers no request, and is discarded. */
  receive(octets: Uint8Array, from: Pick<RadiusTarget, 'address' | 'port'>): RadiusOutcome<T> | undefined {
    const key = keyOf(from, octets[1] ?? 0);
    const request = this.#outstanding.get(key);
    if (!request) return undefined;
    let answer: RadiusPacket;
    try {
      answer = decodeRadius(octets);
    } catch (error) {
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
    const { codes, mustBeSigned } = request.answers;
    if (!codes.includes(answer.code)) return undefined;
    const authenticity = checkResponse(octets, request.authenticator, request.target.secret);
    if (authenticity === 'forged' || (authenticity === 'missing' && mustBeSigned)) return undefined;
    this.#end(key, request);
    return { token: request.token, answer };
  }

  /** Returns what to repeat, and which requests are given up. */
  tick(now: number): {
    readonly repeat: readonly (RadiusTarget & { readonly octets: Uint8Array; readonly token: T })[];
    readonly lost: readonly T[];
  } {
    const repeat: (RadiusTarget & { readonly octets: Uint8Array; readonly token: T })[] = [];
    const lost: T[] = [];
    for (let key = this.#deadlines.due(now); key !== undefined; key = this.#deadlines.due(now)) {
      const request = this.#outstanding.get(key);
      if (!request) continue;
      if (request.sent >= MRC || now - request.since >= MRD) {
        this.#end(key, request);
        lost.push(request.token);
        continue;
      }
      request.sent += 1;
      request.interval = retransmissionTime(request.interval, this.#random());
      const { token, target, octets } = request;
      if (!target.isReliable) repeat.push({ ...target, octets, token });
      this.#deadlines.set(key, Math.min(now + request.interval, request.since + MRD));
    }
    return { repeat, lost };
  }

  /** Removes the requests to a target and returns their tokens. */
  closed(target: Pick<RadiusTarget, 'address' | 'port'>): T[] {
    const place = placeOf(target);
    const ended = [...this.#outstanding].filter(([, request]) => placeOf(request.target) === place);
    for (const [key, request] of ended) this.#end(key, request);
    return ended.map(([, { token }]) => token);
  }

  /** Removes all requests and returns their tokens. */
  clear(): T[] {
    const tokens = [...this.#outstanding.values()].map(({ token }) => token);
    this.#outstanding.clear();
    this.#deadlines.clear();
    this.#next.clear();
    return tokens;
  }

  #take(target: RadiusTarget): number | undefined {
    const place = placeOf(target);
    const counter = this.#next.get(place) ?? { next: Math.floor(this.#random() * IDENTIFIERS), used: 0 };
    if (counter.used >= IDENTIFIERS) return undefined;
    while (this.#outstanding.has(keyOf(target, counter.next))) counter.next = (counter.next + 1) % IDENTIFIERS;
    const identifier = counter.next;
    counter.next = (identifier + 1) % IDENTIFIERS;
    counter.used += 1;
    this.#next.set(place, counter);
    return identifier;
  }

  #end(key: string, { target }: Outstanding<T>): void {
    this.#outstanding.delete(key);
    this.#deadlines.set(key, undefined);
    const counter = this.#next.get(placeOf(target));
    if (!counter) return;
    counter.used -= 1;
    if (counter.used === 0) this.#next.delete(placeOf(target));
  }
}

function placeOf({ address, port }: Pick<RadiusTarget, 'address' | 'port'>): string {
  return `${address}\n${port}`;
}

function keyOf(target: Pick<RadiusTarget, 'address' | 'port'>, identifier: number): string {
  return `${placeOf(target)}\n${identifier}`;
}
