import type { EventEmitter } from 'node:events';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PostgresBackend } from '../../src/store/postgres.js';
import { Interrupted } from '../../src/store/postgres-errors.js';
import { quiet } from '../quiet.js';
import { VirtualHost } from '../virtual-host.js';

/** A connection with answers set by the test, and its pool. */
const database = vi.hoisted(() => ({
  queries: [] as string[],
  /** Whether each released connection was closed. */
  released: [] as boolean[],
  connections: [] as EventEmitter[],
  answer: (_text: string): unknown => undefined,
  unreachable: undefined as Error | undefined,
  /** Resolves when a connection attempt gets its result. */
  attempt: undefined as Promise<void> | undefined,
}));

vi.mock('pg', async (original) => {
  const { default: real } = await original<{ default: typeof pg }>();
  const { EventEmitter: Emitter } = await import('node:events');
  class Client extends Emitter {
    async query(text: string): Promise<unknown> {
      database.queries.push(text);
      return (await database.answer(text)) || { rows: [] };
    }
    release(closes: boolean): void {
      database.released.push(closes);
    }
  }
  class Pool extends Emitter {
    async connect(): Promise<Client> {
      await database.attempt;
      if (database.unreachable) throw database.unreachable;
      const client = new Client();
      database.connections.push(client);
      return client;
    }
    end = () => Promise.resolve();
  }
  const { Client: Real, DatabaseError, escapeLiteral, types } = real;
  return { default: { Client: Real, DatabaseError, escapeLiteral, types, Pool } };
});
vi.mock('../../src/store/postgres-probe.js', () => ({
  TRANSACTION: 'BEGIN',
  probe: () => Promise.resolve({ warnings: [], isAsynchronous: true }),
}));
vi.mock('../../src/store/migrator.js', () => ({ migrate: () => Promise.resolve() }));
vi.mock('../../src/store/secret.js', () => ({ ensureSecret: () => Promise.resolve() }));

/** An error of the database with this SQLSTATE. */
function sqlError(code: string): Error {
  return Object.assign(new pg.DatabaseError('refused', 1, 'error'), { code });
}

const CONFLICT = '40001';
let host: VirtualHost;
let backend: PostgresBackend;

beforeEach(async () => {
  host = new VirtualHost();
  database.answer = () => undefined;
  database.unreachable = undefined;
  database.attempt = undefined;
  backend = await PostgresBackend.open('postgres://db.example/pana', host);
  // The next calls begin after the last success.
  host.advance(1_000);
  for (const list of [database.queries, database.released, database.connections]) list.length = 0;
});

afterEach(() => backend.close());

/** Runs pending promises, advances time, and runs pending promises again. */
async function pass(milliseconds: number): Promise<void> {
  await quiet();
  host.advance(milliseconds);
  await quiet();
}

/** A job that is interrupted this many times before it succeeds. */
function interrupted(times: number) {
  let runs = 0;
  const job = async () => {
    runs += 1;
    if (runs <= times) throw new Interrupted(`conflict ${runs}`, {}, true);
    return `run ${runs}`;
  };
  return { job, runs: () => runs };
}

const count = (text: string) => database.queries.filter((query) => query === text).length;

