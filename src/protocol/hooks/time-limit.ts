/** How often a time limit may double: it is at most four times the configured one. */
const MAX_DOUBLINGS = 2;

interface Measured {
  /** Milliseconds of the longest run lately: it halves with each shorter run. */
  longest: number;
  doublings: number;
}

/**
 * The time limits of runs, by kind: the event or, for a probe, the home agent. On a slow computer, runs that need longer than the configured limit would be ended
 * again and again. While a recent run took more than half of the limit, or exceeded it, the limit is doubled, up to four
 * times the configured one.
 */
export class TimeLimits {
  readonly #usual: number;
  readonly #measured = new Map<string, Measured>();

  /** `usual`: the configured limit in milliseconds. */
  constructor(usual: number) {
    this.#usual = usual;
  }

  /** The limit of the next run in milliseconds. */
  of(kind: string): number {
    return this.#usual * 2 ** (this.#measured.get(kind)?.doublings ?? 0);
  }

  /** Milliseconds of the longest run lately of any kind. */
  get longest(): number {
    return Math.max(0, ...[...this.#measured.values()].map(({ longest }) => longest));
  }

  /**
   * Records how long a run took that succeeded, or that its limit ended. Returns the limit of the next run if it is
   * another one.
   */
  record(kind: string, milliseconds: number): number | undefined {
    const measured = this.#measured.get(kind) ?? { longest: 0, doublings: 0 };
    const before = this.of(kind);
    measured.longest = Math.max(milliseconds, measured.longest / 2);
    measured.doublings = 0;
    this.#measured.set(kind, measured);
    while (measured.doublings < MAX_DOUBLINGS && this.of(kind) < 2 * measured.longest) measured.doublings += 1;
    const after = this.of(kind);
    return after === before ? undefined : after;
  }
}
