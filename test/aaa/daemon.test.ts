import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type AaaOptions, aaaSchema } from '../../src/aaa/config/options.js';
import { AaaDaemon } from '../../src/aaa/daemon.js';
import { type AaaSurroundings, systemAaaSurroundings } from '../../src/aaa/surroundings.js';
import type { DutyOperation } from '../../src/protocol/home/duties.js';
import { EXPIRY_INTERVAL } from '../../src/protocol/home/upkeep.js';
import { SqliteBackend } from '../../src/store/database.js';
import { DatabaseError } from '../../src/store/database-error.js';
import { StoreEngine } from '../../src/store/engine.js';
import type { OperationName } from '../../src/store/operations.js';
import type { StoreEvents, StorePort } from '../../src/store/port.js';
import { countedSurroundings, DEAF } from '../deaf-surroundings.js';
import { eventually, within } from '../eventually.js';
import { AGENT, leaseOf } from '../protocol/home/home-rig.js';
import { quiet } from '../quiet.js';
import { makePki, type TestPki } from '../runtime/eap/eap-run.js';
import { SimulatedProcesses } from '../simulated-hooks.js';
import { VirtualHost } from '../virtual-host.js';

let folder: string;
let options: AaaOptions;
let pki: TestPki;

beforeAll(async () => {
  pki = await makePki('p256');
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-aaa-'));
  const { ca, server } = pki;
  const tls = { ca: join(folder, 'ca'), certificate: join(folder, 'certificate'), key: join(folder, 'key') };
  await writeFile(tls.ca, ca.certificatePem);
  await writeFile(tls.certificate, server.certificatePem);
  await writeFile(tls.key, server.keyPem, { mode: 0o600 });
  options = aaaSchema.parse({
    store: join(folder, 'of', 'the', 'store', 'store.db'),
    workers: 0,
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
    ...systemAaaSurroundings,
    ...DEAF,
    openStore: (where) => {
      const place = dirname(where);
      found.push(existsSync(place) ? statSync(place).mode & 0o777 : undefined);
      return Promise.reject(new Error('stop here'));
    },
  });
  await expect(starting).rejects.toThrow('stop here');
  expect(found).toEqual([0o700]);
});

/** The surroundings of a server without a network, with a store in memory. */
interface Scene {
  readonly host: VirtualHost;
  readonly hookProcesses: SimulatedProcesses;
  /** The listeners that the server passes to the store when it opens the store; undefined: not opened yet. */
  events: StoreEvents | undefined;
  /** Runs an operation; a test may replace it. */
  run: (operation: OperationName, given: unknown, usual: () => Promise<unknown>) => Promise<unknown>;
  readonly surroundings: AaaSurroundings;
}

async function makeScene(): Promise<Scene> {
  const host = new VirtualHost(undefined, Date.now());
  const hookProcesses = new SimulatedProcesses();
  const backend = await SqliteBackend.open(':memory:');
  onTestFinished(() => backend.close());
  const scene: Scene = {
    host,
    hookProcesses,
    events: undefined,
    run: (_operation, _given, usual) => usual(),
    surroundings: {
      ...systemAaaSurroundings,
      ...DEAF,
      host,
      hookProcesses,
      openStore: async (_where, { events = {} }): Promise<StorePort> => {
        scene.events = events;
        const engine = await StoreEngine.open(backend, host, events);
        const run = (operation: OperationName, given: never) =>
          scene.run(operation, given, () => engine.run(operation, given));
        return {
          run: run as StorePort['run'],
          administer: (...given) => engine.administer(...given),
          classOf: (operation) => engine.classOf(operation),
          answers: () => Promise.resolve(true),
          close: () => engine.close(),
        };
      },
    },
  };
  return scene;
}

it('AaaDaemon leaves duties whose hook has not succeeded to other servers when it stops', async () => {
  const scene = await makeScene();
  const reports: DutyOperation[0][] = [];
  const lease = { ...leaseOf('s'), duty: '0a' };
  scene.run = async (operation, given, usual) => {
    if (operation !== 'duties') return usual();
    reports.push(given as DutyOperation[0]);
    return { lost: [], taken: reports.length === 1 ? [{ event: 'down', lease }] : [] };
  };
  const daemon = await AaaDaemon.start(options, log, undefined, scene.surroundings);
  scene.hookProcesses.only.end('exit status 1');
  await daemon.stop();
  expect(reports.at(-1)).toMatchObject({
    leaving: true,
    held: [],
    ended: [{ mark: '0a', over: false, notified: { event: 'down' } }],
  });
});

