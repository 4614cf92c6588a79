import { hash } from 'node:crypto';
import { OrderedMap } from '../../bytes/ordered-map.js';
import { OrderedSet } from '../../fairness/ordered-set.js';
import { answerTo } from '../wire/answers.js';
import { type DiameterMessage, decodeDiameter, encodeDiameter, encodeGroup } from '../wire/codec.js';
import { AVPS } from '../wire/dictionary.js';
import type { Grammarian } from '../wire/grammar.js';
import { holdsKey } from '../wire/keys.js';
import type { Token } from './application.js';

/** How long an answer is stored, in milliseconds: End-to-End Identifiers are unique for four minutes (RFC 6733 3). */
export const DUPLICATE_TIME = 240_000;

/**
 * How long an answer that holds a key is stored, in milliseconds. A lost peer is detected, and its requests go to
 * another peer, within two watchdog intervals (RFC 3539 3.4.1).
 */
export const KEY_TIME = 60_000;

/**
 * Maximum number of stored answers, and of their octets. Above it, the oldest answers of the peer with the most octets
 * are dropped.
 */
export const MAX_DUPLICATES = 16_384;
export const MAX_DUPLICATE_OCTETS = 32 * 1024 * 1024;

/** Memory that an entry uses in addition to its answer, in octets. */
export const ENTRY_OCTETS = 512;

/** AVPs that agents add. */
const OF_AGENTS: ReadonlySet<number> = new Set([AVPS['Proxy-Info'].code, AVPS['Route-Record'].code]);

interface Kept {
  readonly key: string;
  readonly until: number;
  readonly peer: string;
  /** Token of the request that is being served. */
  readonly token: Token;
  /**
   * The encoded answer, without the AVPs of agents and without references to the request's octets. Undefined: there is
   * no answer yet.
   */
  answer: Uint8Array | undefined;
  /** Size of the entry in octets. */
  octets: number;
  /** The session of an answer that holds a key. */
  keyOf: string | undefined;
}

/** The answers for one peer, oldest first. */
interface PeerAnswers {
  readonly kept: OrderedSet<Kept>;
  octets: number;
}

/** The result of a look-up: the request is new, is being served with this token, or has this answer. */
export type Found =
  | { readonly state: 'new' }
  | { readonly state: 'pending'; readonly token: Token }
  | { readonly state: 'answered'; readonly answer: DiameterMessage };

/**
 * Stores answers by Origin-Host and End-to-End Identifier (RFC 6733 3, 5.5.4). A request that is repeated over another
 * connection or agent is answered in the same way and has no other effect. Peers share the memory equally.
 */
export class Duplicates {
  readonly #grammarian: Grammarian;
  /** In order of arrival. */
  readonly #kept = new OrderedMap<string, Kept>();
  readonly #pending = new Map<Token, Kept>();
  readonly #peers = new Map<string, PeerAnswers>();
  /** Answers that hold keys: in the order in which they expire, and by session. */
  readonly #keyed = new OrderedMap<Kept, number>();
  readonly #sessions = new Map<string, Set<Kept>>();
  #octets = 0;

