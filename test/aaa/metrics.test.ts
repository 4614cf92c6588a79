import { expect, it } from 'vitest';
import { AAA_METRICS, type MeasuredParts, registerGauges } from '../../src/aaa/metrics.js';
import { Metrics } from '../../src/runtime/service/metrics.js';
import { SqliteBackend } from '../../src/store/database.js';
import { StoreEngine } from '../../src/store/engine.js';
import { StoreUser } from '../store/fixtures.js';
import { VirtualHost } from '../virtual-host.js';

it('registerGauges reports one state per home agent: dead only if no operator set it to down', async () => {
  const host = new VirtualHost();
  const backend = await SqliteBackend.open(':memory:');
  const store = await StoreEngine.open(backend, host);
  const user = new StoreUser(() => store);
  const metrics = new Metrics('pana_aaa', AAA_METRICS);
  const nothing = {
    conversations: () => 0,
    workers: () => 2,
    storeWorks: () => true,
    hooks: () => [],
    peers: () => [],
    revocation: () => undefined,
  };
  const credentials = () => ({ caPem: '', certificatePem: '' });
  registerGauges(metrics, { host, store, credentials, ...nothing } as MeasuredParts);
  const states = async () => {
    host.advance(60_000);
    return [...(await metrics.text()).matchAll(/home_agent_state\{home_agent="(\w+)",state="(\w+)"\} 1/g)].map(
      ([, name, state]) => `${name} ${state}`,
    );
  };
  for (const number of [1, 2, 3, 4]) await user.addAgent(number);
  await store.run('changeHomeAgent', { name: 'ha2', change: { state: 'draining' } });
  for (const name of ['ha3', 'ha4']) await store.run('probedHomeAgent', { name, alive: false, by: 'aaa1', trust: 1e9 });
  await store.run('changeHomeAgent', { name: 'ha4', change: { state: 'down' } });
  expect(await states()).toEqual(['ha1 up', 'ha2 draining', 'ha3 dead', 'ha4 down']);
  await store.close();
  await backend.close();
});
