/** A look at a wall clock, in milliseconds since 1970, UTC: it was `wall` at some moment from `before` to `after`. */
export interface Reading {
  readonly wall: number;
  /** Milliseconds of a monotonic clock. */
  readonly before: number;
  readonly after: number;
}

/** A wall clock that is off by more, in milliseconds, was set; by less, it is followed. */
export const TOLERANCE = 1_000;

/** The clocks of two servers are so many milliseconds apart at most: what is further is no question of order. */
export const CLOCKS_APART = 10_000;

/** How fast two clocks may run apart: each is steered by 500 ppm at most (RFC 5905 11.3). */
const DRIFT = 0.001;

/** A wall clock is read in whole milliseconds, or finer. */
const RESOLUTION = 1;

/**
 * The time that a store goes by: a wall clock, looked at now and then, and in between a monotonic one. So a step of the wall
 * clock is seen, and nobody goes by the new time before the store's own times have made the same step. What passes while the
 * monotonic clock stands still, as it does on a host that is suspended, looks like a step too.
 */
export class StoreClock {
  /** The time is this more than the monotonic clock. */
  #offset: number;
  /** When the wall clock was looked at, by the monotonic one. */
  #looked: number;
  #last = Number.NEGATIVE_INFINITY;

  constructor(reading: Reading) {
    const middle = middleOf(reading);
    this.#offset = reading.wall - middle;
    this.#looked = middle;
  }

  /** Whole milliseconds since 1970, UTC, at this time of the monotonic clock. */
  at(monotonic: number): number {
    return Math.floor(monotonic + this.#offset);
  }

  /** The same for now: never less than before. */
  now(monotonic: number): number {
    this.#last = Math.max(this.#last, this.at(monotonic));
    return this.#last;
  }

  /** The step that the wall clock has made, in whole milliseconds; 0: none, and the wall clock is followed. */
  look(reading: Reading): number {
    const { before, after, wall } = reading;
    const middle = middleOf(reading);
    // A look that took long leaves much open: what agrees with it changes nothing.
    const possible = Math.min(Math.max(this.#offset, wall - after), wall + RESOLUTION - before);
    const apart = Math.abs(possible - this.#offset);
    if (apart > TOLERANCE + DRIFT * (middle - this.#looked)) return Math.round(wall - middle - this.#offset);
    this.#offset = possible;
    this.#looked = middle;
    return 0;
  }

  /** Goes by the wall clock as it is, whatever step that is. */
  set(reading: Reading): void {
    const middle = middleOf(reading);
    this.#offset = reading.wall - middle;
    this.#looked = middle;
    this.#last = Number.NEGATIVE_INFINITY;
  }
}

function middleOf({ before, after }: Reading): number {
  return (before + after) / 2;
}
