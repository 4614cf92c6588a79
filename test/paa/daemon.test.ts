import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PaaDaemon } from '../../src/paa/daemon.js';
import { type PaaOptions, paaSchema } from '../../src/paa/options.js';
import type { Udp } from '../../src/runtime/net/udp.js';
import { systemSurroundings } from '../../src/runtime/surroundings/surroundings.js';
import { countedSurroundings, DEAF } from '../deaf-surroundings.js';
import { eventually } from '../eventually.js';
import { quiet } from '../quiet.js';
import { SimulatedProcesses } from '../simulated-hooks.js';
import { VirtualHost } from '../virtual-host.js';

let folder: string;
let options: PaaOptions;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-paa-'));
  options = paaSchema.parse({
    pana: { listen: ['127.0.0.1'] },
    diameter: {
      host: 'paa.access.example',
      realm: 'access.example',
      peers: [{ host: 'aaa.home.example', address: '127.0.0.1' }],
    },
    hooks: { 'state-dir': folder, ep: '/ep' },
  });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const log = pino({ level: 'silent' });

it('PaaDaemon runs hook start when it has its port, reads no datagram before, and runs hook stop when it ends', async () => {
  const processes = new SimulatedProcesses();
  processes.atOnce = true;
  const events = () => processes.calls.map(({ event }) => event);
  let receive: () => void = () => undefined;
  const udp: Udp = {
    ...DEAF.udp,
    open: (_, onDatagram) => {
      receive = () => onDatagram(Buffer.alloc(3), { address: '127.0.0.2', port: 716, local: '127.0.0.1|716' });
      receive();
      expect(events()).toEqual([]);
      return DEAF.udp.open();
    },
  };
  const surroundings = { ...systemSurroundings, ...DEAF, udp, hookProcesses: processes };
  const daemon = await PaaDaemon.start(options, log, surroundings);
  expect(events()).toEqual(['start']);
  const received = async () => JSON.stringify(((await daemon.status()) as { counters: object }).counters);
  expect(await received()).toContain('"datagrams{direction=in}":1');
  expect(await received()).not.toContain('dropped');
  receive();
  expect(await received()).toContain('"datagrams{direction=in}":2');
  expect(await received()).toContain('dropped');
  await daemon.stop();
  expect(events()).toEqual(['start', 'stop']);
});

it('PaaDaemon does not serve if hook start fails: it rejects, and leaves no timer, socket, file or retry', async () => {
  const host = new VirtualHost();
  const hookProcesses = new SimulatedProcesses();
  const counted = countedSurroundings();
  let sockets = 0;
  const open = () => {
    sockets += 1;
    return DEAF.udp.open().then((socket) => ({ ...socket, close }));
  };
  const close = () => {
    sockets -= 1;
    return Promise.resolve();
  };
  const udp = { ...DEAF.udp, open };
  const surroundings = { ...systemSurroundings, ...DEAF, ...counted, host, hookProcesses, udp };
  const starting = PaaDaemon.start(options, log, surroundings);
  await eventually(() => hookProcesses.only.end('exit status 1'));
  await eventually(() => {
    const shut = hookProcesses.running.find(({ call }) => call.event === 'close');
    if (!shut) throw new Error('close was not run');
    shut.end();
  });
  await expect(starting).rejects.toThrow('the enforcement point was not set up: /ep start failed');
  expect([host.timers, sockets, counted.open]).toEqual([0, 0, 0]);
  host.advance(120_000);
  expect(hookProcesses.calls.map(({ event }) => event)).toEqual(['start', 'close']);
});

it('PaaDaemon runs no hook and leaves nothing behind if another program has its port', async () => {
  const host = new VirtualHost();
  const hookProcesses = new SimulatedProcesses();
  hookProcesses.atOnce = true;
  const counted = countedSurroundings();
  const udp = { ...DEAF.udp, open: () => Promise.reject(new Error('EADDRINUSE')) };
  const surroundings = { ...systemSurroundings, ...DEAF, ...counted, host, hookProcesses, udp };
  const checked = { ...options, hooks: { ...options.hooks, 'ep-check-interval': 10_000 } };
  await expect(PaaDaemon.start(checked, log, surroundings)).rejects.toThrow('EADDRINUSE');
  expect([host.timers, counted.open]).toEqual([0, 0]);
  expect(hookProcesses.calls).toEqual([]);
});

it('PaaDaemon waits for hook stop, and leaves no timer, socket or file open', async () => {
  const host = new VirtualHost();
  const hookProcesses = new SimulatedProcesses();
  const counted = countedSurroundings();
  let sockets = 0;
  const open = async () => {
    sockets += 1;
    const close = () => {
      sockets -= 1;
      return Promise.resolve();
    };
    return { ...(await DEAF.udp.open()), close };
  };
  const udp = { ...DEAF.udp, open };
  const starting = PaaDaemon.start({ ...options, 'key-log': '/keys' }, log, {
    ...systemSurroundings,
    ...DEAF,
    ...counted,
    host,
    hookProcesses,
    udp,
  });
  await eventually(() => hookProcesses.only.end());
  const daemon = await starting;
  expect([host.timers > 0, sockets, counted.open]).toEqual([true, 1, 2]);
  let hasStopped = false;
  const stopping = daemon.stop().then(() => {
    hasStopped = true;
  });
  await eventually(() => expect(hookProcesses.only.call.event).toBe('stop'));
  await quiet();
  expect(hasStopped).toBe(false);
  hookProcesses.only.end();
  await stopping;
  expect([host.timers, sockets, counted.open]).toEqual([0, 0, 0]);
});

it('PaaDaemon stops its Diameter node, its sockets and its hooks when its start fails late', async () => {
  const host = new VirtualHost();
  const hookProcesses = new SimulatedProcesses();
  hookProcesses.atOnce = true;
  const counted = countedSurroundings();
  let attempts = 0;
  let aborted = 0;
  const transport = {
    ...DEAF.transport,
    connect: (_to: unknown, _host: string, signal: AbortSignal) => {
      attempts += 1;
      return new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted += 1;
          reject(new Error('aborted'));
        });
      });
    },
  };
  const starting = PaaDaemon.start({ ...options, 'key-log': '/keys' }, log, {
    ...systemSurroundings,
    ...DEAF,
    ...counted,
    host,
    hookProcesses,
    transport,
    openControl: () => Promise.reject(new Error('no control socket')),
  });
  await expect(starting).rejects.toThrow('no control socket');
  expect([host.timers, counted.open, attempts, aborted]).toEqual([0, 0, 1, 1]);
  // The enforcement point stays set up, without permits.
  expect(hookProcesses.calls.map(({ event }) => event)).toEqual(['start']);
});
