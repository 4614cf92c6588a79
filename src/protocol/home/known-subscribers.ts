import type { Subscriber } from './records.js';

/** Subscribers that are kept; the one that authenticated longest ago goes first. */
const MAX_KNOWN = 100_000;

/**
 * Subscribers by the certificate of their last authentication. While the store is lost they still get access, without Mobile
 * IPv6, for a limited time.
 */
export class KnownSubscribers {
  readonly #lifetime: number;
  readonly #known = new Map<string, { readonly subscriber: Subscriber; readonly until: number }>();
  /** NAIs by Session-Id. */
  readonly #owners = new Map<string, string>();

  /** `lifetime`: milliseconds; 0: none are kept. */
  constructor(lifetime: number) {
    this.#lifetime = lifetime;
  }

  /** `sha256` of its certificate; `now` is monotonic, in milliseconds. */
  remember(sha256: string, sessionId: string, subscriber: Subscriber, now: number): void {
    if (this.#lifetime === 0) return;
    put(this.#known, sha256, { subscriber, until: now + this.#lifetime });
    put(this.#owners, sessionId, subscriber.nai);
  }

  /** Undefined also for a session of another subscriber. */
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

function put<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  const [oldest] = map.keys();
  if (oldest !== undefined && map.size >= MAX_KNOWN) map.delete(oldest);
  map.set(key, value);
}
