import { expect, it } from 'vitest';
import type { Backend } from '../../src/store/backend.js';
import { SqliteBackend } from '../../src/store/database.js';
import { StoreEngine } from '../../src/store/engine.js';
import { quiet } from '../quiet.js';
import { VirtualHost } from '../virtual-host.js';
import { StoreUser } from './fixtures.js';

it('An overloaded store refuses what a node waits for if its turn comes too late, and reports that once', async () => {
  const host = new VirtualHost();
  const real = await SqliteBackend.open(':memory:');
  let end: () => void = () => undefined;
  let disk = Promise.resolve();
  const backend: Backend = {
    batch: 1,
    concurrent: false,
    commit: async (jobs, first) => {
      await disk;
      return real.commit(jobs, first);
    },
    read: (job) => real.read(job),
    shared: (job) => real.shared(job),
    lengthy: (job) => real.lengthy(job),
    close: () => real.close(),
  };
  const news: unknown[] = [];
  const engine = await StoreEngine.open(backend, host, {
    state: (works) => void news.push({ works }),
    overload: (overloaded) => void news.push({ overloaded }),
  });
  const user = new StoreUser(() => engine);
  disk = new Promise((resolve) => {
    end = resolve;
  });
  const slow = user.addSubscriber('mn@home.example');
  await quiet();
  const late = [1, 2].map((n) => user.bootstrap('mn@home.example', `s${n}`).catch(({ code }) => code));
  const patient = engine.run('endSession', { sessionId: 's1' });
  host.advance(6_000);
  const inTime = user.bootstrap('mn@home.example', 's3');
  host.advance(6_000);
  end();
  await slow;
  expect(await Promise.all(late)).toEqual(['ERR_STORE_BUSY', 'ERR_STORE_BUSY']);
  expect(await patient).toMatchObject({ known: false });
  expect(await inTime).toMatchObject({ reason: 'no-home-agent' });
  expect(news).toEqual([{ overloaded: true }]);
  host.advance(10_000);
  await engine.run('statistics', {});
  expect(news).toEqual([{ overloaded: true }, { overloaded: false }]);
  await engine.close();
  await backend.close();
});
