/** Messages of one client that are relayed in a second. A client sends one, and waits a second before it repeats it. */
export const PER_CLIENT = 10;

/** Messages of all clients that are relayed in a second. */
export const IN_ALL = 1_000;

/** How many of these are kept for clients with a session: anyone on the link can send from many addresses. */
export const RESERVED = 200;

const SECOND = 1_000;

/** Counts the messages of a second, after which it forgets them. */
export class RelayRate {
  #since = Number.NEGATIVE_INFINITY;
  #all = 0;
  #strangers = 0;
  /** At most IN_ALL entries. */
  readonly #clients = new Map<string, number>();

  /** Counts a message. `isKnown`: its client has a session. Returns the limit that it exceeds, if any. */
  exceeded(address: string, isKnown: boolean, now: number): 'rate-of-client' | 'rate-in-all' | undefined {
    if (now - this.#since >= SECOND) {
      this.#since = now;
      this.#all = 0;
      this.#strangers = 0;
      this.#clients.clear();
    }
    const own = this.#clients.get(address) ?? 0;
    if (own >= PER_CLIENT) return 'rate-of-client';
    if (this.#all >= IN_ALL || (!isKnown && this.#strangers >= IN_ALL - RESERVED)) return 'rate-in-all';
    this.#all += 1;
    if (!isKnown) this.#strangers += 1;
    this.#clients.set(address, own + 1);
    return undefined;
  }
}
