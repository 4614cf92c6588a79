import { BoundedMap } from '../bytes/bounded-map.js';

/** Maximum number of names; the name with the oldest last failure is dropped first. */
const MAX_NAMES = 100_000;

const MINUTE = 60_000;

interface Count {
  readonly minute: number;
  readonly failures: number;
}

/**
 * Limits failures per name and minute. A name above the limit is refused without a check until the end of the minute.
 */
export class FailureLimits {
  readonly #limit: number;
  readonly #counts = new BoundedMap<string, Count>(MAX_NAMES);

  /** `limit`: failures per minute; 0: no limit. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether a name has reached its limit at `now` (milliseconds, monotonic). */
  exceeded(name: string, now: number): boolean {
    const count = this.#counts.get(name);
    return this.#limit > 0 && count !== undefined && count.minute === minuteOf(now) && count.failures >= this.#limit;
  }

  failed(name: string, now: number): void {
    const minute = minuteOf(now);
    const known = this.#counts.get(name);
    const failures = known?.minute === minute ? known.failures + 1 : 1;
    this.#counts.set(name, { minute, failures });
  }
}

function minuteOf(now: number): number {
  return Math.floor(now / MINUTE);
}
