import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Metrics } from '../../src/runtime/service/metrics.js';
import { DESCRIBED_METRICS } from '../described-metrics.js';

const RULES = 'scripts/prometheus/pana-mip6.rules.yml';
const EXAMPLE = 'scripts/prometheus/prometheus.example.yml';
const ALERT_TESTS = 'test/scripts/prometheus/alerts.yml';

const METRICS = [...DESCRIBED_METRICS.values()].flat();

/** Labels that Prometheus adds to every series. */
const ADDED = ['job', 'instance'];

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly definition?: string }[] };
}

interface RuleGroups {
  readonly groups: readonly { readonly rules: readonly AlertRule[] }[];
}

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

const dashboards = await Promise.all(
  (await readdir('scripts/grafana')).map(
    async (name) => JSON.parse(await readFile(join('scripts/grafana', name), 'utf8')) as Dashboard,
  ),
);
const rules = (parse(await readFile(RULES, 'utf8')) as RuleGroups).groups.flatMap((group) => group.rules);

const shown = dashboards.flatMap(({ uid, panels, templating }) => [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ place: `${uid}: ${title}`, expr }))),
  ...templating.list.flatMap(({ definition }) =>
    definition === undefined ? [] : [{ place: `${uid}: variables`, expr: definition }],
  ),
]);
const alerted = rules.map(({ alert, expr }) => ({ place: alert, expr }));

/** The series of our metrics in an expression: names without the suffix of a histogram, and what selects by labels. */
function selections(expr: string) {
  return [...expr.matchAll(/\b(pana_\w+?)(_bucket|_sum|_count)?\b(?!\w)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', suffix, selector = '']) => ({
      name,
      isHistogram: suffix !== undefined,
      matchers: [...selector.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(([, label = '', sign = '', value = '']) => ({
        label,
        sign,
        value,
      })),
    }),
  );
}

/** What is wrong with the names, labels and values of an expression. */
function mistakes({ place, expr }: { readonly place: string; readonly expr: string }): string[] {
  const used = selections(expr);
  const groupings = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */));
  const known = new Set([...ADDED, 'le', ...used.flatMap(({ name }) => find(name)?.labels ?? [])]);
  const wrong = groupings.filter((label) => !known.has(label)).map((label) => `${place}: by (${label})`);
  for (const { name, isHistogram, matchers } of used) {
    const metric = find(name);
    if (!metric || (metric.type === 'histogram') !== isHistogram) {
      wrong.push(`${place}: ${name} is no ${isHistogram ? 'histogram' : 'metric'}`);
      continue;
    }
    for (const { label, sign, value } of matchers) {
      if (ADDED.includes(label)) continue;
      if (!metric.labels.includes(label)) wrong.push(`${place}: ${name} has no label ${label}`);
      const values = metric.series.flatMap((series) => series[label] ?? []);
      const named = sign.includes('~') ? value.split('|') : [value];
      const strange = values.length === 0 ? [] : named.filter((one) => !values.includes(one));
      wrong.push(...strange.map((one) => `${place}: ${name} has no ${label} ${one}`));
    }
  }
  return wrong;
}

function find(name: string) {
  return METRICS.find((metric) => metric.name === name);
}

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const folder = mkdtempSync(join(tmpdir(), 'pana-promtool-'));
afterAll(() => rmSync(folder, { recursive: true }));

function promtool(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  return status === 0 ? 'good' : `${status}: ${stdout}${stderr}`;
}

