import { FairTable, type Seat } from '../fairness/fair-table.js';
import { Line } from '../fairness/line.js';
import type { Token } from './alphabet.js';
import type { MobilityWish } from './mobility.js';

/** One run of EAP with a client behind a NAS. */
export interface Conversation {
  readonly id: Token;
  readonly sessionId: string;
  readonly origin: string;
  readonly originRealm: string | undefined;
  readonly originState: number | undefined;
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
  readonly #open = new Map<string, Conversation>();
  readonly #ids = new Map<Token, Conversation>();
  /** The longest silent first. */
  readonly #order = new Line<Conversation>();
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

  /** When the first one has been silent for too long; undefined if there is none. */
  get firstUntil(): number | undefined {
    return this.#order.first?.until;
  }

  get(sessionId: string): Conversation | undefined {
    return this.#open.get(sessionId);
  }

  byId(id: Token): Conversation | undefined {
    return this.#ids.get(id);
  }

  has(conversation: Conversation): boolean {
    return this.#ids.has(conversation.id);
  }

  /**
   * Adds a conversation. `ended`: an older one of the same session. `pushedOut`: the one that had to leave for it, which may be
   * the new one itself.
   */
  add(
    given: Omit<Conversation, 'until' | 'startedAt'>,
    now: number,
  ): {
    readonly conversation: Conversation;
    readonly ended: Conversation | undefined;
    readonly pushedOut: Conversation | undefined;
  } {
    const ended = this.#open.get(given.sessionId);
    if (ended) this.end(ended);
    const conversation = { ...given, startedAt: now, until: now + this.#silence };
    this.#open.set(given.sessionId, conversation);
    this.#ids.set(given.id, conversation);
    this.#order.add(conversation);
    const pushedOut = this.#seats.add(conversation, conversation.seat);
    if (pushedOut) this.end(pushedOut);
    return { conversation, ended, pushedOut };
  }

  /** Something was heard of it. */
  touch(conversation: Conversation, now: number): void {
    conversation.until = now + this.#silence;
    this.#order.delete(conversation);
    this.#order.add(conversation);
  }

  /** It has proven something: from now on it goes before others. */
  promote(conversation: Conversation, rank: number): void {
    if (conversation.seat.rank >= rank) return;
    conversation.seat = { ...conversation.seat, rank };
    this.#seats.promote(conversation, conversation.seat);
  }

  /** False: it had ended before. */
  end(conversation: Conversation): boolean {
    if (!this.#ids.delete(conversation.id)) return false;
    this.#seats.remove(conversation);
    this.#order.delete(conversation);
    this.#open.delete(conversation.sessionId);
    return true;
  }

  /** Forgets the silent ones. */
  expire(now: number): Conversation[] {
    const silent: Conversation[] = [];
    for (let first = this.#order.first; first && first.until <= now; first = this.#order.first) {
      this.end(first);
      silent.push(first);
    }
    return silent;
  }

  clear(): Conversation[] {
    const all = [...this.#open.values()];
    for (const conversation of all) this.end(conversation);
    return all;
  }
}