it('AaaDaemon starts no maintenance of the store while it waits for hooks at its end', async () => {
  const scene = await makeScene();
  const operations: OperationName[] = [];
  const lease = { ...leaseOf('s'), duty: '0a' };
  scene.run = async (operation, _given, usual) => {
    operations.push(operation);
    if (operation !== 'duties') return usual();
    return { lost: [], taken: operations.includes('expire') ? [] : [{ event: 'down', lease }] };
  };
  const daemon = await AaaDaemon.start(options, log, undefined, scene.surroundings);
  scene.host.advance(EXPIRY_INTERVAL);
  await quiet();
  expect(operations).toContain('expire');
  const stopping = daemon.stop();
  operations.length = 0;
  expect(scene.hookProcesses.only.call.event).toBe('down');
  scene.host.advance(EXPIRY_INTERVAL);
  await quiet();
  scene.hookProcesses.only.end();
  await stopping;
  expect(operations).not.toContain('expire');
});

it('AaaDaemon finishes with exit status 1 when the thread of its store ends', async () => {
  const scene = await makeScene();
  const daemon = await AaaDaemon.start(options, log, undefined, scene.surroundings);
  scene.events?.ended?.('out of memory');
  expect(await within(daemon.finished, 'the daemon finishes')).toBe(1);
  await daemon.stop();
});

it('AaaDaemon probes the home agents from its start if it has a probe hook', async () => {
  const scene = await makeScene();
  scene.run = (operation, _given, usual) => (operation === 'listHomeAgents' ? Promise.resolve([AGENT]) : usual());
  scene.hookProcesses.atOnce = true;
  const hooks = { ...options.hooks, probe: '/probe' };
  const daemon = await AaaDaemon.start({ ...options, hooks }, log, undefined, scene.surroundings);
  const { calls } = scene.hookProcesses;
  await eventually(() => expect(calls).toMatchObject([{ program: '/probe', event: 'probe' }]));
  await daemon.stop();
});

it('AaaDaemon repeats failed operations of the store until it stops', async () => {
  const scene = await makeScene();
  let calls = 0;
  scene.run = () => {
    calls += 1;
    return Promise.reject(new DatabaseError('ERR_STORE_DOWN', 'gone'));
  };
  const callsIn = async (milliseconds: number) => {
    const before = calls;
    for (let passed = 0; passed < milliseconds; passed += 1_000) {
      scene.host.advance(1_000);
      await quiet();
    }
    return calls - before;
  };
  const daemon = await AaaDaemon.start(options, log, undefined, scene.surroundings);
  expect(await callsIn(30_000)).toBeGreaterThan(2);
  await Promise.all([daemon.stop(), callsIn(30_000)]);
  expect(await callsIn(60_000)).toBe(0);
});

describe('AaaDaemon leaves no timer and no control socket', () => {
  it('when it has stopped', async () => {
    const { host, hookProcesses, surroundings } = await makeScene();
    hookProcesses.atOnce = true;
    const counted = countedSurroundings();
    const hooks = { ...options.hooks, probe: '/probe' };
    const daemon = await AaaDaemon.start({ ...options, hooks }, log, undefined, { ...surroundings, ...counted });
    expect([host.timers > 0, counted.open]).toEqual([true, 1]);
    await daemon.stop();
    expect([host.timers, counted.open]).toEqual([0, 0]);
  });

  it('when it cannot start', async () => {
    const { host, surroundings } = await makeScene();
    const openControl = () => Promise.reject(new Error('no control socket'));
    const starting = AaaDaemon.start(options, log, undefined, { ...surroundings, openControl });
    await expect(starting).rejects.toThrow('no control socket');
    expect(host.timers).toBe(0);
  });

  it('and no hook, and hands its duties to other servers, when it cannot start', async () => {
    const scene = await makeScene();
    const reports: DutyOperation[0][] = [];
    scene.run = async (operation, given, usual) => {
      if (operation !== 'duties') return usual();
      reports.push(given as DutyOperation[0]);
      return {
        lost: [],
        taken: reports.length === 1 ? [{ event: 'down', lease: { ...leaseOf('s'), duty: '0a' } }] : [],
      };
    };
    const openControl = async () => {
      await eventually(() => expect(scene.hookProcesses.only.call.event).toBe('down'));
      throw new Error('no control socket');
    };
    const starting = AaaDaemon.start(options, log, undefined, { ...scene.surroundings, openControl });
    let hasFailed = false;
    const failed = expect(starting)
      .rejects.toThrow('no control socket')
      .then(() => {
        hasFailed = true;
      });
    await eventually(() => expect(scene.hookProcesses.only.call.event).toBe('down'));
    await quiet();
    expect(hasFailed).toBe(false);
    scene.hookProcesses.only.end();
    await failed;
    expect(reports.at(-1)).toMatchObject({ leaving: true });
    expect(scene.host.timers).toBe(0);
  });
});
