import { expect, it } from 'vitest';
import { PAC_METRICS } from '../../src/pac/metrics.js';
import { documentedMetrics, metricNames } from '../documented-metrics.js';

it('docs/monitoring.md lists all metrics of pana-pac with their labels', async () => {
  expect(await documentedMetrics('pana-pac')).toEqual(metricNames(PAC_METRICS, () => undefined));
});
