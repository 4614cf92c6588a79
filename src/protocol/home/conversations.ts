import { FairTable, type Seat } from '../fairness/fair-table.js';
import { OrderedSet } from '../fairness/ordered-set.js';
import type { HomeAgentClient, Token } from './alphabet.js';
import type { MobilityWish } from './mobility.js';

/** One EAP conversation with a client of a NAS. */
export interface Conversation {
  readonly id: Token;
  readonly sessionId: string;
  readonly origin: string;
  readonly originRealm: string | undefined;
  readonly originState: number | undefined;
  readonly wish: MobilityWish | undefined;
  /** Capability bits, if services are requested. */
  readonly services?: number | undefined;
  readonly homeAgent: HomeAgentClient | undefined;
  readonly startedAt: number;
  seat: Seat;
  /** Identifier of the last Request if it requested the identity; undefined otherwise. */
  identityRequest: number | undefined;
  /** When the conversation times out; milliseconds, monotonic. */
  until: number;
  /** Number of its TLS engine; undefined until its first flight is processed. */
  engine: number | undefined;
}

/**
 * Conversations by Session-Id. Silent ones time out. When the table is full, a new conversation replaces the one that
 * FairTable selects.
 */
export class Conversations {
  readonly #limit: number;
  readonly #silence: number;
  readonly #open = new Map<string, Conversation>();
  readonly #ids = new Map<Token, Conversation>();
  /** The conversation that has been silent longest comes first. */
  readonly #order = new OrderedSet<Conversation>();
  readonly #seats: FairTable<Conversation>;

  /** `silence`: how long to wait for the next response, in milliseconds. */
  constructor(limit: number, silence: number) {
    this.#limit = limit;
    this.#silence = silence;
    this.#seats = new FairTable(limit);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Whether the table is so full that the ranks of clients matter. */
  get scarce(): boolean {
    return this.#open.size >= this.#limit / 2;
  }

  /** When the first conversation times out; undefined: there is none. */
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
   * Adds a conversation. `ended`: an older conversation of the same session. `pushedOut`: the conversation that was
   * evicted, possibly the new one itself.
   */
  add(
    given: Omit<Conversation, 'until' | 'startedAt' | 'identityRequest' | 'engine'>,
    now: number,
  ): {
    readonly conversation: Conversation;
    readonly ended: Conversation | undefined;
    readonly pushedOut: Conversation | undefined;
  } {
    const ended = this.#open.get(given.sessionId);
    if (ended) this.end(ended);
    const conversation: Conversation = {
      ...given,
      identityRequest: undefined,
      startedAt: now,
      until: now + this.#silence,
      engine: undefined,
    };
    this.#open.set(given.sessionId, conversation);
    this.#ids.set(given.id, conversation);
    this.#order.add(conversation);
    const pushedOut = this.#seats.add(conversation, conversation.seat);
    if (pushedOut) this.end(pushedOut);
    return { conversation, ended, pushedOut };
  }

  /** Restarts the timeout of a conversation. */
  touch(conversation: Conversation, now: number): void {
    conversation.until = now + this.#silence;
    this.#order.delete(conversation);
    this.#order.add(conversation);
  }

  /** Raises the rank of a conversation whose client has proven something. */
  promote(conversation: Conversation, rank: number): void {
    if (conversation.seat.rank >= rank) return;
    conversation.seat = { ...conversation.seat, rank };
    this.#seats.promote(conversation, conversation.seat);
  }

  /** Returns false if the conversation had already ended. */
  end(conversation: Conversation): boolean {
    if (!this.#ids.delete(conversation.id)) return false;
    this.#seats.remove(conversation);
    this.#order.delete(conversation);
    this.#open.delete(conversation.sessionId);
    return true;
  }

  /** Removes the conversations that have timed out. */
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
