import type { HookEvent } from './contract.js';

/** How often the time limit of an event may double: it is at most four times the configured one. */
const MAX_DOUBLINGS = 2;

interface Measured {
  /** Milliseconds of the longest run lately: it halves with each shorter run. */
  longest: number;
  doublings: number;
}

/**
 * The time limits of runs, by event. On a slow computer, runs that need longer than the configured limit would be ended
 * again and again. While a recent run took more than half of the limit, or exceeded it, the limit is doubled, up to four
 * times the configured one.
 */
export class TimeLimits {
  readonly #usual: number;
  readonly #measured = new Map<HookEvent, Measured>();

  /** `usual`: the configured limit in milliseconds. */
  constructor(usual: number) {
    this.#usual = usual;
  }

  /** The limit of the next run in milliseconds. */
  of(event: HookEvent): number {
    return this.#usual * 2 ** (this.#measured.get(event)?.doublings ?? 0);
  }

  /** Milliseconds of the longest run lately of any event. */
  get longest(): number {
    return Math.max(0, ...[...this.#measured.values()].map(({ longest }) => longest));
  }

  /**
   * Records how long a run took that succeeded, or that its limit ended. Returns the limit of the next run if it is
   * another one.
   */
  record(event: HookEvent, milliseconds: number): number | undefined {
    // The time limit of a probe decides whether the home agent responds.
    if (event === 'probe') return undefined;
    const measured = this.#measured.get(event) ?? { longest: 0, doublings: 0 };
    const before = this.of(event);
    measured.longest = Math.max(milliseconds, measured.longest / 2);
    measured.doublings = 0;
    this.#measured.set(event, measured);
    while (measured.doublings < MAX_DOUBLINGS && this.of(event) < 2 * measured.longest) measured.doublings += 1;
    const after = this.of(event);
    return after === before ? undefined : after;
  }
}
