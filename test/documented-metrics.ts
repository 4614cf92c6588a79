import { readFile } from 'node:fs/promises';
import type { MetricDescriptions } from '../src/runtime/service/metric-descriptions.js';
import type { Metrics } from '../src/runtime/service/metrics.js';

/** Names of metrics, each with its labels, sorted. */
export interface MetricNames {
  readonly counters: readonly string[];
  readonly times: readonly string[];
  readonly gauges: readonly string[];
}

/** The metrics of a daemon in the code: those that are described, and the gauges that `register` registers. */
export function metricNames(
  { counters = {}, times = {} }: MetricDescriptions,
  register: (metrics: Metrics) => void,
): MetricNames {
  // CredentialWatch registers this one.
  const gauges = [withLabels('expiry_timestamp_seconds', ['key'])];
  const metrics: Pick<Metrics, 'gauge' | 'gauges'> = {
    gauge: (name) => void gauges.push(name),
    gauges: (name, _help, labels) => void gauges.push(withLabels(name, labels)),
  };
  register(metrics as Metrics);
  return {
    counters: Object.entries(counters)
      .map(([name, { series = [{}] }]) => withLabels(name, Object.keys(series[0] ?? {})))
      .sort(),
    times: Object.entries(times)
      .map(([name, { labels = [] }]) => withLabels(`${name}_seconds`, labels))
      .sort(),
    gauges: gauges.sort(),
  };
}

/** The metrics of a daemon in docs/monitoring.md. */
export async function documentedMetrics(daemon: string): Promise<MetricNames> {
  const page = await readFile('docs/monitoring.md', 'utf8');
  const section = page.split(/^##+ /m).find((text) => text.startsWith(`Metrics of ${daemon}\n`)) ?? '';
  const listed = (row: string) =>
    [...(new RegExp(`^\\| ${row}.*$`, 'm').exec(section)?.[0].replace(/^\|[^|]*\|/, '') ?? '').matchAll(/`([^`]+)`/g)]
      .map(([, name = '']) => name)
      .sort();
  return { counters: listed('counters'), times: listed('times'), gauges: listed('gauges') };
}

function withLabels(name: string, labels: readonly string[]): string {
  return labels.length === 0 ? name : `${name}{${labels.join(',')}}`;
}
