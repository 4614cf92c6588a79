import { readFileSync } from 'node:fs';

/** How long a test, the demo or the bench waits for one thing, in milliseconds, when the computer is idle. */
export const USUAL_LIMIT = 10_000;

/** So much longer it waits at most when other work keeps it from a processor, in milliseconds. */
const LONGEST_LACK = 30_000;

/** Milliseconds since the start of the system in which some process waited for a processor. Linux only. */
function lackOfProcessors(): number | undefined {
  try {
    const total = /^some .* total=(\d+)$/m.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1];
    return total === undefined ? undefined : Number(total) / 1_000;
  } catch {
    return undefined;
  }
}

/**
 * Measures a wait, less the time in which processes of this computer waited for a processor: ten seconds of a computer with
 * ten other things to do are a second of work. A computer that cannot say so gets the longest limit.
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

  /** Calls `action` once when it is over, unless what comes back is called before. */
  whenOver(action: () => void): () => void {
    const look = () => {
      if (this.over) action();
      else timer = setTimeout(look, this.left);
    };
    let timer = setTimeout(look, this.left);
    return () => clearTimeout(timer);
  }

  /** Milliseconds after which it may be over, at the earliest. */
  get left(): number {
    const passed = performance.now() - this.#began;
    const lack =
      this.#lackAtFirst === undefined ? LONGEST_LACK : (lackOfProcessors() ?? this.#lackAtFirst) - this.#lackAtFirst;
    return this.#limit + Math.min(lack, LONGEST_LACK) - passed;
  }

  /** How long was waited, for people. */
  toString(): string {
    return `${((performance.now() - this.#began) / 1_000).toFixed(1)} s`;
  }
}
