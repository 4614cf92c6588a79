import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PaaDaemon } from '../../src/paa/daemon.js';
import { type PaaOptions, paaSchema } from '../../src/paa/options.js';
import { systemSurroundings } from '../../src/runtime/surroundings/surroundings.js';
import { DEAF } from '../deaf-surroundings.js';
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

it('PaaDaemon runs hook start before it listens and hook stop when it ends', async () => {
  const processes = new SimulatedProcesses();
  processes.atOnce = true;
  const events = () => processes.calls.map(({ event }) => event);
  let beforeListening: string[] = [];
  const udp = {
    ...DEAF.udp,
    open: () => {
      beforeListening = events();
      return DEAF.udp.open();
    },
  };
  const surroundings = { ...systemSurroundings, ...DEAF, udp, hookProcesses: processes };
  const daemon = await PaaDaemon.start(options, log, surroundings);
  expect(beforeListening).toEqual(['start']);
  await daemon.stop();
  expect(events()).toEqual(['start', 'stop']);
});

it('PaaDaemon leaves no timer and no open socket when it has stopped', async () => {
  const host = new VirtualHost();
  const hookProcesses = new SimulatedProcesses();
  hookProcesses.atOnce = true;
  let sockets = 0;
  const open = async () => {
    sockets += 1;
    const close = () => {
      sockets -= 1;
      return Promise.resolve();
    };
    return { ...(await DEAF.udp.open()), close };
  };
  const surroundings = { ...systemSurroundings, ...DEAF, host, hookProcesses, udp: { ...DEAF.udp, open } };
  const daemon = await PaaDaemon.start(options, log, surroundings);
  expect([host.timers > 0, sockets]).toEqual([true, 1]);
  await daemon.stop();
  expect([host.timers, sockets]).toEqual([0, 0]);
});
