import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PacDaemon } from '../../src/pac/daemon.js';
import { pacSchema } from '../../src/pac/options.js';
import { systemPacSurroundings } from '../../src/pac/surroundings.js';
import { countedSurroundings, DEAF } from '../deaf-surroundings.js';
import { quiet } from '../quiet.js';
import { makePki } from '../runtime/eap/eap-run.js';
import { VirtualHost } from '../virtual-host.js';

let folder: string;
let tls: object;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pana-pac-'));
  const { ca, client } = await makePki('p256');
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  tls = {
    ca: await file('ca', ca.certificatePem),
    certificate: await file('certificate', client.certificatePem),
    key: await file('key', client.keyPem),
    'server-name': 'aaa.home.example',
  };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Advances time in steps and lets promises and file operations settle. */
async function settle(host: VirtualHost, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    host.advance(500);
    await quiet();
  }
}

/** Starts a PaC whose PAAs do not answer; resolves to the sockets that it opened, as `local port to address`. */
async function sockets(pana: object, milliseconds: number, hooks: object = {}): Promise<string[]> {
  const host = new VirtualHost(undefined, Date.now());
  const options = pacSchema.parse({
    pana: { 'local-address': '127.0.0.1', ...pana },
    eap: { identity: '@home.example' },
    tls,
    hooks: { 'state-dir': folder, ...hooks },
    'key-log': '/keys',
  });
  const opened: string[] = [];
  const udp = {
    ...DEAF.udp,
    connect: (to: { readonly address: string }, from: { readonly port?: number | undefined }) => {
      opened.push(`${from.port} to ${to.address}`);
      return DEAF.udp.connect();
    },
  };
  const log = pino({ level: 'silent' });
  const counted = countedSurroundings();
  const daemon = await PacDaemon.start(options, log, {
    ...{ ...systemPacSurroundings, ...DEAF, ...counted },
    ...{ udp, host },
  });
  await settle(host, milliseconds);
  // The control socket, the key log and, without a fixed local address, the network.
  expect(counted.open).toBe(options.pana['local-address'] === undefined ? 3 : 2);
  await Promise.all([daemon.stop(), settle(host, 10_000)]);
  expect([host.timers, counted.open]).toEqual([0, 0]);
  return opened;
}

describe('PacDaemon', () => {
  it.each([
    [0, 'undefined'],
    [5_000, '5000'],
  ])('sends from its local port %i', async (port, from) => {
    expect(await sockets({ paa: ['127.0.0.1'], 'local-port': port }, 500)).toEqual([`${from} to 127.0.0.1`]);
  });

  it('leaves nothing open when it has stopped, also if it watches the network', async () => {
    expect(await sockets({ paa: ['127.0.0.1'], 'local-address': undefined }, 500)).toHaveLength(1);
  });

  it('creates its state folder only if a hook is configured', async () => {
    const unusable = join(folder, 'certificate', 'state');
    const started = (hooks: object) => sockets({ paa: ['127.0.0.1'] }, 500, { 'state-dir': unusable, ...hooks });
    expect(await started({})).toHaveLength(1);
    await expect(started({ mn: '/bin/true' })).rejects.toThrow('ENOTDIR');
  });

  it.each([
    ['wlan0', []],
    ['nosuch0', ['interface missing: this host has no interface nosuch0 now; it is used when it appears']],
  ])('warns at its start about a configured interface that does not exist: %s', async (access, warnings) => {
    const logged: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void logged.push(line) });
    const host = new VirtualHost(undefined, Date.now());
    const options = pacSchema.parse({
      pana: { paa: ['127.0.0.1'], interface: access },
      eap: { identity: '@home.example' },
      tls,
      hooks: { 'state-dir': folder },
    });
    const daemon = await PacDaemon.start(options, log, {
      ...{ ...systemPacSurroundings, ...DEAF, host },
      hasInterface: (name) => name === 'wlan0',
    });
    const missing = logged.map((line) => JSON.parse(line)).filter(({ option }) => option === 'pana.interface');
    expect(missing.map(({ msg, reason }) => `${msg}: ${reason}`)).toEqual(warnings);
    await Promise.all([daemon.stop(), settle(host, 10_000)]);
  });

  it('leaves nothing open when its start fails late', async () => {
    const host = new VirtualHost(undefined, Date.now());
    const counted = countedSurroundings();
    const options = pacSchema.parse({
      pana: { paa: ['127.0.0.1'] },
      eap: { identity: '@home.example' },
      tls,
      hooks: { 'state-dir': folder },
      'key-log': '/keys',
    });
    const failing = (late: object) =>
      PacDaemon.start(options, pino({ level: 'silent' }), {
        ...{ ...systemPacSurroundings, ...DEAF, ...counted, host },
        ...late,
      });
    const refuse = () => {
      throw new Error('refused');
    };
    await expect(failing({ openControl: refuse })).rejects.toThrow('refused');
    expect([host.timers, counted.open]).toEqual([0, 0]);
    await expect(failing({ watchNetwork: refuse })).rejects.toThrow('refused');
    expect([host.timers, counted.open]).toEqual([0, 0]);
  });

  it('tries the next PAA when one does not answer within pci-limit', async () => {
    const opened = await sockets({ paa: ['127.0.0.1', '127.0.0.2'], 'pci-limit': '2s' }, 8_000);
    expect(opened).toEqual(['undefined to 127.0.0.1', 'undefined to 127.0.0.2']);
  });
});
