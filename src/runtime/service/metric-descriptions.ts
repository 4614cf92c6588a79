// Apart from Metrics, so that a command does not load the library of the metrics, which takes 50 ms.

export type Labels = Readonly<Record<string, string>>;

/** A counter that exists from the start. */
export interface CounterDescription {
  readonly help: string;
  /** Series that start at zero. Undefined: the counter has no labels. */
  readonly series?: readonly Labels[];
}

export interface TimeDescription {
  readonly help: string;
  readonly labels?: readonly string[];
  /** Upper bounds in seconds. */
  readonly buckets?: readonly number[];
}

/** The counters and histograms of a daemon, by the names that `count` and `time` take. */
export interface MetricDescriptions {
  readonly counters?: Readonly<Record<string, CounterDescription>>;
  readonly times?: Readonly<Record<string, TimeDescription>>;
}

/** A series for each value of a label; with two labels, for each pair of values. */
export const each = (label: string, values: readonly string[]): Labels[] => values.map((value) => ({ [label]: value }));
export const pairs = (label: string, values: readonly string[], other: string, others: readonly string[]): Labels[] =>
  values.flatMap((value) => others.map((second) => ({ [label]: value, [other]: second })));
