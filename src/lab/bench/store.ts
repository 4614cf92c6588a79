import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BootstrapRequest, plainSubscriber } from '../../protocol/home/records.js';
import { print, table } from '../../runtime/cli/cli.js';
import { isPostgresUrl, storeName } from '../../store/backend.js';
import { Store } from '../../store/store.js';
import { quantile } from '../statistics.js';

export interface StoreBenchOptions {
  /** Number of leases in the large store. */
  readonly leases: number;
  /** `postgres://…` of an empty database for the large store. Undefined: SQLite files. */
  readonly postgres: string | undefined;
}

/** Number of leases in the small store. */
const SMALL = 1_000;

/** Number of measured assignments, alternating between the stores, and how many run at once. */
const MEASURED = 500;
const AT_ONCE = 64;

/** Number of subscribers per chunk of an import, and per chunk of bootstraps. */
const CHUNK = 1_000;

const HOME_AGENTS = 4;
const HOUR = 3_600_000;

/**
 * Imports subscribers, gives each a lease, and measures what one more assignment costs in a small and in a large store.
 */
export async function runStoreBench({ leases, postgres }: StoreBenchOptions): Promise<void> {
  if (postgres !== undefined && !isPostgresUrl(postgres)) throw new TypeError('not postgres://…');
  const folder = await mkdtemp(join(tmpdir(), 'pana-bench-'));
  const stores: Store[] = [];
  try {
    const open = async (where: string) => {
      const store = await Store.open(where);
      stores.push(store);
      return store;
    };
    const where = postgres ?? join(folder, 'large.db');
    print(`\n(c) the store, ${postgres === undefined ? 'SQLite, synchronous = FULL' : storeName(where)}:\n`);
    const small = await open(join(folder, 'small.db'));
    await fill(small, SMALL, () => undefined);
    const large = await open(where);
    const filled = await fill(large, leases, progress);
    const size = postgres === undefined ? (await stat(where)).size : undefined;
    const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`;
    const rate = (milliseconds: number) => `${((leases / milliseconds) * 1000).toFixed(0)} a second`;
    print(
      table(
        ['', 'COUNT', 'TIME', 'RATE'],
        [
          ['subscribers staged', String(leases), seconds(filled.staged), rate(filled.staged)],
          ['import finished, one commit', String(leases), seconds(filled.finished), rate(filled.finished)],
          [`leases assigned, ${CHUNK} calls at once`, String(leases), seconds(filled.assigned), rate(filled.assigned)],
        ],
      ),
    );
    const megabytes = (octets: number) => `${(octets / 1024 / 1024).toFixed(0)} MB`;
    print(
      `\nMemory of this process with the store's thread: at most ${megabytes(filled.memory)}.${size === undefined ? '' : ` The file: ${megabytes(size)}.`}`,
    );
    await showAssignments([
      { name: `${SMALL} leases`, store: small, count: SMALL },
      { name: `${leases} leases`, store: large, count: leases },
    ]);
  } finally {
    for (const store of stores) await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function progress(what: string, done: number, of: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${what}: ${done} of ${of}${done === of ? '\n' : ''}`);
}

interface Filled {
  /** Durations in milliseconds. */
  readonly staged: number;
  readonly finished: number;
  readonly assigned: number;
  /** Memory in octets. */
  readonly memory: number;
}

export async function fill(store: Store, count: number, onProgress: typeof progress): Promise<Filled> {
  for (let i = 1; i <= HOME_AGENTS; i += 1) {
    const agent = {
      name: `ha${i}`,
      address: `2001:db8:${i}::1`,
      host: `ha${i}.home.example`,
      prefix: `2001:db8:${i}::/64`,
      capacity: 2 * count + 2 * MEASURED,
      weight: 1,
      target: undefined,
      ike: ['ikev2'] as const,
    };
    await store.run('addHomeAgent', { agent });
  }
  let memory = 0;
  const look = () => {
    memory = Math.max(memory, process.memoryUsage.rss());
  };
  // More subscribers than leases: those without a lease are measured.
  const total = count + 2 * MEASURED;
  const started = performance.now();
  for (let from = 0; from < total; from += CHUNK) {
    const rows = Array.from({ length: Math.min(CHUNK, total - from) }, (_, i) => ({
      line: from + i + 2,
      subscriber: plainSubscriber(`mn${from + i}@home.example`),
    }));
    await store.run('stageImport', { importId: 'bench', rows });
    onProgress('staged', Math.min(from + CHUNK, count), count);
    look();
  }
  const staged = performance.now();
  await store.run('finishImport', { importId: 'bench', update: false });
  const finished = performance.now();
  look();
  for (let from = 0; from < count; from += CHUNK) {
    const length = Math.min(CHUNK, count - from);
    await Promise.all(Array.from({ length }, (_, i) => store.run('bootstrap', requestOf(from + i))));
    onProgress('assigned', from + length, count);
    look();
  }
  const assigned = performance.now();
  return { staged: staged - started, finished: finished - staged, assigned: assigned - finished, memory };
}

interface Subject {
  readonly name: string;
  readonly store: Store;
  readonly count: number;
}

/** Measures new leases and their end, alternating between the stores so that both use the same disk conditions. */
async function showAssignments(subjects: readonly Subject[]): Promise<void> {
  const rows: { alone: number[]; together: number; refreshed: number[] }[] = [];
  for (const _ of subjects) rows.push({ alone: [], together: 0, refreshed: [] });
  for (let i = 0; i < MEASURED; i += 1) {
    for (const [at, { store, count }] of subjects.entries()) {
      const row = rows[at];
      const request = requestOf(count + i);
      const started = performance.now();
      await store.run('bootstrap', request);
      row?.alone.push(performance.now() - started);
      const again = performance.now();
      await store.run('bootstrap', request);
      row?.refreshed.push(performance.now() - again);
    }
  }
  for (let from = 0; from < MEASURED; from += AT_ONCE) {
    for (const [at, { store, count }] of subjects.entries()) {
      const row = rows[at];
      const length = Math.min(AT_ONCE, MEASURED - from);
      const started = performance.now();
      const requests = Array.from({ length }, (_, i) => requestOf(count + MEASURED + from + i));
      await Promise.all(requests.map((request) => store.run('bootstrap', request)));
      if (row) row.together += performance.now() - started;
    }
  }
  const fixed = (value: number) => `${value.toFixed(2)} ms`;
  print(`\nOne more lease, ${MEASURED} times, alternating between the small and the large store:\n`);
  print(
    table(
      ['', 'MEDIAN', 'P95', `EACH OF ${AT_ONCE} AT ONCE`, 'REFRESH, MEDIAN'],
      subjects.map(({ name }, at) => {
        const row = rows[at];
        const { alone = [], together = 0, refreshed = [] } = row ?? {};
        return [
          name,
          fixed(quantile(alone, 0.5)),
          fixed(quantile(alone, 0.95)),
          fixed(together / MEASURED),
          fixed(quantile(refreshed, 0.5)),
        ];
      }),
    ),
  );
  const [small, large] = rows;
  if (!small || !large) return;
  const ratio = (a: number, b: number) => (b / a).toFixed(2);
  print(
    `\nLarge to small: ${ratio(quantile(small.alone, 0.5), quantile(large.alone, 0.5))} alone, ${ratio(small.together, large.together)} at once, ${ratio(quantile(small.refreshed, 0.5), quantile(large.refreshed, 0.5))} refreshed.`,
  );
}

export function requestOf(number: number): BootstrapRequest {
  return {
    nai: `mn${number}@home.example`,
    sessionId: `paa${number % 100}.access.example;1;${number}`,
    origin: `paa${number % 100}.access.example`,
    originRealm: 'access.example',
    originState: 1,
    certificate: number.toString(16),
    wish: 'home',
    local: undefined,
    sessionLifetime: 24 * HOUR,
    leaseLifetime: 24 * HOUR + 60_000,
  };
}
