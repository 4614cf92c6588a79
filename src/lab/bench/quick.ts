import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LoadResult } from '../../load/result.js';
import { print } from '../../runtime/cli/cli.js';
import { Store } from '../../store/store.js';
import { Lab, type Place } from '../lab.js';
import { measureHandshake } from './handshake.js';
import { LoadProcess } from './load-process.js';
import { cpuOf, lockStepOf, longestTurnOf, type Row, ratioOf, rowsTable, throughputShare, verdictOf } from './marks.js';
import { measureOpenssl, type PeerFigure, type PeerFiles, Radius } from './peers.js';
import { populate } from './population.js';
import { measureStarts, type StartRow } from './starts.js';
import { fill, requestOf } from './store.js';

const run = promisify(execFile);

export interface QuickOptions {
  /** Where the JSON is written. */
  readonly json: string;
  /** Milliseconds after which no further measurement begins. */
  readonly budget: number;
}

const NODES = 1_000;
const WARM_UP = 2_000;
const AT_ONCE = 16;
/** Nodes that get a ticket, and then resume once. */
const RESUMED = 300;
const HANDSHAKES = 200;
const START_ROUNDS = 2;
const STORE_LEASES = 1_000;
/** As many as `fill` leaves subscribers without a lease. */
const STORE_BOOTSTRAPS = 1_000;
const STORE_AT_ONCE = 64;

/** What was measured; a part is missing if it failed or there was no time. */
export interface Measured {
  readonly starts?: readonly StartRow[];
  /** CPU microseconds. */
  readonly pci?: number;
  /** Bootstraps per second of the store alone. */
  readonly store?: number;
  /** CPU milliseconds of both ends. */
  readonly handshake?: number;
  readonly openssl?: PeerFigure;
  readonly radiusAlone?: PeerFigure;
  readonly radiusTogether?: PeerFigure;
  readonly warmUp?: LoadResult;
  readonly alone?: LoadResult;
  readonly together?: LoadResult;
  readonly resumed?: LoadResult;
  readonly thousand?: LoadResult;
}

/** Measures what fits into the budget, prints it with the marks beside it, and writes JSON. */
export async function runQuickBench({ json, budget }: QuickOptions): Promise<void> {
  const host = `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}`;
  print(host);
  const began = performance.now();
  const problems: string[] = [];
  const measured: { -readonly [K in keyof Measured]: Measured[K] } = {};
  const part = async <K extends keyof Measured>(name: K, action: () => Promise<Measured[K]>) => {
    if (performance.now() - began > budget) {
      problems.push(`${name}: no time left`);
      return;
    }
    progress(name);
    try {
      measured[name] = await action();
    } catch (error) {
      problems.push(`${name}: ${(error as Error).message.split('\n', 1)[0]}`);
    }
  };
  const lab = await makeLab();
  const folder = await mkdtemp(join(tmpdir(), 'pana-bench-'));
  try {
    const { place: aaa } = await lab.startAaa();
    const { place: paa } = await lab.startPaa(aaa);
    const pki = await populate(lab, NODES);
    const files = peerFiles(lab, pki);
    const load = (...flags: string[]) => measureLoad(lab, paa, pki, flags);
    // What takes little time comes first, so that a slow host leaves out as little as possible.
    await part('handshake', () => bareHandshake(files));
    await part('openssl', () => measureOpenssl(files, 2));
    await part('pci', async () => {
      const { stdout } = await run(process.execPath, [fileURLToPath(new URL('pci-cost.js', import.meta.url))]);
      return Number(stdout);
    });
    await part('store', () => storeAlone(folder));
    await part('warmUp', () =>
      load('--concurrency', String(AT_ONCE), ...limits(WARM_UP, 20), '--nodes', String(AT_ONCE)),
    );
    const kept = ['--concurrency', String(AT_ONCE), '--stay', 'end'];
    await part('together', () => load(...kept, ...limits(500, 8), '--nodes', '500'));
    const radius = await startRadius(folder, files);
    await part('radiusTogether', async () => {
      if ('absent' in radius) return radius;
      await radius.measure(AT_ONCE, 5);
      return radius.measure(AT_ONCE, 20);
    });
    await part('radiusAlone', async () => ('absent' in radius ? radius : radius.measure(1, 100)));
    if (!('absent' in radius)) radius.stop();
    await part('alone', () => load('--stay', 'end', ...limits(200, 5), '--nodes', '200'));
    await part('resumed', () =>
      load(...kept, ...limits(RESUMED, 8), '--warm-up', String(RESUMED), '--resume', '1', '--nodes', String(RESUMED)),
    );
    await part('starts', () => measureStarts(START_ROUNDS));
    await part('thousand', () => load('--concurrency', '1000', '--count', '1000', '--stay', 'end'));
  } finally {
    await lab.close();
    await rm(folder, { recursive: true, force: true });
  }
  progress('');
  const rows = rowsOf(measured);
  print(`\n${rowsTable(rows)}`);
  for (const problem of problems) print(`Not measured: ${problem}.`);
  const { warmUp, together } = measured;
  print(
    `\nLoad: warm-up of ${warmUp?.bootstraps ?? 0} bootstraps (FreeRADIUS: ${AT_ONCE * 5}), then ${together?.bootstraps ?? 0} measured.`,
  );
  print(`CPU is user and system time for one bootstrap; ratios hold to a few percent in one run on an idle host.`);
  const seconds = (performance.now() - began) / 1000;
  const result = { host, seconds, rows: rows.map((row) => ({ ...row, verdict: verdictOf(row) })), measured, problems };
  await writeFile(json, `${JSON.stringify(result, undefined, 2)}\n`);
  print(`${seconds.toFixed(0)} s. JSON: ${json}`);
}