describe('The dashboards', () => {
  it('ask only for metrics, labels and values that the daemons have', () => {
    expect(dashboards.map(({ uid }) => uid).sort()).toEqual(['pana-aaa', 'pana-paa', 'pana-pac', 'pana-pre']);
    expect(shown.length).toBeGreaterThan(60);
    expect(shown.flatMap(mistakes)).toEqual([]);
  });

  it('ask for metrics of the process that exist', async () => {
    const metrics = new Metrics('pana_aaa');
    metrics.measureProcess();
    const text = await metrics.text();
    const asked = [...shown, ...alerted].flatMap(({ expr }) => expr.match(/\b(?:process|nodejs)_\w+/g) ?? []);
    expect(asked.length).toBeGreaterThan(8);
    expect(asked.filter((name) => !text.includes(`\n${name} `))).toEqual([]);
  });

  it('show every metric', () => {
    const asked = new Set(shown.flatMap(({ expr }) => selections(expr).map(({ name }) => name)));
    expect(METRICS.map(({ name }) => name).filter((name) => !asked.has(name))).toEqual([]);
  });

  it.each(dashboards)('$uid: each panel has a title, a description, a unit and a place of its own', ({ panels }) => {
    const places = new Set<string>();
    for (const { type, title, description, fieldConfig, targets = [], gridPos } of panels) {
      expect(title).not.toBe('');
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(places.has(`${x} ${y}`), title).toBe(false);
          places.add(`${x} ${y}`);
        }
      }
      if (type === 'row') continue;
      expect(description, title).toMatch(/.{10}/);
      expect(fieldConfig?.defaults.unit, title).toMatch(/.+/);
      expect(targets.length, title).toBeGreaterThan(0);
      expect(new Set(targets.map(({ legendFormat }) => legendFormat)).size, title).toBe(targets.length);
    }
  });

  it.runIf(hasPromtool)('have expressions that promtool accepts', () => {
    const records = shown
      .filter(({ expr }) => !expr.startsWith('label_values('))
      .map(({ expr }, number) => ({
        record: `panel:number${number}`,
        expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(job|instance)/g, '.*'),
      }));
    const file = join(folder, 'panels.json');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules: records }] }));
    expect(promtool('check', 'rules', file)).toBe('good');
  });
});

describe('The alert rules', () => {
  it('select only metrics, labels and values that the daemons have', () => {
    expect(alerted.length).toBeGreaterThan(15);
    expect(alerted.flatMap(mistakes)).toEqual([]);
  });

  it('have a severity, a summary and what to do', () => {
    for (const { alert, labels, annotations } of rules) {
      expect(labels.severity, alert).toMatch(/^(warning|critical)$/);
      expect(Object.keys(annotations), alert).toEqual(['summary', 'description']);
    }
  });

  it('are all tested: each fires once, and once not', async () => {
    interface Case {
      readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
    }
    const { tests } = parse(await readFile(ALERT_TESTS, 'utf8')) as { readonly tests: readonly Case[] };
    const checks = tests.flatMap((one) => one.alert_rule_test);
    const names = (fires: boolean) =>
      [
        ...new Set(
          checks.filter(({ exp_alerts: alerts }) => alerts.length > 0 === fires).map(({ alertname }) => alertname),
        ),
      ].sort();
    const all = rules.map(({ alert }) => alert).sort();
    expect([names(true), names(false)]).toEqual([all, all]);
  });

  it.runIf(hasPromtool)('are accepted by promtool, and pass their tests', () => {
    expect(promtool('check', 'rules', RULES)).toBe('good');
    expect(promtool('test', 'rules', ALERT_TESTS)).toBe('good');
  });

  it.runIf(hasPromtool)('are named by the example of a configuration, whose jobs they select', async () => {
    const text = await readFile(EXAMPLE, 'utf8');
    const file = join(folder, 'prometheus.yml');
    writeFileSync(
      file,
      text.replace('/usr/local/share/pana-mip6/prometheus', join(process.cwd(), 'scripts/prometheus')),
    );
    expect(promtool('check', 'config', file)).toBe('good');
    const { scrape_configs: jobs } = parse(text) as {
      readonly scrape_configs: readonly { readonly job_name: string }[];
    };
    expect(jobs.map(({ job_name: job }) => job).sort()).toEqual(['pana-aaa', 'pana-paa', 'pana-pac', 'pana-pre']);
  });
});
