import { AAA_METRICS, registerGauges as aaaGauges, type MeasuredParts } from '../src/aaa/metrics.js';
import { PAA_METRICS, type PaaMeasuredParts, registerGauges as paaGauges } from '../src/paa/metrics.js';
import { PAC_METRICS, type PacMeasuredParts, registerGauges as pacGauges } from '../src/pac/metrics.js';
import { PRE_METRICS } from '../src/pre/metrics.js';
import type { Logger } from '../src/runtime/log/events.js';
import type { Labels, MetricDescriptions } from '../src/runtime/service/metric-descriptions.js';
import type { Metrics } from '../src/runtime/service/metrics.js';
import { ExpiryWatch } from '../src/runtime/tls/expiry.js';
import { VirtualHost } from './virtual-host.js';

/** A metric of a daemon, as it is in the code. */
export interface DescribedMetric {
  /** As in the exported text: `pana_paa_dropped_total`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** The series of a counter that exist from the start. */
  readonly series: readonly Labels[];
}

/** The metrics of each daemon in the code, sorted by name. */
export const DESCRIBED_METRICS: ReadonlyMap<string, readonly DescribedMetric[]> = new Map([
  ['pana-pac', describedMetrics('pana_pac', PAC_METRICS, (metrics) => pacGauges(metrics, {} as PacMeasuredParts))],
  ['pana-paa', describedMetrics('pana_paa', PAA_METRICS, (metrics) => paaGauges(metrics, {} as PaaMeasuredParts))],
  ['pana-pre', describedMetrics('pana_pre', PRE_METRICS)],
  ['pana-aaa', describedMetrics('pana_aaa', AAA_METRICS, (metrics) => aaaGauges(metrics, {} as MeasuredParts))],
]);

/** The metrics that are described, and the gauges that `register` and the watch of the credentials register, if there are. */
function describedMetrics(
  prefix: string,
  { counters = {}, times = {} }: MetricDescriptions,
  register?: (metrics: Metrics) => void,
): DescribedMetric[] {
  const found: DescribedMetric[] = [];
  for (const [name, { help, series = [{}] }] of Object.entries(counters)) {
    found.push({
      name: `${prefix}_${name}_total`,
      type: 'counter',
      labels: Object.keys(series[0] ?? {}),
      help,
      series,
    });
  }
  for (const [name, { help, labels = [] }] of Object.entries(times)) {
    found.push({ name: `${prefix}_${name}_seconds`, type: 'histogram', labels, help, series: [] });
  }
  const gauges = (name: string, help: string, labels: readonly string[]) => {
    found.push({ name: `${prefix}_${name}`, type: 'gauge', labels, help, series: [] });
  };
  const metrics: Pick<Metrics, 'gauge' | 'gauges'> = { gauge: (name, help) => gauges(name, help, []), gauges };
  if (register) {
    register(metrics as Metrics);
    new ExpiryWatch({} as Logger, metrics as Metrics, new VirtualHost(), () => []).stop();
  }
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}