describe('PostgresBackend.commit', () => {
  it('runs each job in a savepoint of one transaction under the lock of writers', async () => {
    const broken = new Error('a fault');
    const outcomes = await backend.commit([async () => 1, () => Promise.reject(broken), async () => 3]);
    expect(outcomes).toEqual([
      { status: 'fulfilled', value: 1 },
      { status: 'rejected', reason: broken },
      { status: 'fulfilled', value: 3 },
    ]);
    const [begin, ...rest] = database.queries;
    expect(begin).toMatch(
      /^BEGIN; SET LOCAL idle_in_transaction_session_timeout = 10000; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = 3000; SET LOCAL statement_timeout = 3500; SELECT pg_advisory_xact_lock\(\d+\)$/,
    );
    expect(rest).toEqual([
      'SAVEPOINT job',
      'RELEASE job',
      'SAVEPOINT job',
      'ROLLBACK TO job; RELEASE job',
      'SAVEPOINT job',
      'RELEASE job',
      'COMMIT',
    ]);
    expect(database.released).toEqual([false]);
  });

  it.each([0, 1, 2])('repeats a transaction that was interrupted, on another connection: %i times', async (times) => {
    const { job, runs } = interrupted(times);
    expect(await backend.commit([job])).toEqual([{ status: 'fulfilled', value: `run ${times + 1}` }]);
    expect(runs()).toBe(times + 1);
    expect(count('COMMIT')).toBe(1);
    expect(database.released).toEqual([...Array(times).fill(true), false]);
  });

  it('gives up at the third interruption', async () => {
    const { job, runs } = interrupted(9);
    await expect(backend.commit([job])).rejects.toThrow('conflict 3');
    expect([runs(), count('COMMIT')]).toEqual([3, 0]);
    expect(database.released).toEqual([true, true, true]);
  });

  it('does not repeat a transaction whose COMMIT failed', async () => {
    database.answer = (text) => text === 'COMMIT' && Promise.reject(sqlError(CONFLICT));
    const { job, runs } = interrupted(0);
    await expect(backend.commit([job])).rejects.toMatchObject({ code: 'ERR_STORE_DOWN' });
    expect([runs(), count('COMMIT')]).toEqual([1, 1]);
  });

  it('does not repeat a transaction that failed for another reason', async () => {
    database.answer = (text) => text === 'SAVEPOINT job' && Promise.reject(sqlError('42501'));
    await expect(backend.commit([async () => 1])).rejects.toMatchObject({ code: 'ERR_STORE_DOWN' });
    expect(count('SAVEPOINT job')).toBe(1);
  });

  it('commits nothing if the first job throws', async () => {
    const { job, runs } = interrupted(0);
    await expect(backend.commit([job], () => Promise.reject(new Error('not first')))).rejects.toThrow('not first');
    expect([runs(), count('COMMIT')]).toEqual([0, 0]);
  });
});

describe('PostgresBackend.call', () => {
  const answered = [{ rows: [] }, { rows: [{ answer: { result: 'none' } }] }, { rows: [] }];

  it('sends the transaction as one query', async () => {
    database.answer = () => answered;
    expect(await backend.call('pana_bootstrap', () => ({ nai: "o'neil\\@x" }))).toEqual({ result: 'none' });
    expect(database.queries).toEqual([
      'BEGIN; SET LOCAL idle_in_transaction_session_timeout = 10000; SET LOCAL synchronous_commit = on; ' +
        `SET LOCAL lock_timeout = 3000; SET LOCAL statement_timeout = 3500; SELECT pana_bootstrap( E'{"nai":"o''neil\\\\\\\\@x"}') AS answer; COMMIT`,
    ]);
    expect(database.released).toEqual([false]);
  });

  it('is repeated up to twice if it conflicted with another one, with a new request', async () => {
    let failures = 2;
    database.answer = () => {
      failures -= 1;
      return failures < 0 ? answered : Promise.reject(sqlError('40P01'));
    };
    let requests = 0;
    const request = () => {
      requests += 1;
      return {};
    };
    expect(await backend.call('pana_bootstrap', request)).toEqual({ result: 'none' });
    expect(requests).toBe(3);
    database.answer = () => Promise.reject(sqlError('40P01'));
    // The database works, but not for this call.
    await expect(backend.call('pana_bootstrap', request)).rejects.toMatchObject({ code: 'ERR_STORE_BUSY' });
    expect(requests).toBe(6);
  });

  it('is not repeated if it may have been committed', async () => {
    database.answer = () => Promise.reject(new Error('read ECONNRESET'));
    await expect(backend.call('pana_bootstrap', () => ({}))).rejects.toMatchObject({ code: 'ERR_STORE_DOWN' });
    expect(database.queries).toHaveLength(1);
  });

  it.each(['55P03', '57014'])('that waited too long for a lock or ran too long reports overload: %s', async (code) => {
    database.answer = () => Promise.reject(sqlError(code));
    await expect(backend.call('pana_bootstrap', () => ({}))).rejects.toMatchObject({ code: 'ERR_STORE_BUSY' });
    expect(database.queries).toHaveLength(1);
  });

  it('waits for its turn, and reports overload if that comes too late', async () => {
    const finish: (() => void)[] = [];
    database.answer = () => new Promise((resolve) => finish.push(() => resolve(answered)));
    const calls = Array.from({ length: 26 }, () =>
      backend.call('pana_bootstrap', () => ({}), 'timely').catch((error) => error.code),
    );
    for (let round = 1; round <= 4; round += 1) {
      await pass(3_000);
      expect(database.queries).toHaveLength(6 * round);
      for (const end of finish.splice(0)) end();
    }
    await pass(0);
    expect(database.queries).toHaveLength(24);
    const refused = Array(2).fill('ERR_STORE_BUSY');
    expect(await Promise.all(calls)).toEqual([...Array(24).fill({ result: 'none' }), ...refused]);
    expect(database.released.every((closed) => !closed)).toBe(true);
  });
});

