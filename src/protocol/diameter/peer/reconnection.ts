/**
 * Wait before the first new attempt to connect, in milliseconds; it doubles up to Tc. Not RFC: RFC 6733 2.1 recommends
 * Tc from the first, which would keep a restarted peer out for half a minute.
 */
const FIRST_RETRY = 1_000;

/** How many times Tc to leave a peer alone that said BUSY or DO_NOT_WANT_TO_TALK_TO_YOU (RFC 6733 5.4.3). */
const UNWANTED_FACTOR = 10;

/** Share of a wait by which it is shorter or longer, so that not all nodes come back at once. */
const RETRY_JITTER = 0.1;

/** When a peer is connected again (RFC 6733 2.1, 5.4.3). */
export class Reconnection {
  readonly #longest: number;
  readonly #unit: () => number;
  /** Attempts since the last open connection. */
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

  /** Wait before the next attempt, milliseconds. `unwanted`: the peer said that it will not want us again soon. */
  wait(unwanted: boolean): number {
    const wait = unwanted
      ? this.#longest * UNWANTED_FACTOR
      : Math.min(this.#longest, FIRST_RETRY * 2 ** Math.max(0, this.#attempts - 1));
    return wait * (1 - RETRY_JITTER + 2 * RETRY_JITTER * this.#unit());
  }
}
