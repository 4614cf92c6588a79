/** Minimum interval between local pings of a session in milliseconds (RFC 5191 4.2: their rate MUST be limited). */
const MIN_PING_INTERVAL = 1000;

/** When the other end was last heard and last pinged (RFC 5191 4.2), the same for both ends. Milliseconds. */
export class Liveness {
  readonly #interval: number;
  #heardAt: number;
  #pingedAt = Number.NEGATIVE_INFINITY;
  #isHeard = false;

  /** `interval`: time without a message after which a ping is sent; 0: never. */
  constructor(interval: number, heardAt: number) {
    this.#interval = interval;
    this.#heardAt = heardAt;
  }

  /** When the next ping is due; undefined: never. */
  get pingAt(): number | undefined {
    return this.#interval > 0 ? this.#heardAt + this.#interval : undefined;
  }

  isPingDue(now: number): boolean {
    return this.#interval > 0 && now >= this.#heardAt + this.#interval;
  }

  /** Whether the rate limit allows an explicitly requested ping. */
  mayPing(now: number): boolean {
    return now - this.#pingedAt >= MIN_PING_INTERVAL;
  }

  /** Whether a valid message of the other end has arrived. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  heard(now: number): void {
    this.#isHeard = true;
    this.#heardAt = now;
  }

  pinged(now: number): void {
    this.#pingedAt = now;
  }
}
