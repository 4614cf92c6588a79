import { createHash } from 'node:crypto';
import { answerTo } from '../../protocol/diameter/wire/answers.js';
import { type DiameterMessage, decodeDiameter, encodeDiameter } from '../../protocol/diameter/wire/codec.js';
import { AVPS } from '../../protocol/diameter/wire/dictionary.js';
import type { Grammarian } from '../../protocol/diameter/wire/grammar.js';
import { holdsKey } from '../../protocol/diameter/wire/keys.js';
import type { CancelTimer, Host } from '../system/host.js';

/** How long an answer is kept, in milliseconds: End-to-End Identifiers are unique for four minutes (RFC 6733 3). */
export const DUPLICATE_TIME = 240_000;

/**
 * How long an answer that holds a key is kept, in milliseconds: a peer that is lost is noticed, and its requests are sent
 * to another one, within two intervals of the watchdog (RFC 3539 3.4.1).
 */
export const KEY_TIME = 60_000;

/** Answers kept at once, and their octets; when there are more, the oldest of the peer with the most octets go. */
export const MAX_DUPLICATES = 16_384;
export const MAX_DUPLICATE_OCTETS = 32 * 1024 * 1024;

/** What an entry takes beside its octets. */
export const ENTRY_OCTETS = 512;

/** AVPs that agents add on the way. */
const OF_AGENTS: ReadonlySet<number> = new Set([AVPS['Proxy-Info'].code, AVPS['Route-Record'].code]);

interface Kept {
  readonly until: number;
  readonly peer: string;
  /** Encoded, so that it holds on to nothing of the request; without what agents added. */
  readonly answer: Promise<Uint8Array>;
  /** As it is counted. */
  octets: number;
  /** Of an answer that holds a key: its session, and what forgets it in time. */
  holds: { readonly sessionId: string; readonly cancel: CancelTimer } | undefined;
}

/** The answers for one peer, the oldest first. */
interface PeerAnswers {
  readonly keys: Set<string>;
  octets: number;
}

/**
 * Answers by Origin-Host and End-to-End Identifier (RFC 6733 3, 5.5.4): a request that comes again, over another
 * connection or agent, gets the same answer and changes nothing. Peers have equal shares of the room.
 */
export class DuplicateCache {
  readonly #grammarian: Grammarian;
  readonly #kept = new Map<string, Kept>();
  readonly #peers = new Map<string, PeerAnswers>();
  /** Answers that hold keys, by session. */
  readonly #keyed = new Map<string, Set<string>>();
  #octets = 0;
  /** What was asked for last: a request that is not found is kept next. */
  #last: { readonly request: DiameterMessage; readonly key: string | undefined } | undefined;

  readonly #host: Host;

