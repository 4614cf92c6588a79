/**
 * Delay before the first new connection attempt in milliseconds. It doubles with each attempt up to Tc. Not RFC: RFC
 * 6733 2.1 recommends starting with Tc, which would keep a restarted peer out for half a minute.
 */
const FIRST_RETRY = 1_000;

/** Factor of Tc before reconnecting to a peer that sent BUSY or DO_NOT_WANT_TO_TALK_TO_YOU (RFC 6733 5.4.3). */
const UNWANTED_FACTOR = 10;

/** Fraction by which a delay is randomly shortened or extended, so that nodes do not all reconnect at the same time. */
const RETRY_JITTER = 0.1;

/** Computes the delay before reconnecting to a peer (RFC 6733 2.1, 5.4.3). */
export class Reconnection {
  readonly #longest: number;
  readonly #unit: () => number;
  /** Number of attempts since the last open connection. */
  #attempts = 0;

  /** `longest`: Tc, milliseconds; `unit`: uniform in [0, 1). */
  constructor(longest: number, unit: () => number) {
    this.#longest = longest;
    this.#unit = unit;
  }

  attempted(): void {
    this.#attempts += 1;
  }

  opened(): void {
    this.#attempts = 0;
  }

  /** Delay before the next attempt in milliseconds. `unwanted`: the peer asked not to be reconnected soon. */
  wait(unwanted: boolean): number {
    const wait = unwanted
      ? this.#longest * UNWANTED_FACTOR
      : Math.min(this.#longest, FIRST_RETRY * 2 ** Math.max(0, this.#attempts - 1));
    return wait * (1 - RETRY_JITTER + 2 * RETRY_JITTER * this.#unit());
  }
}
