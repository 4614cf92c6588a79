import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { sumOf } from '../../load/daemons.js';
import type { LoadResult } from '../../load/result.js';
import { encodePana, MESSAGE_TYPE } from '../../protocol/pana/wire/codec.js';
import { print, table } from '../../runtime/cli/cli.js';
import { callDaemon } from '../../runtime/service/control.js';
import { every, systemHost } from '../../runtime/system/host.js';
import { Lab, type Place } from '../lab.js';
import { quantile } from '../statistics.js';
import { LoadProcess } from './load-process.js';
import { drawPlots, type Plot } from './plot.js';
import { populate } from './population.js';

export interface SoakOptions {
  /** Milliseconds. */
  readonly duration: number;
  /** Bootstraps per second. */
  readonly rate: number;
  /** Where the plot is written. */
  readonly svg: string;
}

const NODES = 320;
const SAMPLE_EVERY = 5_000;
/** Samples of which the least is drawn, because heap and sessions go up and down. */
const SAMPLES_PER_POINT = 12;
const RESTART_EVERY = 45_000;
const NOISE_EVERY = 50;

/** Session lifetime: sessions of nodes that vanished end within the soak. */
const SESSION_LIFETIME = '3m';

interface Sample {
  /** Minutes since the beginning. */
  readonly at: number;
  readonly heap: number;
  readonly memory: number;
  readonly files: number;
  readonly timers: number;
  readonly sessions: number;
  readonly leases: number;
}

const FIGURES = [
  ['heap', 'heap in use', 'MB'],
  ['memory', 'resident memory', 'MB'],
  ['files', 'open files', ''],
  ['timers', 'timers', ''],
  ['sessions', 'sessions', ''],
  ['leases', 'leases', ''],
] as const;

/** The last third of a figure may exceed the second third by this share and this much. */
const GROWTH = 0.05;
const SLACK: Readonly<Record<(typeof FIGURES)[number][0], number>> = {
  heap: 2,
  memory: 10,
  files: 3,
  timers: 5,
  sessions: 20,
  leases: 20,
};

/**
 * Runs PAA and AAA server under load with movement, re-authentication, nodes that vanish, peers that restart and noise of
 * strangers, and draws what must not grow. Resolves with whether all was flat and nothing failed.
 */
export async function runSoak({ duration, rate, svg }: SoakOptions): Promise<boolean> {
  print(`Soak: ${Math.round(duration / 60_000)} min at ${rate} bootstraps/s …`);
  const lab = await makeLab();
  try {
    const { place: aaa } = await lab.startAaa();
    const { place: aaa2 } = await lab.startAaa('aaa2', {
      diameter: { host: 'aaa2.other.example', realm: 'other.example' },
    });
    const { place: paa } = await lab.startPaa(aaa, 'paa', {
      diameter: {
        peers: [
          { host: 'aaa.home.example', address: aaa.address, port: aaa.port },
          { host: 'aaa2.other.example', address: aaa2.address, port: aaa2.port },
        ],
        routes: [
          { realm: 'home.example', peers: ['aaa.home.example'] },
          { realm: 'other.example', peers: ['aaa2.other.example'] },
        ],
      },
    });
    const pki = await populate(lab, NODES);
    const load = new LoadProcess(paa, pki, [
      '--soak',
      '--retry',
      '--rate',
      String(rate),
      '--duration',
      `${duration}ms`,
    ]);
    const samples = { paa: [] as Sample[], aaa: [] as Sample[] };
    const began = performance.now();
    const timers = [
      every(systemHost, SAMPLE_EVERY, () => void sample(lab, samples, began)),
      every(systemHost, NOISE_EVERY, () => noise(paa, aaa)),
    ];
    const restarting = restart(lab, aaa, pki, began + duration);
    const result = await load.result;
    for (const cancel of timers) cancel();
    await restarting;
    return await report(result, samples, svg);
  } finally {
    await lab.close();
  }
}

function makeLab(): Promise<Lab> {
  return Lab.make({
    hooks: false,
    logLevel: 'info',
    capacity: 100_000,
    paa: {
      pana: {
        'session-lifetime': SESSION_LIFETIME,
        limits: { 'pci-per-address': 1000, 'half-open-per-address': 1000 },
      },
    },
  });
}

async function sample(lab: Lab, samples: Record<'paa' | 'aaa', Sample[]>, began: number): Promise<void> {
  for (const name of ['paa', 'aaa'] as const) {
    const text = String(await callDaemon(lab.socket(name), 'GET', '/metrics').catch(() => ''));
    if (text === '') continue;
    const timers = /^nodejs_active_resources\{type="Timeout"\} (\d+)/m.exec(text)?.[1];
    samples[name].push({
      at: (performance.now() - began) / 60_000,
      heap: sumOf(text, 'nodejs_heap_size_used_bytes') / 1e6,
      memory: sumOf(text, 'process_resident_memory_bytes') / 1e6,
      files: sumOf(text, 'process_open_fds'),
      timers: Number(timers ?? 0),
      sessions: sumOf(text, `pana_${name}_sessions`),
      leases: sumOf(text, `pana_${name}_leases`),
    });
  }
}

