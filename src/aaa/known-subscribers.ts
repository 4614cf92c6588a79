import type { Subscriber } from '../runtime/store/records.js';

/** Subscribers that are remembered; the one that came in longest ago is forgotten first. */
const MAX_KNOWN = 100_000;

/**
 * Subscribers by the certificate with which they last came in: while the store cannot be asked they come in again, without
 * Mobile IPv6, for a limited time.
 */
export class KnownSubscribers {
  readonly #lifetime: number;
  readonly #known = new Map<string, { readonly subscriber: Subscriber; readonly until: number }>();

  /** `lifetime`: milliseconds; 0: nobody is remembered. */
  constructor(lifetime: number) {
    this.#lifetime = lifetime;
  }

  /** `sha256` of its certificate; `now` is monotonic, in milliseconds. */
  remember(sha256: string, subscriber: Subscriber, now: number): void {
    this.#known.delete(sha256);
    if (this.#lifetime === 0) return;
    if (this.#known.size >= MAX_KNOWN) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(sha256, { subscriber, until: now + this.#lifetime });
  }

  find(sha256: string, now: number): Subscriber | undefined {
    const known = this.#known.get(sha256);
    return known && known.until > now ? known.subscriber : undefined;
  }

  clear(): void {
    this.#known.clear();
  }
}