describe('PostgresBackend.shared', () => {
  it('shares the lock of writers, and is repeated only if it conflicted with another one', async () => {
    const { job, runs } = interrupted(2);
    expect(await backend.shared(job, async () => undefined)).toBe('run 3');
    expect([runs(), count('COMMIT')]).toEqual([3, 1]);
    expect(database.queries[0]).toMatch(/; SELECT pg_advisory_xact_lock_shared\(\d+\)$/);
    database.answer = (text) => text === 'COMMIT' && Promise.reject(new Error('read ECONNRESET'));
    const once = interrupted(0);
    await expect(backend.shared(once.job)).rejects.toMatchObject({ code: 'ERR_STORE_DOWN' });
    expect(once.runs()).toBe(1);
  });
});

describe('PostgresBackend.batch', () => {
  it('is as large as fits into a quarter of a second', async () => {
    expect(backend.batch).toBe(64);
    const slow = async () => void host.advance(50);
    for (let i = 0; i < 20; i += 1) await backend.commit([slow, slow]);
    expect(backend.batch).toBe(5);
    const slower = async () => void host.advance(900);
    for (let i = 0; i < 20; i += 1) await backend.commit([slower]);
    expect(backend.batch).toBe(1);
    for (let i = 0; i < 40; i += 1) await backend.commit([async () => 1]);
    expect(backend.batch).toBe(64);
  });
});

describe('PostgresBackend.read', () => {
  it('repeats an interrupted job up to twice', async () => {
    const { job, runs } = interrupted(2);
    expect(await backend.read(job)).toBe('run 3');
    const hopeless = interrupted(9);
    await expect(backend.read(hopeless.job)).rejects.toThrow('conflict 3');
    expect([runs(), hopeless.runs()]).toEqual([3, 3]);
    const broken = vi.fn(() => Promise.reject(new Error('a fault')));
    await expect(backend.read(broken)).rejects.toThrow('a fault');
    expect(broken).toHaveBeenCalledOnce();
  });
});

