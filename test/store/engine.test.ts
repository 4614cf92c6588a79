import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend, DatabaseJob } from '../../src/store/backend.js';
import { SqliteBackend } from '../../src/store/database.js';
import { DatabaseError } from '../../src/store/database-error.js';
import { StoreEngine } from '../../src/store/engine.js';
import type { OperationName } from '../../src/store/operations.js';
import { VirtualHost } from '../virtual-host.js';
import { StoreUser, subscriberOf } from './fixtures.js';

/** A database in memory whose commits can be made to fail. */
class Failing implements Backend {
  readonly batch: number;
  readonly concurrent = false;
  /** Returns the error that a commit throws, if any; `attempt` counts commits from 1. */
  failure: ((attempt: number) => Error | undefined) | undefined;
  /** The number of jobs in each commit. */
  readonly commits: number[] = [];
  /** The number of jobs in each transaction that only reads. */
  readonly readings: number[] = [];
  damage: Error | undefined;
  /** Awaited after a commit, before it is reported. */
  report: Promise<void> = Promise.resolve();
  readonly #real: SqliteBackend;

  constructor(real: SqliteBackend) {
    this.#real = real;
    this.batch = real.batch;
  }

  async commit(jobs: readonly DatabaseJob[], first?: DatabaseJob): Promise<PromiseSettledResult<unknown>[]> {
    this.commits.push(jobs.length);
    const failure = this.failure?.(this.commits.length);
    if (failure) throw failure;
    const outcomes = await this.#real.commit(jobs, first);
    await this.report;
    return outcomes;
  }

  reads = (jobs: readonly DatabaseJob[]) => {
    this.readings.push(jobs.length);
    return this.#real.reads(jobs);
  };

  read = (job: DatabaseJob) => this.#real.read(job);
  lengthy = (job: DatabaseJob) => this.#real.lengthy(job);
  shared = (job: DatabaseJob) => this.#real.shared(job);
  close = () => this.#real.close();

  check(): void {
    if (this.damage) throw this.damage;
  }
}

const SEED = new Uint8Array(32).fill(7);
const FULL = () => new DatabaseError('ERR_STORE_FULL', 'full');
const GONE = () => new DatabaseError('ERR_STORE_DOWN', 'gone');

let host: VirtualHost;
let backend: Failing;
let engine: StoreEngine;
let user: StoreUser;
let news: string[];
let faults: string[];
let steps: number[];
let busy: boolean[];

beforeEach(async () => {
  host = new VirtualHost(SEED);
  backend = new Failing(await SqliteBackend.open(':memory:', 'server', (octets) => host.random(octets)));
  news = [];
  faults = [];
  steps = [];
  busy = [];
  engine = await StoreEngine.open(backend, host, {
    state: (works, reason) => void news.push(works ? 'works' : reason),
    fault: (where, { message }) => void faults.push(`${where}: ${message}`),
    clockStep: (milliseconds) => void steps.push(milliseconds),
    busy: (now) => void busy.push(now),
  });
  user = new StoreUser(() => engine);
  backend.commits.length = 0;
  backend.readings.length = 0;
});

afterEach(async () => {
  await engine.close();
  await backend.close();
});

