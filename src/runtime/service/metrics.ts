import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; a bootstrap takes some 50 ms, a lost packet adds one second. */
const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type Labels = Readonly<Record<string, string>>;

/** A counter that is there from the start. */
export interface CounterDescription {
  readonly help: string;
  /** Series that begin at zero; without any it has no labels. */
  readonly series?: readonly Labels[];
}

export interface TimeDescription {
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds in seconds. */
  readonly buckets?: readonly number[];
}

/** What a daemon counts and times, by the names that `count` and `time` take. */
export interface MetricDescriptions {
  readonly counters?: Readonly<Record<string, CounterDescription>>;
  readonly times?: Readonly<Record<string, TimeDescription>>;
}

/** Series with one label, one for each of its values; and with two labels, for each pair of their values. */
export const each = (label: string, values: readonly string[]): Labels[] => values.map((value) => ({ [label]: value }));
export const pairs = (label: string, values: readonly string[], other: string, others: readonly string[]): Labels[] =>
  values.flatMap((value) => others.map((second) => ({ [label]: value, [other]: second })));

/** One series of a gauge with labels. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** Counters, gauges and times of one daemon, in Prometheus' text form. Labels never hold what a stranger chose. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #prefix: string;
  readonly #counters = new Map<string, Counter>();
  /** What was counted since somebody asked, by name and labels. */
  readonly #tallies = new Map<string, { readonly counter: Counter; readonly labels: Labels; by: number }>();
  readonly #histograms = new Map<string, Histogram>();

  /** `prefix`: `pana_pac`, in front of every name. What is not described is made when first counted. */
  constructor(prefix: string, { counters = {}, times = {} }: MetricDescriptions = {}) {
    this.#prefix = prefix;
    for (const [name, { help, series = [] }] of Object.entries(counters)) {
      const counter = this.#counter(name, help, Object.keys(series[0] ?? {}));
      // A rate over the first event needs the zero before it.
      for (const labels of series) counter.inc(labels, 0);
    }
    for (const [name, { help, labels = [], buckets }] of Object.entries(times)) {
      this.#histogram(name, help, labels, buckets);
    }
  }

  /** Adds what the platform measures of this process. */
  measureProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Adds to a counter. */
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

  /** The library takes a microsecond to find a series: it is told when somebody asks. */
  #settle(): void {
    for (const tally of this.#tallies.values()) {
      if (tally.by === 0) continue;
      tally.counter.inc(tally.labels, tally.by);
      tally.by = 0;
    }
  }

  /** Shows what `read` says whenever somebody asks; undefined: nothing can be said. */
  gauge(name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void {
    this.gauges(name, help, [], async () => {
      const value = await read();
      return value === undefined ? [] : [{ labels: {}, value }];
    });
  }

  /** Shows the series that `read` gives whenever somebody asks, and no older ones. A `read` that rejects gives none. */
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
        // What cannot be known must not hide the rest.
        const samples = await Promise.resolve()
          .then(read)
          .catch((): Sample[] => []);
        // Either leaves no series: reset() would set one without labels to zero.
        if (labelNames.length > 0) this.reset();
        else this.remove();
        for (const { labels, value } of samples) this.set(labels, value);
      },
    });
  }

  /** Records a time in milliseconds. */
  time(name: string, milliseconds: number, labels: Labels = {}): void {
    const histogram = this.#histograms.get(name) ?? this.#histogram(name, words(name), Object.keys(labels));
    histogram.observe(labels, milliseconds / 1000);
  }

  /** All counters that have counted, as `name{label="value"}` and number, for `status`. */
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
    // The library's spelling of it, where the platform has measured nothing yet; the format's is NaN.
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
