import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds; a bootstrap takes some 50 ms, a lost packet adds one second. */
const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counters, gauges and times of one daemon, in Prometheus' text form. Labels never hold what a stranger chose. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #prefix: string;
  readonly #counters = new Map<string, Counter>();
  readonly #histograms = new Map<string, Histogram>();

  /** `prefix`: `pana_pac`, in front of every name. */
  constructor(prefix: string) {
    this.#prefix = prefix;
    collectDefaultMetrics({ register: this.#registry });
  }

  /** Adds one to a counter, made when first counted. */
  count(name: string, labels: Readonly<Record<string, string>> = {}, by = 1): void {
    let counter = this.#counters.get(name);
    if (!counter) {
      const full = `${this.#prefix}_${name}_total`;
      counter = new Counter({
        name: full,
        help: name.replaceAll('_', ' '),
        labelNames: Object.keys(labels),
        registers: [this.#registry],
      });
      this.#counters.set(name, counter);
    }
    counter.inc(labels, by);
  }

  /** Shows what `read` says whenever somebody asks. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `${this.#prefix}_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** Records a time in milliseconds. */
  time(name: string, milliseconds: number): void {
    let histogram = this.#histograms.get(name);
    if (!histogram) {
      const full = `${this.#prefix}_${name}_seconds`;
      histogram = new Histogram({
        name: full,
        help: name.replaceAll('_', ' '),
        buckets: BUCKETS,
        registers: [this.#registry],
      });
      this.#histograms.set(name, histogram);
    }
    histogram.observe(milliseconds / 1000);
  }

  /** All counters as `name{label="value"}` and number, for `status`. */
  async counters(): Promise<Record<string, number>> {
    const out: Record<string, number> = {};
    for (const [name, counter] of this.#counters) {
      for (const { labels, value } of (await counter.get()).values) {
        const text = Object.entries(labels)
          .map(([label, word]) => `${label}=${word}`)
          .join(',');
        out[text === '' ? name : `${name}{${text}}`] = value;
      }
    }
    return out;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
