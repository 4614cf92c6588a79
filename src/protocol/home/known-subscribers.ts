import { BoundedMap } from '../bytes/bounded-map.js';
import type { Subscriber } from './records.js';

/** Maximum number of subscribers; the one that authenticated longest ago is dropped first. */
const MAX_KNOWN = 100_000;

/**
 * Subscribers by the certificate of their last authentication. While the store is unavailable they still get access for
 * a limited time, without Mobile IPv6.
 */
export class KnownSubscribers {
  readonly #lifetime: number;
  readonly #known = new BoundedMap<string, { readonly subscriber: Subscriber; readonly until: number }>(MAX_KNOWN);
  /** NAIs by Session-Id. */
  readonly #owners = new BoundedMap<string, string>(MAX_KNOWN);

  /** `lifetime`: milliseconds; 0: no subscribers are remembered. */
  constructor(lifetime: number) {
    this.#lifetime = lifetime;
  }

  /** Remembers a subscriber. `sha256`: fingerprint of its certificate. `now` is monotonic, in milliseconds. */
  remember(sha256: string, sessionId: string, subscriber: Subscriber, now: number): void {
    if (this.#lifetime === 0) return;
    this.#known.set(sha256, { subscriber, until: now + this.#lifetime });
    this.#owners.set(sessionId, subscriber.nai);
  }

  /** Finds a subscriber. Undefined also if the session belongs to another subscriber. */
  find(sha256: string, sessionId: string, now: number): Subscriber | undefined {
    const known = this.#known.get(sha256);
    if (!known || known.until <= now) return undefined;
    const owner = this.#owners.get(sessionId);
    return owner === undefined || owner === known.subscriber.nai ? known.subscriber : undefined;
  }

  clear(): void {
    this.#known.clear();
  }
}
