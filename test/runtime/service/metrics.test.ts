import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/runtime/service/metrics.js';

const lines = async (metrics: Metrics) => (await metrics.text()).split('\n').filter((line) => line.includes('lab_'));

describe('Metrics', () => {
  it('start at zero in the text format, and are listed by counters() once they have counted', async () => {
    const metrics = new Metrics('lab', {
      counters: { moves: { help: 'Moves' }, probes: { help: 'Probes', series: [{ result: 'ok' }] } },
    });
    expect(await lines(metrics)).toEqual([
      '# HELP lab_moves_total Moves',
      '# TYPE lab_moves_total counter',
      'lab_moves_total 0',
      '# HELP lab_probes_total Probes',
      '# TYPE lab_probes_total counter',
      'lab_probes_total{result="ok"} 0',
    ]);
    expect(await metrics.counters()).toEqual({});
    metrics.count('probes', { result: 'failed' });
    metrics.count('made_later');
    expect(await metrics.counters()).toEqual({ 'probes{result=failed}': 1, made_later: 1 });
  });

  it('show current series, and omit a gauge that fails or has no value', async () => {
    const metrics = new Metrics('lab');
    let agents: readonly string[] = ['ha1', 'ha2'];
    metrics.gauges('leases', 'Leases', ['home_agent'], async () =>
      agents.map((name, value) => ({ labels: { home_agent: name }, value })),
    );
    metrics.gauge('broken', 'Broken', () => Promise.reject(new Error('no store')));
    metrics.gauge('thrown', 'Thrown', () => {
      throw new Error('no store');
    });
    metrics.gauge('unknown', 'Unknown', () => undefined);
    metrics.gauge('known', 'Known', () => 7);
    const values = async () => (await lines(metrics)).filter((line) => !line.startsWith('#'));
    expect(await values()).toEqual(['lab_leases{home_agent="ha1"} 0', 'lab_leases{home_agent="ha2"} 1', 'lab_known 7']);
    agents = ['ha2'];
    expect(await values()).toEqual(['lab_leases{home_agent="ha2"} 0', 'lab_known 7']);
  });

  it('record times with labels', async () => {
    const metrics = new Metrics('lab', {
      times: { store: { help: 'Store', labels: ['class'], buckets: [0.001, 1] } },
    });
    metrics.time('store', 2, { class: 'bootstrap' });
    expect(await lines(metrics)).toContain('lab_store_seconds_bucket{le="1",class="bootstrap"} 1');
    expect(await lines(metrics)).toContain('lab_store_seconds_bucket{le="0.001",class="bootstrap"} 0');
  });
});
