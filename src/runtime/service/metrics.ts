import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Labels, MetricDescriptions } from './metric-descriptions.js';

/** Histogram buckets in seconds. A bootstrap takes about 50 ms; a lost packet adds one second. */
const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Gauges of the library whose names are those of counters. Each is the sum of a gauge without `_total`. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];

/** One series of a gauge with labels. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/**
 * Counters, gauges and histograms of one daemon in the Prometheus text format. Labels never contain values that a peer
 * chose.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #prefix: string;
  readonly #counters = new Map<string, Counter>();
  /** Counts since the last scrape, by name and labels. */
  readonly #tallies = new Map<string, { readonly counter: Counter; readonly labels: Labels; by: number }>();
  readonly #histograms = new Map<string, Histogram>();

  /**
   * `prefix`: the start of every name, such as `pana_pac`. A metric that is not described is created when first
   * counted.
   */
  constructor(prefix: string, { counters = {}, times = {} }: MetricDescriptions = {}) {
    this.#prefix = prefix;
    for (const [name, { help, series = [] }] of Object.entries(counters)) {
      const counter = this.#counter(name, help, Object.keys(series[0] ?? {}));
      // rate() needs a zero before the first event.
      for (const labels of series) counter.inc(labels, 0);
    }
    for (const [name, { help, labels = [], buckets }] of Object.entries(times)) {
      this.#histogram(name, help, labels, buckets);
    }
  }

  /** Adds the platform's metrics of this process. */
  measureProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name);
  }

  count(name: string, labels: Labels = {}, by = 1): void {
    let key = name;
    for (const label in labels) key += `|${labels[label]}`;
    const tally = this.#tallies.get(key);
    if (tally) {
      tally.by += by;
      return;
    }
    const counter = this.#counters.get(name) ?? this.#counter(name, words(name), Object.keys(labels));
    this.#tallies.set(key, { counter, labels, by });
  }

  /**
   * Passes the counts to the library at a scrape and not at each count, because the library takes a microsecond to find
   * a series.
   */
  #settle(): void {
    for (const tally of this.#tallies.values()) {
      if (tally.by === 0) continue;
      tally.counter.inc(tally.labels, tally.by);
      tally.by = 0;
    }
  }

  /** Registers a gauge that calls `read` at each scrape. Undefined: no value. */
  gauge(name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void {
    this.gauges(name, help, [], async () => {
      const value = await read();
      return value === undefined ? [] : [{ labels: {}, value }];
    });
  }

  /**
   * Registers a gauge whose series `read` returns at each scrape; older series are removed. If `read` rejects, there
   * are none.
   */
  gauges(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => readonly Sample[] | Promise<readonly Sample[]>,
  ): void {
    new Gauge({
      name: `${this.#prefix}_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      async collect() {
        // A gauge that cannot be read must not hide the others.
        const samples = await Promise.resolve()
          .then(read)
          .catch((): Sample[] => []);
        // Remove all series. Without labels, reset() would set the only series to zero instead.
        if (labelNames.length > 0) this.reset();
        else this.remove();
        for (const { labels, value } of samples) this.set(labels, value);
      },
    });
  }

  /** Records a duration in milliseconds. */
  time(name: string, milliseconds: number, labels: Labels = {}): void {
    const histogram = this.#histograms.get(name) ?? this.#histogram(name, words(name), Object.keys(labels));
    histogram.observe(labels, milliseconds / 1000);
  }

  /** All counters that are not zero, as `name{label="value"}`, for `status`. */
  async counters(): Promise<Record<string, number>> {
    this.#settle();
    const out: Record<string, number> = {};
    for (const [name, counter] of this.#counters) {
      for (const { labels, value } of (await counter.get()).values) {
        if (value === 0) continue;
        const text = Object.entries(labels)
          .map(([label, word]) => `${label}=${word}`)
          .join(',');
        out[text === '' ? name : `${name}{${text}}`] = value;
      }
    }
    return out;
  }

  async text(): Promise<string> {
    this.#settle();
    // The library writes Nan where the platform has no value yet; the text format has NaN.
    return (await this.#registry.metrics()).replaceAll(/ Nan$/gm, ' NaN');
  }

  #counter(name: string, help: string, labelNames: readonly string[]): Counter {
    const counter = new Counter({
      name: `${this.#prefix}_${name}_total`,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
    });
    this.#counters.set(name, counter);
    return counter;
  }

  #histogram(name: string, help: string, labels: readonly string[], buckets: readonly number[] = BUCKETS): Histogram {
    const histogram = new Histogram({
      name: `${this.#prefix}_${name}_seconds`,
      help,
      labelNames: [...labels],
      buckets: [...buckets],
      registers: [this.#registry],
    });
    this.#histograms.set(name, histogram);
    return histogram;
  }
}

function words(name: string): string {
  return name.replaceAll('_', ' ');
}
