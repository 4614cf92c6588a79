/** Names that are kept; the one whose last failure is the oldest goes first. */
const MAX_NAMES = 100_000;

const MINUTE = 60_000;

interface Count {
  minute: number;
  failures: number;
}

/** Names with too many failures in this minute: they are refused without a check for the rest of it. */
export class FailureLimits {
  readonly #limit: number;
  readonly #counts = new Map<string, Count>();

  /** `limit`: failures in a minute; 0: any number. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether a name has no try left at `now` (milliseconds, monotonic). */
  exceeded(name: string, now: number): boolean {
    const count = this.#counts.get(name);
    return this.#limit > 0 && count !== undefined && count.minute === minuteOf(now) && count.failures >= this.#limit;
  }

  failed(name: string, now: number): void {
    const minute = minuteOf(now);
    const known = this.#counts.get(name);
    const failures = known?.minute === minute ? known.failures + 1 : 1;
    this.#counts.delete(name);
    if (this.#counts.size >= MAX_NAMES) {
      for (const oldest of this.#counts.keys()) {
        this.#counts.delete(oldest);
        break;
      }
    }
    this.#counts.set(name, { minute, failures });
  }
}

function minuteOf(now: number): number {
  return Math.floor(now / MINUTE);
}
