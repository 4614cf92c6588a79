/** When a PAA that does not answer PCI is reported, in milliseconds since the first PCI. The last value repeats. */
const REPORTED_AFTER = [2_500, 60_000, 600_000, 3_600_000] as const;

export interface SilenceReport {
  /** How many PCIs were sent, and milliseconds since the first one. */
  readonly count: number;
  readonly waited: number;
}

/** Decides when to report that a PAA does not answer PCI: soon, and then more and more rarely. Times in milliseconds. */
export class Silence {
  #since: number | undefined;
  #count = 0;
  #reports = 0;
  #next: number = REPORTED_AFTER[0];

  /** A PCI was sent, and no PAA has been heard. Returns the report that is due. */
  asked(now: number): SilenceReport | undefined {
    this.#since ??= now;
    this.#count += 1;
    const waited = now - this.#since;
    if (waited < this.#next) return undefined;
    this.#reports += 1;
    const [last] = REPORTED_AFTER.slice(-1);
    this.#next = REPORTED_AFTER[this.#reports] ?? waited + (last ?? 0);
    return { count: this.#count, waited };
  }

  /** A PAA was heard. Returns whether its silence had been reported. */
  answered(): boolean {
    const isReported = this.#reports > 0;
    this.#reports = 0;
    return isReported;
  }
}