/** Restarts a Diameter peer of each daemon again and again; nodes of the second PAA have vanished by then. */
async function restart(lab: Lab, aaa: Place, pki: string, until: number): Promise<void> {
  const host = { diameter: { host: 'paa2.access.example' } };
  for (let round = 0; performance.now() + RESTART_EVERY < until; round += 1) {
    const { daemon, place } = await lab.startPaa(aaa, 'paa2', host);
    const flags = ['--count', '5', '--concurrency', '2', '--stay', '1s', '--vanish', '1', '--nodes', '5'];
    await new LoadProcess(place, pki, flags).result;
    await new Promise((resolve) => setTimeout(resolve, RESTART_EVERY / 2));
    // Half of the times it has no time for its last messages.
    daemon.signal(round % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
    await daemon.exited;
    lab.forget(daemon);
    await restartServer(lab, round);
  }
}

async function restartServer(lab: Lab, round: number): Promise<void> {
  const server = lab.daemon('aaa2');
  if (!server) return;
  server.signal(round % 2 === 0 ? 'SIGTERM' : 'SIGKILL');
  await server.exited;
  lab.forget(server);
  await lab.start('aaa2', 'aaa', lab.path('aaa2.yaml')).line('ready');
}

/** What strangers send: PCIs, octets without meaning, half messages. */
function noise(paa: Place, aaa: Place): void {
  const socket = createSocket('udp6');
  socket.on('error', () => undefined);
  const pci = encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] });
  const kinds = [pci, randomBytes(40), pci.subarray(0, 9), Buffer.concat([pci, randomBytes(20)])];
  const octets = kinds[Math.floor(Math.random() * kinds.length)] ?? pci;
  socket.send(octets, paa.port, paa.address, () => socket.close());
  if (Math.random() > 0.1) return;
  const stranger = connect(aaa.port, aaa.address, () => {
    stranger.write(randomBytes(30));
    setTimeout(() => stranger.destroy(), 500);
  });
  stranger.on('error', () => undefined);
}

/** Figures that follow the load, and so go up and down with the speed of the host. */
const FOLLOWING: readonly string[] = ['sessions', 'leases'];

/** Whether the last third of a curve is above the second one; the first one is warm-up. */
export function grows(figure: (typeof FIGURES)[number][0], points: readonly (readonly [number, number])[]): boolean {
  const values = points.map(([, value]) => value);
  const third = Math.floor(values.length / 3);
  const before = quantile(values.slice(third, 2 * third), FOLLOWING.includes(figure) ? 1 : 0.5);
  return quantile(values.slice(2 * third), 0.5) > before * (1 + GROWTH) + SLACK[figure];
}

/** One point of a curve: the least of several samples. */
export function pointsOf(samples: readonly Sample[], figure: (typeof FIGURES)[number][0]): [number, number][] {
  const points: [number, number][] = [];
  for (let from = 0; from + SAMPLES_PER_POINT <= samples.length; from += SAMPLES_PER_POINT) {
    const part = samples.slice(from, from + SAMPLES_PER_POINT);
    points.push([part[0]?.at ?? 0, Math.min(...part.map((each) => each[figure]))]);
  }
  return points;
}

/** Medians of the second and of the last third of the points; the first third is warm-up. */
export function thirdsOf(points: readonly (readonly [number, number])[]): readonly [number, number] {
  const values = points.map(([, value]) => value);
  const third = Math.floor(values.length / 3);
  return [quantile(values.slice(third, 2 * third), 0.5), quantile(values.slice(2 * third), 0.5)];
}

async function report(
  result: LoadResult,
  samples: Readonly<Record<'paa' | 'aaa', readonly Sample[]>>,
  svg: string,
): Promise<boolean> {
  const rows: string[][] = [];
  const plots: Plot[] = [];
  let isFlat = true;
  for (const [figure, name, unit] of FIGURES) {
    const series = (['paa', 'aaa'] as const).map((daemon) => ({
      name: `pana-${daemon}`,
      points: pointsOf(samples[daemon], figure),
    }));
    plots.push({
      title: `${name}${unit === '' ? '' : `, ${unit}`}: least of each minute`,
      x: 'minutes',
      y: unit,
      series,
    });
    for (const { name: daemon, points } of series) {
      const [before, after] = thirdsOf(points);
      const isGrowing = grows(figure, points);
      isFlat &&= !isGrowing;
      rows.push([daemon, name, before.toFixed(1), after.toFixed(1), unit, isGrowing ? 'GROWS' : 'flat']);
    }
  }
  await writeFile(svg, drawPlots(plots));
  print(table(['DAEMON', 'FIGURE', 'SECOND THIRD', 'LAST THIRD', 'UNIT', ''], rows));
  const { bootstraps, retries, failed, lost, movements, reauthentications, durations } = result;
  print(
    `\n${bootstraps} bootstraps (p50 ${durations?.p50.toFixed(1)} ms, p99 ${durations?.p99.toFixed(1)} ms), ${movements?.count ?? 0} moves, ${reauthentications?.count ?? 0} re-authentications; ${retries} attempts repeated, ${failed} failed, ${lost.reduce((sum, { count }) => sum + count, 0)} sessions lost.`,
  );
  for (const { reason, count, example } of [...result.failures, ...lost]) print(`  ${count} × ${reason}: ${example}`);
  print(`Plot: ${svg}`);
  return isFlat && failed === 0;
}
