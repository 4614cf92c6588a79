import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sumOf } from '../../load/daemons.js';
import type { LoadResult } from '../../load/result.js';
import { print, table } from '../../runtime/cli/cli.js';
import { callDaemon } from '../../runtime/service/control.js';
import { Store } from '../../store/store.js';
import type { Lab, Place } from '../lab.js';
import { quantile } from '../statistics.js';
import { drawPlots, type Plot } from './plot.js';
import { populate } from './population.js';
import { makeLab, measureLoad } from './quick.js';
import { fill, requestOf } from './store.js';

export interface CurvesOptions {
  /** Idle sessions whose heap is measured. */
  readonly sessions: number;
  /** The largest number of leases. */
  readonly leases: number;
  readonly svg: string;
}

const CONCURRENCIES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000];
/** Offered load as a share of the capacity. */
const OVERLOADS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];
const NODES = 1_000;
const PER_POINT = '10s';
/** Sessions in order of magnitude, up to the maximum. */
const SESSIONS = [1_000, 3_000, 10_000, 30_000, 100_000];
const LEASES = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const ASSIGNMENTS = 300;

/** Measures curves and draws them. Takes long. */
export async function runCurves({ sessions, leases, svg }: CurvesOptions): Promise<void> {
  const plots: Plot[] = [];
  const draw = async (more: readonly Plot[]) => {
    plots.push(...more);
    // After each part, so that an interrupted run leaves what it has.
    await writeFile(svg, drawPlots(plots));
  };
  await inLab(NODES, async (lab, paa, pki) => {
    await measureLoad(lab, paa, pki, ['--concurrency', '16', '--count', '2000']);
    const points = await concurrencies(lab, paa, pki);
    await draw(concurrencyPlots(points));
    const capacity = Math.max(...points.map(({ result }) => result.perSecond));
    await draw([overloadPlot(await overloads(lab, paa, pki, capacity), capacity)]);
  });
  await draw([await heapPlot(sessions)]);
  await draw([await leasesPlot(leases)]);
  print(`\nPlots: ${svg}`);
}

async function inLab(nodes: number, action: (lab: Lab, paa: Place, pki: string) => Promise<void>): Promise<void> {
  const lab = await makeLab();
  try {
    const { place: aaa } = await lab.startAaa();
    const { place: paa } = await lab.startPaa(aaa);
    await action(lab, paa, await populate(lab, nodes));
  } finally {
    await lab.close();
  }
}

interface Point {
  readonly at: number;
  readonly result: LoadResult;
}

async function concurrencies(lab: Lab, paa: Place, pki: string): Promise<Point[]> {
  const points: Point[] = [];
  for (const at of CONCURRENCIES) {
    const result = await measureLoad(lab, paa, pki, ['--concurrency', String(at), '--duration', PER_POINT]);
    points.push({ at, result });
  }
  print('\nBootstraps at a concurrency:\n');
  print(loadTable('AT ONCE', points));
  return points;
}

function loadTable(name: string, points: readonly Point[]): string {
  const ms = (value: number | undefined) => `${value?.toFixed(1) ?? '-'} ms`;
  const reasons = points.flatMap(({ at, result: { failures } }) =>
    failures.map(({ reason, count }) => `\n${at.toFixed(0)}: ${count} × ${reason}`),
  );
  const rows = table(
    [name, 'PER SECOND', 'P50', 'P95', 'P99', 'REPEATED', 'FAILED', 'OWN CPU'],
    points.map(({ at, result: { perSecond, durations, retries, failed, own } }) => [
      at.toFixed(0),
      perSecond.toFixed(0),
      ...[durations?.p50, durations?.p95, durations?.p99].map(ms),
      String(retries),
      String(failed),
      `${(own.cpuShare * 100).toFixed(0)} %`,
    ]),
  );
  return rows + reasons.join('');
}

export function concurrencyPlots(points: readonly Point[]): Plot[] {
  const x = 'bootstraps in progress';
  const quantiles = (['p50', 'p95', 'p99'] as const).map((name) => ({
    name,
    points: points.flatMap(({ at, result: { durations } }): [number, number][] =>
      durations ? [[at, durations[name]]] : [],
    ),
  }));
  const rate = points.map(({ at, result }): [number, number] => [at, result.perSecond]);
  return [
    { title: 'Bootstraps per second', x, y: '/s', logarithmic: true, series: [{ name: 'bootstraps/s', points: rate }] },
    { title: 'Time of a bootstrap, PCI to PAN[C]', x, y: 'ms', logarithmic: true, series: quantiles },
  ];
}

