import { readFileSync } from 'node:fs';

/** How long tests, demo and bench wait for a condition on an idle computer, in milliseconds. */
export const USUAL_LIMIT = 10_000;

/** Maximum extension of a wait because processes wait for a CPU, in milliseconds. */
const LONGEST_LACK = 30_000;

/** Milliseconds since boot during which some process waited for a CPU; undefined on systems other than Linux. */
function lackOfProcessors(): number | undefined {
  try {
    const total = /^some .* total=(\d+)$/m.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1];
    return total === undefined ? undefined : Number(total) / 1_000;
  } catch {
    return undefined;
  }
}

/**
 * Measures a wait, excluding the time in which processes of this computer waited for a processor, so that tests do not
 * fail on a loaded computer. If the system does not report that time, the longest extension applies.
 */
export class Patience {
  readonly #limit: number;
  readonly #began = performance.now();
  readonly #lackAtFirst = lackOfProcessors();

  constructor(limit = USUAL_LIMIT) {
    this.#limit = limit;
  }

  /** Whether the limit has passed. */
  get over(): boolean {
    return this.left <= 0;
  }

  /** Calls `action` once when the limit has passed, unless the returned function is called before. */
  whenOver(action: () => void): () => void {
    const look = () => {
      if (this.over) action();
      else timer = setTimeout(look, this.left);
    };
    let timer = setTimeout(look, this.left);
    return () => clearTimeout(timer);
  }

  /** Minimum time until the limit passes, in milliseconds. */
  get left(): number {
    const passed = performance.now() - this.#began;
    const lack =
      this.#lackAtFirst === undefined ? LONGEST_LACK : (lackOfProcessors() ?? this.#lackAtFirst) - this.#lackAtFirst;
    return this.#limit + Math.min(lack, LONGEST_LACK) - passed;
  }

  /** The time waited so far, as text. */
  toString(): string {
    return `${((performance.now() - this.#began) / 1_000).toFixed(1)} s`;
  }
}