describe('A connection', () => {
  const never = () => new Promise<never>(() => undefined);

  it('is given up after 4 s, and the next calls fail at once for half a second', async () => {
    const asked = backend.commit([never]).catch((error: Error) => error);
    await pass(3_999);
    expect(database.released).toEqual([]);
    await pass(1);
    expect(await asked).toMatchObject({
      code: 'ERR_STORE_DOWN',
      message: expect.stringContaining('no answer within 4 s'),
    });
    expect(database.released).toEqual([true]);
    await pass(499);
    await expect(backend.read(async () => 1)).rejects.toThrow('no answer within 4 s');
    expect(database.connections).toHaveLength(1);
    await pass(1);
    expect(await backend.read(async () => 1)).toBe(1);
  });

  it('that was given up while others succeeded shows overload', async () => {
    const asked = backend.read(never).catch((error: Error) => error);
    await pass(2_000);
    await backend.read(async () => 1);
    await pass(2_000);
    expect(await asked).toMatchObject({
      code: 'ERR_STORE_BUSY',
      message: 'the database postgres://db.example/pana is overloaded: no answer within 4 s',
    });
    expect(await backend.read(async () => 2)).toBe(2);
  });

  it('that succeeds ends the time in which calls fail at once', async () => {
    const failing = backend.read(never).catch((error: Error) => error);
    await pass(1_000);
    let answer: (value: string) => void = () => undefined;
    const slow = backend.read(() => new Promise((resolve) => (answer = resolve)));
    await pass(3_000);
    expect(await failing).toMatchObject({ code: 'ERR_STORE_DOWN' });
    await expect(backend.read(async () => 1)).rejects.toThrow('no answer');
    answer('late');
    expect(await slow).toBe('late');
    expect(await backend.read(async () => 1)).toBe(1);
  });

  it.each([
    ['lengthy', (job: () => Promise<unknown>) => backend.lengthy(job)],
    ['a lengthy commit', (job: () => Promise<unknown>) => backend.commit([job], undefined, true)],
  ])('has no time limit for %s', async (_, run) => {
    let end: () => void = () => undefined;
    const done = run(() => new Promise<void>((resolve) => (end = resolve)));
    await pass(3_600_000);
    expect(database.released).toEqual([]);
    end();
    await done;
    expect(count('COMMIT')).toBe(1);
  });

  it('that is lost ends its transaction, which is repeated on another one', async () => {
    let runs = 0;
    const read = backend.read(async () => {
      runs += 1;
      return runs === 1 ? never() : runs;
    });
    await pass(0);
    database.connections[0]?.emit('error', new Error('connection reset'));
    expect(await read).toBe(2);
    expect(database.released).toEqual([true, false]);
    expect(database.connections[0]?.listenerCount('error')).toBe(0);
  });

  it('that cannot be established makes the call fail, and later calls fail at once for 500 ms', async () => {
    database.unreachable = new Error('refused');
    await expect(backend.read(async () => 1)).rejects.toMatchObject({
      code: 'ERR_STORE_DOWN',
      message: 'the database postgres://db.example/pana cannot be reached: refused',
    });
    database.unreachable = undefined;
    await pass(499);
    await expect(backend.read(async () => 1)).rejects.toThrow('refused');
    await pass(1);
    expect(await backend.read(async () => 1)).toBe(1);
  });

  it('that cannot be established is tried again, and makes no other call fail, if a transaction has succeeded since', async () => {
    let fail: (error: Error) => void = () => undefined;
    database.attempt = new Promise((_, reject) => (fail = reject));
    const asked = [backend.read(async () => 'read'), backend.call('f', () => ({})), backend.commit([async () => 1])];
    database.attempt = undefined;
    await pass(1_000);
    expect(await backend.read(async () => 1)).toBe(1);
    database.answer = (text) => (text.includes('SELECT f') ? [{ rows: [{ answer: 'called' }] }] : undefined);
    fail(new Error('timeout expired'));
    expect(await Promise.all(asked)).toEqual(['read', 'called', [{ status: 'fulfilled', value: 1 }]]);
    expect(await backend.read(async () => 2)).toBe(2);
  });

  it('leaves no timer when its work is done', async () => {
    await backend.read(async () => 1);
    await backend.read(() => Promise.reject(new Error('a fault'))).catch(() => undefined);
    expect(host.timers).toBe(0);
  });
});