async function overloads(lab: Lab, paa: Place, pki: string, capacity: number): Promise<Point[]> {
  const points: Point[] = [];
  for (const share of OVERLOADS) {
    const rate = Math.max(1, capacity * share);
    const flags = ['--rate', rate.toFixed(1), '--duration', PER_POINT, '--nodes', String(NODES)];
    points.push({ at: rate, result: await measureLoad(lab, paa, pki, flags) });
  }
  print(`\nBootstraps at a rate; the capacity is ${capacity.toFixed(0)}/s:\n`);
  print(loadTable('OFFERED/S', points));
  return points;
}

export function overloadPlot(points: readonly Point[], capacity: number): Plot {
  return {
    title: 'Served of what is offered',
    x: 'offered, bootstraps per second',
    y: '/s',
    series: [{ name: 'served', points: points.map(({ at, result }) => [at, result.perSecond]) }],
    mark: { y: capacity, name: 'capacity' },
  };
}

/** The heap of both daemons over idle sessions. */
async function heapPlot(most: number): Promise<Plot> {
  const steps = [...SESSIONS.filter((each) => each < most), most];
  const heaps: Record<'paa' | 'aaa', [number, number][]> = { paa: [], aaa: [] };
  for (const count of steps) {
    await inLab(count, async (lab, paa, pki) => {
      await measureLoad(lab, paa, pki, ['--concurrency', '16', '--count', '1000', '--nodes', '16']);
      const before = await heapsOf(lab);
      const flags = ['--concurrency', '32', '--count', String(count), '--stay', 'end', '--nodes', String(count)];
      // The heap is read while the sessions are there: before their end, which the log shows.
      const peak = highest(lab, count);
      await measureLoad(lab, paa, pki, flags);
      const at = await peak.result();
      for (const name of ['paa', 'aaa'] as const) heaps[name].push([count, ((at[name] - before[name]) / count) * 1000]);
    });
  }
  print('\nHeap of an idle session, least of the readings while all sessions were there:\n');
  print(
    table(
      ['SESSIONS', 'PAA', 'AAA'],
      steps.map((count, at) => [
        String(count),
        ...(['paa', 'aaa'] as const).map((name) => `${heaps[name][at]?.[1].toFixed(2)} kB`),
      ]),
    ),
  );
  return {
    title: 'Heap of an idle session',
    x: 'sessions',
    y: 'kB',
    logarithmic: true,
    series: (['paa', 'aaa'] as const).map((name) => ({ name: `pana-${name}`, points: heaps[name] })),
    mark: { y: 3.5, name: 'mark: 3.5' },
  };
}

/** Megabytes. */
async function heapsOf(lab: Lab): Promise<Record<'paa' | 'aaa', number> & { readonly sessions: number }> {
  const text = async (name: string) => String(await callDaemon(lab.socket(name), 'GET', '/metrics'));
  const [paa, aaa] = [await text('paa'), await text('aaa')];
  const heap = (metrics: string) => sumOf(metrics, 'nodejs_heap_size_used_bytes') / 1e6;
  return { paa: heap(paa), aaa: heap(aaa), sessions: sumOf(paa, 'pana_paa_sessions') };
}

const READ_EVERY = 250;

/** Reads heaps again and again, and keeps the least of those with nearly all sessions. */
function highest(lab: Lab, count: number): { result(): Promise<Record<'paa' | 'aaa', number>> } {
  const least = { paa: Number.NaN, aaa: Number.NaN };
  let goes = true;
  const reading = (async () => {
    while (goes) {
      const now = await heapsOf(lab);
      if (now.sessions >= 0.99 * count) {
        for (const name of ['paa', 'aaa'] as const) if (!(least[name] <= now[name])) least[name] = now[name];
      }
      await new Promise((resolve) => setTimeout(resolve, READ_EVERY));
    }
  })();
  return {
    async result() {
      goes = false;
      await reading;
      return least;
    },
  };
}

/** The time of an assignment over the number of leases. */
async function leasesPlot(most: number): Promise<Plot> {
  const points: [number, number][] = [];
  const folder = await mkdtemp(join(tmpdir(), 'pana-bench-'));
  try {
    for (const count of LEASES.filter((each) => each <= most)) {
      const store = await Store.open(join(folder, `${count}.db`));
      try {
        await fill(store, count, () => undefined);
        const times: number[] = [];
        for (let i = 0; i < ASSIGNMENTS; i += 1) {
          const began = performance.now();
          await store.run('bootstrap', requestOf(count + i));
          times.push(performance.now() - began);
        }
        points.push([count, quantile(times, 0.5)]);
      } finally {
        await store.close();
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  print('\nOne assignment, one after another, SQLite:\n');
  print(
    table(
      ['LEASES', 'MEDIAN'],
      points.map(([count, time]) => [String(count), `${time.toFixed(2)} ms`]),
    ),
  );
  return {
    title: 'An assignment in SQLite, median',
    x: 'leases',
    y: 'ms',
    logarithmic: true,
    series: [{ name: 'median', points }],
  };
}
