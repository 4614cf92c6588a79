import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { PaaDaemon } from '../../src/paa/daemon.js';
import { paaSchema } from '../../src/paa/options.js';
import { systemSurroundings } from '../../src/runtime/surroundings/surroundings.js';
import { DEAF } from '../deaf-surroundings.js';
import { SimulatedProcesses } from '../simulated-hooks.js';

it('PaaDaemon runs hook start before it listens and hook stop when it ends', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pana-paa-'));
  const processes = new SimulatedProcesses();
  processes.atOnce = true;
  const options = paaSchema.parse({
    pana: { listen: ['127.0.0.1'] },
    diameter: {
      host: 'paa.access.example',
      realm: 'access.example',
      peers: [{ host: 'aaa.home.example', address: '127.0.0.1' }],
    },
    hooks: { 'state-dir': folder, ep: '/ep' },
  });
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
  const daemon = await PaaDaemon.start(options, pino({ level: 'silent' }), surroundings);
  expect(beforeListening).toEqual(['start']);
  await daemon.stop();
  expect(events()).toEqual(['start', 'stop']);
  await rm(folder, { recursive: true, force: true });
});