  constructor(grammarian: Grammarian) {
    this.#grammarian = grammarian;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Memory of all entries in octets. */
  get octets(): number {
    return this.#octets;
  }

  /** When the next answer that holds a key expires. */
  get deadline(): number | undefined {
    return this.#keyed.first?.[1];
  }

  /** Looks up a request from `peer`. If it is new, stores that `token` serves it. */
  take(request: DiameterMessage, token: Token, peer: string, now: number): Found {
    const key = this.#keyOf(request);
    if (key === undefined) return { state: 'new' };
    const known = this.#kept.get(key);
    if (known && known.until > now) {
      if (!known.answer) return { state: 'pending', token: known.token };
      return { state: 'answered', answer: answerFrom(known.answer, request) };
    }
    this.#forgetOld(now);
    if (known) this.#forget(known);
    const kept: Kept = {
      key,
      until: now + DUPLICATE_TIME,
      peer,
      token,
      answer: undefined,
      octets: ENTRY_OCTETS,
      keyOf: undefined,
    };
    this.#add(kept);
    this.#shrink();
    return { state: 'new' };
  }

  /** Stores a copy of the answer to the request that `token` serves. */
  answered(token: Token, answer: DiameterMessage, now: number): void {
    const kept = this.#pending.get(token);
    if (!kept) return;
    this.#pending.delete(token);
    kept.answer = withoutAgents(answer);
    this.#count(kept, kept.answer.length);
    if (holdsKey(answer.avps)) this.#noteKey(kept, answer, now);
    this.#shrink();
  }

  /** Forgets a request that could not be served. If it is repeated, it is served again. */
  failed(token: Token): void {
    const kept = this.#pending.get(token);
    if (kept) this.#forget(kept);
  }

  /** Drops answers that hold keys of a session, because the session has ended. */
  forgetKeys(sessionId: string): void {
    for (const kept of [...(this.#sessions.get(sessionId) ?? [])]) this.#forget(kept);
  }

  /** Drops answers that hold keys of this Origin-Host's sessions, because all of them have ended. */
  forgetKeysOf(origin: string): void {
    const start = `${origin.toLowerCase()} `;
    for (const [kept] of this.#keyed) if (kept.key.startsWith(start)) this.#forget(kept);
  }

  clear(): void {
    for (const [, kept] of this.#kept) this.#forget(kept);
  }

  /** Drops answers with keys after the time in which a peer may repeat the request. */
  tick(now: number): void {
    for (const [kept, at] of this.#keyed) {
      if (at > now) return;
      this.#forget(kept);
    }
  }

  #forgetOld(now: number): void {
    for (const [, kept] of this.#kept) {
      if (kept.until > now) return;
      this.#forget(kept);
    }
  }

  #add(kept: Kept): void {
    this.#kept.set(kept.key, kept);
    this.#pending.set(kept.token, kept);
    const peer = this.#peers.get(kept.peer) ?? { kept: new OrderedSet<Kept>(), octets: 0 };
    this.#peers.set(kept.peer, peer);
    peer.kept.add(kept);
    peer.octets += kept.octets;
    this.#octets += kept.octets;
  }

  #noteKey(kept: Kept, { avps }: DiameterMessage, now: number): void {
    const sessionId = this.#grammarian.find(avps, 'Session-Id') ?? '';
    kept.keyOf = sessionId;
    this.#keyed.set(kept, now + KEY_TIME);
    this.#sessions.set(sessionId, (this.#sessions.get(sessionId) ?? new Set()).add(kept));
  }

  /** Updates the size of an entry. */
  #count(kept: Kept, length: number): void {
    kept.octets += length;
    this.#octets += length;
    const peer = this.#peers.get(kept.peer);
    if (peer) peer.octets += length;
  }

  #shrink(): void {
    while (this.#kept.size > MAX_DUPLICATES || this.#octets > MAX_DUPLICATE_OCTETS) {
      let fullest: PeerAnswers | undefined;
      for (const peer of this.#peers.values()) if (!fullest || peer.octets > fullest.octets) fullest = peer;
      const oldest = fullest?.kept.first;
      if (oldest === undefined) return;
      this.#forget(oldest);
    }
  }

  /** Drops an entry and overwrites its octets, which may hold a key. */
  #forget(kept: Kept): void {
    this.#kept.delete(kept.key);
    this.#pending.delete(kept.token);
    this.#octets -= kept.octets;
    this.#keyed.delete(kept);
    if (kept.keyOf !== undefined) {
      const ofSession = this.#sessions.get(kept.keyOf);
      ofSession?.delete(kept);
      if (ofSession?.size === 0) this.#sessions.delete(kept.keyOf);
    }
    const peer = this.#peers.get(kept.peer);
    if (peer) {
      peer.octets -= kept.octets;
      peer.kept.delete(kept);
      if (peer.kept.size === 0) this.#peers.delete(kept.peer);
    }
    kept.answer?.fill(0);
  }

  /**
   * Key of a request. A peer may reuse an identifier for another request, so all AVPs that agents do not change must
   * also match.
   */
  #keyOf({ endToEnd, commandCode, avps }: DiameterMessage): string | undefined {
    const origin = this.#grammarian.find(avps, 'Origin-Host')?.toLowerCase();
    if (origin === undefined) return undefined;
    const own = avps.filter(({ code }) => !OF_AGENTS.has(code));
    return `${origin} ${endToEnd} ${commandCode} ${hash('sha1', encodeGroup(own), 'base64')}`;
  }
}

/** The stored answer for this copy of a request. */
export function answerFrom(octets: Uint8Array, request: DiameterMessage): DiameterMessage {
  const { flags, avps } = decodeDiameter(octets);
  return { ...answerTo(request, avps), flags };
}

/** Encodes an answer for all copies of its request. Proxy-Info is omitted, because it differs between copies. */
export function withoutAgents(answer: DiameterMessage): Uint8Array {
  return encodeDiameter({ ...answer, avps: answer.avps.filter(({ code }) => !OF_AGENTS.has(code)) });
}
