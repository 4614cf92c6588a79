import type { EapConversation } from '../runtime/eap-server.js';
import type { Subscriber } from '../runtime/store/records.js';
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
  /** When nothing more is expected of it; milliseconds, monotonic. */
  until: number;
}

/** Conversations by Session-Id, the longest silent first; those that stay silent are forgotten. */
export class Conversations {
  readonly #limit: number;
  readonly #silence: number;
  readonly #open = new Map<string, Conversation>();

  /** `silence`: milliseconds that the next response may take. */
  constructor(limit: number, silence: number) {
    this.#limit = limit;
    this.#silence = silence;
  }

  get size(): number {
    return this.#open.size;
  }

  get full(): boolean {
    return this.#open.size >= this.#limit;
  }

  get(sessionId: string): Conversation | undefined {
    return this.#open.get(sessionId);
  }

  /** Takes the place of an older conversation of the same session. */
  add(given: Omit<Conversation, 'until' | 'startedAt'>, now: number): Conversation {
    this.end(given.sessionId);
    const conversation = { ...given, startedAt: now, until: now + this.#silence };
    this.#open.set(given.sessionId, conversation);
    return conversation;
  }

  /** Something was heard of it. */
  touch(conversation: Conversation, now: number): void {
    conversation.until = now + this.#silence;
    this.#open.delete(conversation.sessionId);
    this.#open.set(conversation.sessionId, conversation);
  }

  end(sessionId: string): void {
    this.#open.get(sessionId)?.eap.close();
    this.#open.delete(sessionId);
  }

  /** Forgets the silent ones; how many. */
  expire(now: number): number {
    let count = 0;
    for (const [sessionId, { until }] of this.#open) {
      if (until > now) break;
      this.end(sessionId);
      count += 1;
    }
    return count;
  }

  clear(): void {
    for (const sessionId of [...this.#open.keys()]) this.end(sessionId);
  }
}
