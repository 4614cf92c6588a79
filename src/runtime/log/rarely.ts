/** Milliseconds between a line and the next one; the last value repeats. */
const PAUSES = [60_000, 600_000, 3_600_000] as const;

/** Decides when to log what strangers can cause at will: at once, and then more and more rarely. Times in milliseconds. */
export class Rarely {
  #count = 0;
  #lines = 0;
  #next = Number.NEGATIVE_INFINITY;

  /** It happened again. Returns how often it happened since the last line, if a line is due. */
  due(now: number): number | undefined {
    this.#count += 1;
    if (now < this.#next) return undefined;
    const count = this.#count;
    this.#count = 0;
    this.#next = now + (PAUSES[this.#lines] ?? PAUSES[2]);
    this.#lines += 1;
    return count;
  }
}