/** A number of bootstraps, or a time in seconds if that is over first. */
function limits(count: number, seconds: number): string[] {
  return ['--count', String(count), '--duration', `${seconds}s`];
}

function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what === '' ? '' : `measuring: ${what}`}`);
}

export function makeLab(): Promise<Lab> {
  return Lab.make({
    hooks: false,
    logLevel: 'info',
    capacity: 1_000_000,
    paa: { pana: { limits: { 'pci-per-address': 1000, 'pci-per-network': 100_000, 'half-open-per-address': 1000 } } },
  });
}

/** Runs a load and reads what it cost the daemons. */
export function measureLoad(lab: Lab, paa: Place, pki: string, flags: readonly string[]): Promise<LoadResult> {
  const sockets = `paa=${lab.socket('paa')},aaa=${lab.socket('aaa')}`;
  return new LoadProcess(paa, pki, ['--daemon', sockets, ...flags]).result;
}

function peerFiles(lab: Lab, pki: string): PeerFiles {
  return {
    ca: lab.path('pki', 'ca.pem'),
    server: lab.path('pki', 'aaa.pem'),
    serverKey: lab.path('pki', 'aaa-key.pem'),
    client: join(pki, 'n000000.pem'),
    clientKey: join(pki, 'n000000-key.pem'),
  };
}

async function startRadius(folder: string, files: PeerFiles): Promise<Radius | { readonly absent: string }> {
  const own = join(folder, 'radius');
  await mkdir(own);
  return Radius.start(own, files);
}

async function bareHandshake(files: PeerFiles): Promise<number> {
  const read = (path: string) => readFile(path, 'utf8');
  const issued = async (certificate: string, key: string) => ({
    certificatePem: await read(certificate),
    keyPem: await read(key),
  });
  const parts = {
    caPem: await read(files.ca),
    server: await issued(files.server, files.serverKey),
    client: await issued(files.client, files.clientKey),
  };
  return measureHandshake(parts, HANDSHAKES);
}

/** Bootstraps per second of the store alone, each on disk before its answer. */
async function storeAlone(folder: string): Promise<number> {
  const store = await Store.open(join(folder, 'store.db'));
  try {
    await fill(store, STORE_LEASES, () => undefined);
    let next = 0;
    const began = performance.now();
    const worker = async () => {
      while (next < STORE_BOOTSTRAPS) {
        const number = STORE_LEASES + next;
        next += 1;
        await store.run('bootstrap', requestOf(number));
      }
    };
    await Promise.all(Array.from({ length: STORE_AT_ONCE }, worker));
    return (STORE_BOOTSTRAPS / (performance.now() - began)) * 1000;
  } finally {
    await store.close();
  }
}

/** The rows with their marks. */
export function rowsOf(measured: Measured): Row[] {
  const { starts, pci, store, handshake, openssl, radiusAlone, radiusTogether } = measured;
  const { alone, together, resumed, thousand } = measured;
  const ratio = (
    name: string,
    mark: number,
    aim: number | undefined,
    ours: number | undefined,
    peer: PeerFigure | undefined,
  ): Row => ({ name, unit: '×', direction: 'atMost', mark, aim, ...ratioOf({ ours, peer }) });
  const plain = (
    name: string,
    unit: string,
    direction: Row['direction'],
    [mark, aim]: readonly [number, number?],
    value: number | undefined,
    detail = '',
  ): Row => ({ name, unit, direction, mark, aim, value, detail });
  const turns = ['aaa', 'paa'].map((name) => longestTurnOf(thousand, name) ?? Number.NaN);
  return [
    ratio(`AAA CPU / FreeRADIUS, ${AT_ONCE} at once`, 1.1, 0.9, cpuOf(together, 'aaa'), radiusTogether),
    ratio('AAA CPU / FreeRADIUS, one after another', 2, 1.5, cpuOf(alone, 'aaa'), radiusAlone),
    ratio(`AAA CPU / openssl s_server, ${AT_ONCE} at once`, 2.2, 2, cpuOf(together, 'aaa'), openssl),
    ratio('resumed: AAA CPU / openssl s_server', 1.7, 1.4, cpuOf(onlyResumed(resumed), 'aaa'), openssl),
    ratio(`PAA CPU / openssl s_server, ${AT_ONCE} at once`, 0.85, 0.57, cpuOf(together, 'paa'), openssl),
    plain(
      'PCI to PAN[C], one after another / OpenPANA',
      '×',
      'atMost',
      [0.8, 0.5],
      undefined,
      `${alone?.durations?.p50.toFixed(1) ?? '-'} ms; OpenPANA is not supported here`,
    ),
    plain(
      'bootstraps/s / bare TLS in Node, two cores',
      '×',
      'atLeast',
      [0.55, 0.7],
      together && handshake !== undefined ? throughputShare(together.perSecond, handshake) : undefined,
      `${together?.perSecond.toFixed(0) ?? '-'}/s, ${handshake?.toFixed(2) ?? '-'} ms`,
    ),
    plain(
      '1,000 at once: p50 / time of all',
      '×',
      'atMost',
      [0.6],
      thousand && lockStepOf(thousand),
      thousand ? `${thousand.perSecond.toFixed(0)}/s, ${thousand.failed} failed` : '',
    ),
    plain(
      'longest turn at that load',
      'ms',
      'atMost',
      [50, 20],
      thousand && Math.max(...turns),
      `AAA ${turns[0]?.toFixed(0)}, PAA ${turns[1]?.toFixed(0)}`,
    ),
    ...startRows(starts),
    plain('PCI refused, from the message event', 'µs', 'atMost', [5, 2], pci),
    plain('SQLite store alone, 64 waiting', '/s', 'atLeast', [2_000], store),
  ];
}

/** The measurement, if all its bootstraps resumed a session. A few full handshakes among them cost more than the rest. */
function onlyResumed(result: LoadResult | undefined): LoadResult | undefined {
  return result && result.resumed === result.bootstraps ? result : undefined;
}

/** The starts of programs, whose marks are those of their measurement. */
function startRows(starts: readonly StartRow[] = []): Row[] {
  const [node] = starts;
  return starts.flatMap(({ name, cpu, cpuRatio, mark }): Row[] =>
    mark === undefined
      ? []
      : [
          {
            name: `${name} / node -e 0`,
            unit: '×',
            direction: 'atMost',
            mark,
            aim: undefined,
            value: cpuRatio,
            detail: `${cpu.toFixed(0)} ms / ${node?.cpu.toFixed(0) ?? '-'} ms CPU`,
          },
        ],
  );
}
