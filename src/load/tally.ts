import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Maximum number of different reasons that are counted; further ones are counted together. */
const MOST_REASONS = 64;
const OTHERS = 'other reasons';

/** Quantiles of durations, in milliseconds; undefined: nothing was measured. */
export interface Durations {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Collects durations in memory of constant size, with three significant figures. */
export class DurationTally {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });

  /** Milliseconds. */
  add(duration: number): void {
    this.#histogram.record(Math.max(1, Math.round(duration * 1000)));
  }

  reset(): void {
    this.#histogram.reset();
  }

  get count(): number {
    return this.#histogram.count;
  }

  get result(): Durations | undefined {
    const { count, mean, max } = this.#histogram;
    if (count === 0) return undefined;
    const at = (percent: number) => this.#histogram.percentile(percent) / 1000;
    return { count, mean: mean / 1000, p50: at(50), p95: at(95), p99: at(99), max: max / 1000 };
  }
}

/** Counts reasons, and keeps the first message of each. */
export class ReasonTally {
  readonly #counts = new Map<string, { count: number; readonly example: string }>();

  add(reason: string, example: string): void {
    const known = this.#counts.get(reason);
    if (known) known.count += 1;
    else if (reason === OTHERS || this.#counts.size < MOST_REASONS) this.#counts.set(reason, { count: 1, example });
    else this.add(OTHERS, example);
  }

  reset(): void {
    this.#counts.clear();
  }

  get total(): number {
    let sum = 0;
    for (const { count } of this.#counts.values()) sum += count;
    return sum;
  }

  /** The most frequent reason first. */
  get result(): { readonly reason: string; readonly count: number; readonly example: string }[] {
    return [...this.#counts]
      .map(([reason, { count, example }]) => ({ reason, count, example }))
      .sort((a, b) => b.count - a.count);
  }
}