/** Lets pending promises settle. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('StoreEngine', () => {
  it('takes time and randomness only from its host', async () => {
    await user.addAgent(1);
    await user.addSubscriber('mn@home.example');
    const { nai, sessionId } = { nai: 'mn@home.example', sessionId: 's1' };
    const ask = { nai, sessionId, origin: 'paa', originRealm: undefined, originState: 1, local: undefined } as const;
    const result = await engine.run('bootstrap', {
      ...ask,
      wish: 'home',
      sessionLifetime: 60_000,
      leaseLifetime: 120_000,
    });
    expect(result).toMatchObject({ lease: { acquiredAt: host.wall(), expiresAt: host.wall() + 120_000 } });
    host.advance(120_000);
    expect(await engine.run('expire', { limit: 10 })).toHaveLength(1);

    const hostTwin = new VirtualHost(SEED);
    const other = await SqliteBackend.open(':memory:', 'server', (octets) => hostTwin.random(octets));
    const twin = await StoreEngine.open(other, hostTwin);
    const twinUser = new StoreUser(() => twin);
    await twinUser.addAgent(1);
    await twinUser.addSubscriber('mn@home.example');
    const again = await twin.run('bootstrap', {
      ...ask,
      wish: 'home',
      sessionLifetime: 60_000,
      leaseLifetime: 120_000,
    });
    expect(again).toEqual(result);
    expect(await twin.run('ticketKey', { every: 1_000 })).toEqual(await engine.run('ticketKey', { every: 1_000 }));
    await twin.close();
    await other.close();
  });

  it('counts the lifetime of a session from the time of the request', async () => {
    await user.addAgent(1);
    await user.addSubscriber('mn@home.example');
    const asked = host.monotonic();
    const wall = host.wall();
    host.advance(5_000);
    await engine.run(
      'bootstrap',
      {
        nai: 'mn@home.example',
        sessionId: 's1',
        origin: 'paa',
        originRealm: undefined,
        originState: 1,
        wish: 'home',
        local: undefined,
        sessionLifetime: 60_000,
        leaseLifetime: 120_000,
      },
      undefined,
      asked,
    );
    expect((await engine.run('listSessions', {})).items).toMatchObject([
      { startedAt: wall + 5_000, expiresAt: wall + 60_000 },
    ]);
  });

  it('runs calls of one turn in one commit, and rolls back only a failed call', async () => {
    const many = ['a', 'b', 'a', 'c'].map((name) => user.addSubscriber(`${name}@home.example`));
    const outcomes = await Promise.allSettled(many);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(backend.commits).toEqual([4]);
    expect((await engine.run('statistics', {})).subscribers).toBe(3);
  });

  it('answers a call only after its commit, and rejects it if the commit fails after the call ran', async () => {
    const answers: string[] = [];
    const add = (name: string) =>
      user.addSubscriber(`${name}@home.example`).then(
        () => answers.push(`${name} added`),
        () => answers.push(`${name} failed`),
      );
    let commit: () => void = () => undefined;
    for (const [name, error] of [
      ['a', undefined],
      ['b', GONE()],
    ] as const) {
      backend.report = new Promise((resolve, reject) => {
        commit = () => (error ? reject(error) : resolve());
      });
      const answered = add(name);
      await settle();
      expect(answers).not.toContain(`${name} added`);
      commit();
      await answered;
    }
    expect(answers).toEqual(['a added', 'b failed']);
    backend.report = Promise.resolve();
  });

  it('notices a step of the wall clock and adjusts the times of leases', async () => {
    await user.addAgent(1);
    await user.addSubscriber('mn@home.example');
    await user.bootstrap('mn@home.example', 's1', { now: host.wall() });
    const [before] = (await engine.run('listLeases', {})).items;
    host.wallOffset += 3_600_000;
    host.advance(2_000);
    await settle();
    expect(steps).toEqual([3_600_000]);
    const [after] = (await engine.run('listLeases', {})).items;
    expect(after?.expiresAt).toBe((before?.expiresAt ?? 0) + 3_600_000);
  });

  it('finishes pending calls when closed, then refuses new ones and leaves no timer', async () => {
    const begun = user.addSubscriber('mn@home.example');
    const closed = engine.close();
    await expect(begun).resolves.toBeUndefined();
    await closed;
    expect(await engine.answers()).toBe(false);
    expect(host.timers).toBe(0);
    await expect(engine.run('statistics', {})).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' });
  });

  it.each(['listHomeAgents', 'abandonImport'] as const)(
    'waits for a pending %s outside of a commit when it is closed',
    async (name) => {
      let release: () => void = () => undefined;
      let held = Promise.resolve();
      const real = await SqliteBackend.open(':memory:');
      const aside = async (job: DatabaseJob) => {
        await held;
        return real.read(job);
      };
      const concurrent: Backend = {
        batch: 1,
        concurrent: true,
        read: aside,
        lengthy: aside,
        shared: aside,
        commit: (jobs, first) => real.commit(jobs, first),
        close: () => real.close(),
      };
      const other = await StoreEngine.open(concurrent, host);
      held = new Promise((resolve) => {
        release = resolve;
      });
      const asked = other.run(name, (name === 'listHomeAgents' ? {} : { age: 1 }) as never);
      let isClosed = false;
      const closed = other.close().then(() => {
        isClosed = true;
      });
      await settle();
      expect(isClosed).toBe(false);
      release();
      await asked;
      await closed;
      await real.close();
    },
  );

  it('reports busy during operations that may take minutes', async () => {
    const rows = [{ line: 2, subscriber: subscriberOf('mn@home.example') }];
    await engine.run('stageImport', { importId: 'a', rows });
    await Promise.all([
      engine.run('finishImport', { importId: 'a', update: false }),
      engine.run('abandonImport', { age: 1 }),
    ]);
    expect(busy).toEqual([true, false, true, false]);
  });
});

describe('StoreEngine.administer', () => {
  it.each<[string, unknown, string]>([
    ['showSubscriber', {}, 'showSubscriber: nai: '],
    ['showSubscriber', { nai: 7 }, 'showSubscriber: nai: '],
    ['showSubscriber', { nai: 'a\0b' }, 'showSubscriber: nai: a text must not contain NUL'],
    ['showSubscriber', { nai: '\ud800' }, 'showSubscriber: nai: a text must not contain NUL'],
    ['showSubscriber', { nai: 'a'.repeat(4_097) }, 'showSubscriber: nai: '],
    ['showSubscriber', { nai: 'a', more: 1 }, 'showSubscriber: arguments: '],
    ['showSubscriber', undefined, 'showSubscriber: arguments: '],
    ['showSubscriber', null, 'showSubscriber: arguments: '],
    ['showSubscriber', [], 'showSubscriber: arguments: '],
    ['listLeases', { limit: 0 }, 'listLeases: limit: '],
    ['bootstrap', {}, 'unknown operation bootstrap'],
    ['audit', {}, 'unknown operation audit'],
    ['constructor', {}, 'unknown operation constructor'],
  ])('rejects an invalid request before it reaches the database: %s %j', async (operation, given, message) => {
    await expect(engine.administer(operation, given, 'root')).rejects.toThrow(message);
    expect({ news, faults, commits: backend.commits }).toEqual({ news: [], faults: [], commits: [] });
  });

  it('records changes in the audit trail in the same commit, and nothing for reads and failures', async () => {
    const subscriber = subscriberOf('mn@home.example');
    expect(await engine.administer('addSubscriber', { subscriber }, 'root')).toMatchObject({ changed: true });
    expect(backend.commits).toEqual([1]);
    expect(await engine.administer('listSubscribers', {}, 'root')).toMatchObject({ changed: false });
    const staged = await engine.administer('stageImport', { importId: 'a', rows: [] }, 'root');
    expect(staged).toEqual({ changed: false, result: [] });
    await expect(engine.administer('addSubscriber', { subscriber }, 'eve')).rejects.toThrow('already exists');
    expect((await engine.run('listAudit', {})).items).toMatchObject([
      { at: host.wall(), who: 'root', what: 'addSubscriber', detail: expect.stringContaining('mn@home.example') },
    ]);
  });
});

describe('StoreEngine.run with text from the network', () => {
  it.each<[OperationName, object]>([
    ['findSubscriber', { names: ['mn@home.example', 'a\0b'], sha256: '', sessionId: 's' }],
    ['endSession', { sessionId: 'a\ud800' }],
    ['originOfSession', { sessionId: 'a'.repeat(4_097) }],
    ['bootstrap', { nai: 'a', local: { homeAgent: '\0', homeAddress: '' } }],
  ])('rejects text that a database cannot store: %s %j', async (operation, given) => {
    await expect(engine.run(operation, given as never)).rejects.toMatchObject({ code: 'ERR_STORE_VALUE' });
    expect({ news, faults, commits: backend.commits }).toEqual({ news: [], faults: [], commits: [] });
  });
});

describe('StoreEngine, state of the database', () => {
  const CALLS = {
    read: () => engine.run('statistics', {}),
    write: () => engine.run('expire', { limit: 1 }),
    failed: () => engine.run('endSession', { sessionId: 's' }),
  };

  async function call(what: keyof typeof CALLS, failure?: Error): Promise<void> {
    backend.failure = () => failure;
    await CALLS[what]().catch(() => undefined);
    backend.failure = undefined;
  }

  it('changes on database errors only, not on refused or faulty operations', async () => {
    await engine.run('releaseLease', { of: 'nobody', force: false }).catch(() => undefined);
    await call('write', new TypeError('x is not a function'));
    expect({ news, faults }).toEqual({ news: [], faults: ['expire: x is not a function'] });
    await call('write', GONE());
    await call('write', GONE());
    await call('read');
    expect(news).toEqual(['gone', 'works']);
  });

  it('recovers from a full disk when the failed operation succeeds, not when another one does', async () => {
    await call('failed', FULL());
    await call('read');
    await call('write');
    await call('failed', FULL());
    expect(news).toEqual(['full']);
    await call('failed');
    expect(news).toEqual(['full', 'works']);
  });

  it('recovers from a full disk when writes have succeeded for 15 s', async () => {
    await call('failed', FULL());
    host.advance(14_999);
    await call('write');
    expect(news).toEqual(['full']);
    host.advance(1);
    await call('write');
    expect(news).toEqual(['full', 'works']);
  });

  it('writes a row with an operation that writes nothing, only until a write has shown that the disk has room', async () => {
    /** The number of rows that this operation writes. */
    const rowsOf = async (what: keyof typeof CALLS) => {
      const total = await changes();
      await call(what);
      return (await changes()) - total;
    };
    const changes = () =>
      backend.read(async (db) => {
        const { rows } = await sql<{ readonly n: number }>`select total_changes() as n`.execute(db);
        return rows[0]?.n ?? Number.NaN;
      }) as Promise<number>;
    expect(await rowsOf('write')).toBe(0);
    await call('failed', FULL());
    expect([await rowsOf('read'), await rowsOf('write'), await rowsOf('write')]).toEqual([0, 1, 0]);
  });

  it('repeats the reads of a commit that failed on a full disk', async () => {
    backend.failure = (attempt) => (attempt === 1 ? FULL() : undefined);
    const [read, written] = await Promise.allSettled([CALLS.read(), CALLS.write()]);
    expect(read.status).toBe('fulfilled');
    expect(written).toMatchObject({ reason: { code: 'ERR_STORE_FULL' } });
    expect([backend.commits, backend.readings]).toEqual([[2], [1]]);
  });

  it('is checked every two seconds without a call', async () => {
    backend.damage = GONE();
    host.advance(1_999);
    expect(news).toEqual([]);
    host.advance(1);
    expect(news).toEqual(['gone']);
    backend.damage = undefined;
    await call('read');
    host.advance(2_000);
    expect(news).toEqual(['gone', 'works']);
  });
});
