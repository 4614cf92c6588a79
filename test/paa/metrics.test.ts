import { expect, it } from 'vitest';
import { PAA_METRICS, paaGauges } from '../../src/paa/metrics.js';
import type { Nas } from '../../src/protocol/nas/nas.js';
import { hookGauges } from '../../src/runtime/hooks/reporter.js';
import { documentedMetrics, metricNames } from '../documented-metrics.js';

it('docs/monitoring.md lists all metrics of pana-paa with their labels', async () => {
  const names = metricNames(PAA_METRICS, (metrics) => {
    paaGauges(metrics, {} as Nas);
    hookGauges(metrics, () => []);
  });
  expect(await documentedMetrics('pana-paa')).toEqual(names);
});
