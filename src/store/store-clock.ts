/**
 * A reading of a wall clock: it showed `wall` (milliseconds since 1970, UTC) at some moment between `before` and
 * `after`.
 */
export interface Reading {
  readonly wall: number;
  /** Milliseconds of a monotonic clock. */
  readonly before: number;
  readonly after: number;
}

/** Maximum deviation of the wall clock that is followed. A greater one is treated as a step. Milliseconds. */
export const TOLERANCE = 1_000;

/**
 * Maximum difference between the clocks of two servers, in milliseconds. A recorded time that is further in the future
 * does not come from another server's clock and is ignored.
 */
export const CLOCKS_APART = 10_000;

/** Maximum drift between two clocks: each is adjusted by at most 500 ppm (RFC 5905 11.3). */
const DRIFT = 0.001;

/** Resolution of a wall clock reading in milliseconds. */
const RESOLUTION = 1;

/**
 * The clock of a store: a monotonic clock, corrected by readings of a wall clock. It can therefore detect a step of the
 * wall clock, and uses the new time only after the store's times have been shifted. If the monotonic clock stops for a
 * time, as on a suspended host, this also looks like a step.
 */
export class StoreClock {
  /** Difference between the time and the monotonic clock. */
  #offset: number;
  /** When the wall clock was last read, by the monotonic clock. */
  #looked: number;
  #last = Number.NEGATIVE_INFINITY;

  constructor(reading: Reading) {
    const middle = middleOf(reading);
    this.#offset = reading.wall - middle;
    this.#looked = middle;
  }

  /** The time at this moment of the monotonic clock: whole milliseconds since 1970, UTC. */
  at(monotonic: number): number {
    return Math.floor(monotonic + this.#offset);
  }

  /** The present time, which never decreases. */
  now(monotonic: number): number {
    this.#last = Math.max(this.#last, this.at(monotonic));
    return this.#last;
  }

  /**
   * Compares this clock with a reading. Returns the step that the wall clock has made, in whole milliseconds. If it is
   * 0, this clock follows the wall clock.
   */
  look(reading: Reading): number {
    const { before, after, wall } = reading;
    const middle = middleOf(reading);
    // A slow reading is imprecise: a deviation within its uncertainty changes nothing.
    const possible = Math.min(Math.max(this.#offset, wall - after), wall + RESOLUTION - before);
    const apart = Math.abs(possible - this.#offset);
    if (apart > TOLERANCE + DRIFT * (middle - this.#looked)) return Math.round(wall - middle - this.#offset);
    this.#offset = possible;
    this.#looked = middle;
    return 0;
  }

  /** Adopts the wall clock, including a step. */
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
