import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AaaOptions, aaaSchema } from '../../src/aaa/config/options.js';
import { AaaDaemon } from '../../src/aaa/daemon.js';
import { systemAaaSurroundings } from '../../src/aaa/surroundings.js';
import type { DutyOperation } from '../../src/protocol/home/duties.js';
import { SqliteBackend } from '../../src/store/database.js';
import { StoreEngine } from '../../src/store/engine.js';
import type { StorePort } from '../../src/store/port.js';
import { DEAF } from '../deaf-surroundings.js';
import { leaseOf } from '../protocol/home/home-rig.js';
import { makePki } from '../runtime/eap/eap-run.js';
import { SimulatedProcesses } from '../simulated-hooks.js';
import { VirtualHost } from '../virtual-host.js';

let folder: string;
let options: AaaOptions;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-aaa-'));
  const { ca, server } = await makePki('p256');
  const tls = { ca: join(folder, 'ca'), certificate: join(folder, 'certificate'), key: join(folder, 'key') };
  await writeFile(tls.ca, ca.certificatePem);
  await writeFile(tls.certificate, server.certificatePem);
  await writeFile(tls.key, server.keyPem, { mode: 0o600 });
  options = aaaSchema.parse({
    store: join(folder, 'of', 'the', 'store', 'store.db'),
    diameter: { host: 'aaa.home.example', realm: 'home.example', peers: [] },
    tls,
    hooks: { 'state-dir': join(folder, 'state'), ha: '/ha' },
  });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const log = pino({ level: 'silent' });

it('AaaDaemon creates the folder of its store with mode 0700 before it opens the store', async () => {
  const found: (number | undefined)[] = [];
  const starting = AaaDaemon.start(options, log, undefined, {
    ...{ ...systemAaaSurroundings, ...DEAF },
    openStore: (where) => {
      const place = dirname(where);
      found.push(existsSync(place) ? statSync(place).mode & 0o777 : undefined);
      return Promise.reject(new Error('stop here'));
    },
  });
  await expect(starting).rejects.toThrow('stop here');
  expect(found).toEqual([0o700]);
});

it('AaaDaemon leaves duties whose hook has not succeeded to other servers when it stops', async () => {
  const host = new VirtualHost(undefined, Date.now());
  const hookProcesses = new SimulatedProcesses();
  const backend = await SqliteBackend.open(':memory:');
  const reports: DutyOperation[0][] = [];
  const lease = { ...leaseOf('s'), duty: '0a' };
  const daemon = await AaaDaemon.start(options, log, undefined, {
    ...{ ...systemAaaSurroundings, ...DEAF, host, hookProcesses },
    openStore: async (_where, { events }): Promise<StorePort> => {
      const engine = await StoreEngine.open(backend, host, events);
      const run = async (operation: never, given: never) => {
        if (operation !== 'duties') return engine.run(operation, given);
        reports.push(given);
        return { lost: [], taken: reports.length === 1 ? [{ event: 'down', lease }] : [] };
      };
      return {
        run: run as StorePort['run'],
        administer: (...given) => engine.administer(...given),
        answers: () => Promise.resolve(true),
        close: () => engine.close(),
      };
    },
  });
  hookProcesses.only.end('exit status 1');
  await daemon.stop();
  await backend.close();
  expect(reports.at(-1)).toMatchObject({
    ...{ leaving: true, held: [] },
    ended: [{ mark: '0a', over: false, notified: { event: 'down' } }],
  });
});
