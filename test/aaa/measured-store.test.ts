import { afterEach, beforeEach, expect, it } from 'vitest';
import { measured, type StoreCalls } from '../../src/aaa/measured-store.js';
import { Metrics } from '../../src/runtime/service/metrics.js';
import { systemHost } from '../../src/runtime/system/host.js';
import { SqliteBackend } from '../../src/store/database.js';
import { DatabaseError } from '../../src/store/database-error.js';
import { StoreEngine } from '../../src/store/engine.js';

let backend: SqliteBackend;
let engine: StoreEngine;
let metrics: Metrics;
let store: StoreCalls;

beforeEach(async () => {
  backend = await SqliteBackend.open(':memory:');
  engine = await StoreEngine.open(backend, systemHost);
  metrics = new Metrics('aaa');
  store = measured(engine, metrics, systemHost);
});

afterEach(async () => {
  await store.close();
  await backend.close();
});

/** Values of the series that begin with `name`, by class. */
async function byClass(name: string): Promise<Record<string, number>> {
  const lines = (await metrics.text()).split('\n');
  const found = lines.flatMap((line) => [...line.matchAll(new RegExp(`^${name}\\{class="(\\w+)"\\} (\\d+)$`, 'g'))]);
  return Object.fromEntries(found.map(([, kind = '', value]) => [kind, Number(value)]));
}

const proof = { names: ['mn@home.example'], sha256: '', sessionId: 's' };

it('measures each operation in the class that its record states', async () => {
  await store.run('findSubscriber', proof);
  await store.run('endSession', { sessionId: 's' });
  await store.run('statistics', {});
  await store.run('listSessions', {});
  expect(await byClass('aaa_store_seconds_count')).toEqual({
    authentication: 1,
    session: 1,
    upkeep: 1,
    administration: 1,
  });
});

it('measures what operators request as administration, and does not count a refusal as a failure', async () => {
  await store.administer('statistics', {}, 'operator');
  await expect(store.administer('enableSubscriber', {}, 'operator')).rejects.toThrow('unknown operation');
  expect(await byClass('aaa_store_seconds_count')).toEqual({ administration: 2 });
  expect(await byClass('aaa_store_failures_total')).toEqual({});
});

it('counts failures of the database by class', async () => {
  await engine.close();
  await expect(store.run('findSubscriber', proof)).rejects.toThrow(DatabaseError);
  expect(await byClass('aaa_store_failures_total')).toEqual({ authentication: 1 });
});
