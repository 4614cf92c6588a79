import { FairTable, type Seat } from '../protocol/fairness/fair-table.js';
import type { EapConversation } from '../runtime/eap/server.js';
import type { Subscriber } from '../store/records.js';
import type { MobilityWish } from './mobility.js';

/** One run of EAP with a client behind a PAA. */
export interface Conversation {
  readonly sessionId: string;
  readonly origin: string;
  readonly originRealm: string;
  readonly originState: number | undefined;
  readonly eap: EapConversation<Subscriber>;
  readonly wish: MobilityWish | undefined;
  readonly startedAt: number;
  seat: Seat;
  /** When nothing more is expected of it; milliseconds, monotonic. */
  until: number;
}

/**
 * Conversations by Session-Id; those that stay silent are forgotten. When there are too many, a new one takes the place of
 * another one, as FairTable says which.
 */
export class Conversations {
  readonly #limit: number;
  readonly #silence: number;
  /** The longest silent first. */
  readonly #open = new Map<string, Conversation>();
  readonly #seats: FairTable<Conversation>;

  /** `silence`: milliseconds that the next response may take. */
  constructor(limit: number, silence: number) {
    this.#limit = limit;
    this.#silence = silence;
    this.#seats = new FairTable(limit);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Whether it may soon matter who has a place. */
  get scarce(): boolean {
    return this.#open.size >= this.#limit / 2;
  }

  get(sessionId: string): Conversation | undefined {
    return this.#open.get(sessionId);
  }

  /**
   * Takes the place of an older conversation of the same session. `pushedOut`: the one that had to leave, which may be the new
   * one itself.
   */
  add(
    given: Omit<Conversation, 'until' | 'startedAt'>,
    now: number,
  ): { readonly conversation: Conversation; readonly pushedOut: Conversation | undefined } {
    this.endOf(given.sessionId);
    const conversation = { ...given, startedAt: now, until: now + this.#silence };
    this.#open.set(given.sessionId, conversation);
    const pushedOut = this.#seats.add(conversation, conversation.seat);
    if (pushedOut) this.end(pushedOut);
    return { conversation, pushedOut };
  }

  /** Something was heard of it. */
  touch(conversation: Conversation, now: number): void {
    conversation.until = now + this.#silence;
    this.#open.delete(conversation.sessionId);
    this.#open.set(conversation.sessionId, conversation);
  }

  /** It has proven something: from now on it goes before others. */
  promote(conversation: Conversation, rank: number): void {
    if (conversation.seat.rank >= rank) return;
    conversation.seat = { ...conversation.seat, rank };
    this.#seats.promote(conversation, conversation.seat);
  }

  end(conversation: Conversation): void {
    if (this.#open.get(conversation.sessionId) === conversation) this.endOf(conversation.sessionId);
  }

  endOf(sessionId: string): void {
    const conversation = this.#open.get(sessionId);
    if (!conversation) return;
    conversation.eap.close();
    this.#seats.remove(conversation);
    this.#open.delete(sessionId);
  }

  /** Forgets the silent ones; how many. */
  expire(now: number): number {
    let count = 0;
    for (const [sessionId, { until }] of this.#open) {
      if (until > now) break;
      this.endOf(sessionId);
      count += 1;
    }
    return count;
  }

  clear(): void {
    for (const sessionId of [...this.#open.keys()]) this.endOf(sessionId);
  }
}