  constructor(grammarian: Grammarian, host: Host) {
    this.#host = host;
    this.#grammarian = grammarian;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** What all entries take. */
  get octets(): number {
    return this.#octets;
  }

  /** The answer to a request that was here before, as an answer to this copy; undefined if it was not. */
  find(request: DiameterMessage, now: number): Promise<DiameterMessage> | undefined {
    const key = this.#keyOf(request);
    const kept = this.#kept.get(key ?? '');
    this.#last = kept ? undefined : { request, key };
    if (!kept || kept.until <= now) return undefined;
    return kept.answer.then((octets) => {
      const { flags, avps } = decodeDiameter(octets);
      return { ...answerTo(request, avps), flags };
    });
  }

  /** Keeps a copy of the answer that is being made for a peer; one that fails is forgotten. */
  keep(request: DiameterMessage, answer: Promise<DiameterMessage>, now: number, peer: string): void {
    const key = this.#last?.request === request ? this.#last.key : this.#keyOf(request);
    this.#last = undefined;
    if (key === undefined) return;
    this.#forgetOld(now);
    const made = answer.then((message) => {
      this.#noteKey(key, kept, message);
      return withoutAgents(message);
    });
    const kept: Kept = { until: now + DUPLICATE_TIME, peer, answer: made, octets: ENTRY_OCTETS, holds: undefined };
    this.#forget(key);
    this.#add(key, kept);
    kept.answer.then(
      ({ length }) => this.#grow(key, kept, length),
      () => this.#kept.get(key) === kept && this.#forget(key),
    );
    this.#shrink();
  }

  /** The session is over: answers that hold its keys are forgotten. */
  forgetKeys(sessionId: string): void {
    for (const key of [...(this.#keyed.get(sessionId) ?? [])]) this.#forget(key);
  }

  /** All sessions of this Origin-Host are over. */
  forgetKeysOf(origin: string): void {
    const start = `${origin.toLowerCase()} `;
    for (const key of [...this.#keyed.values()].flatMap((keys) => [...keys])) {
      if (key.startsWith(start)) this.#forget(key);
    }
  }

  clear(): void {
    for (const key of [...this.#kept.keys()]) this.#forget(key);
  }

  #forgetOld(now: number): void {
    for (const [key, { until }] of this.#kept) {
      if (until > now) return;
      this.#forget(key);
    }
  }

  #add(key: string, kept: Kept): void {
    this.#kept.set(key, kept);
    const peer = this.#peers.get(kept.peer) ?? { keys: new Set(), octets: 0 };
    this.#peers.set(kept.peer, peer);
    peer.keys.add(key);
    peer.octets += kept.octets;
    this.#octets += kept.octets;
  }

  #noteKey(key: string, kept: Kept, { avps }: DiameterMessage): void {
    if (this.#kept.get(key) !== kept || !holdsKey(avps)) return;
    const sessionId = this.#grammarian.find(avps, 'Session-Id') ?? '';
    kept.holds = { sessionId, cancel: this.#host.after(KEY_TIME, () => this.#forget(key), false) };
    this.#keyed.set(sessionId, (this.#keyed.get(sessionId) ?? new Set()).add(key));
  }

  /** The answer is there, and has a length. */
  #grow(key: string, kept: Kept, length: number): void {
    if (this.#kept.get(key) !== kept) return;
    kept.octets += length;
    this.#octets += length;
    const peer = this.#peers.get(kept.peer);
    if (peer) peer.octets += length;
    this.#shrink();
  }

  #shrink(): void {
    while (this.#kept.size > MAX_DUPLICATES || this.#octets > MAX_DUPLICATE_OCTETS) {
      let fullest: PeerAnswers | undefined;
      for (const peer of this.#peers.values()) if (!fullest || peer.octets > fullest.octets) fullest = peer;
      const [oldest] = fullest?.keys ?? [];
      if (oldest === undefined) return;
      this.#forget(oldest);
    }
  }

  /** Its octets are overwritten: there may be a key in them. */
  #forget(key: string): void {
    const kept = this.#kept.get(key);
    if (!kept) return;
    this.#kept.delete(key);
    this.#octets -= kept.octets;
    if (kept.holds) {
      const { sessionId, cancel } = kept.holds;
      cancel();
      const keys = this.#keyed.get(sessionId);
      keys?.delete(key);
      if (keys?.size === 0) this.#keyed.delete(sessionId);
    }
    const peer = this.#peers.get(kept.peer);
    if (peer) {
      peer.octets -= kept.octets;
      peer.keys.delete(key);
      if (peer.keys.size === 0) this.#peers.delete(kept.peer);
    }
    kept.answer.then(
      (octets) => octets.fill(0),
      () => undefined,
    );
  }

  /** A peer that gives one identifier to two requests is not believed: what agents do not change has to agree, too. */
  #keyOf({ endToEnd, commandCode, avps }: DiameterMessage): string | undefined {
    const origin = this.#grammarian.find(avps, 'Origin-Host')?.toLowerCase();
    if (origin === undefined) return undefined;
    const hash = createHash('sha1');
    for (const { code, flags, vendorId = 0, data } of avps) {
      if (!OF_AGENTS.has(code)) hash.update(`${code} ${flags} ${vendorId} ${data.length} `).update(data);
    }
    return `${origin} ${endToEnd} ${commandCode} ${hash.digest('base64')}`;
  }
}

/** Proxy-Info is the request's own, and each copy of it brings its own again. */
function withoutAgents(answer: DiameterMessage): Uint8Array {
  return encodeDiameter({ ...answer, avps: answer.avps.filter(({ code }) => !OF_AGENTS.has(code)) });
}
