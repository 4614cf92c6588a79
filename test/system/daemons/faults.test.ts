import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Lab, type Place, REALM } from '../../../dist/lab/lab.js';
import { aaaSchema } from '../../../src/aaa/config/options.js';
import { AaaDaemon } from '../../../src/aaa/daemon.js';
import { systemAaaSurroundings } from '../../../src/aaa/surroundings.js';
import { PaaDaemon } from '../../../src/paa/daemon.js';
import { paaSchema } from '../../../src/paa/options.js';
import { PacDaemon } from '../../../src/pac/daemon.js';
import { pacSchema } from '../../../src/pac/options.js';
import { Peer } from '../../../src/protocol/diameter/peer/peer.js';
import { Grammarian } from '../../../src/protocol/diameter/wire/grammar.js';
import { Access } from '../../../src/protocol/nas/access.js';
import { Paa } from '../../../src/protocol/pana/agent/paa.js';
import { PaaSession } from '../../../src/protocol/pana/session/paa-session.js';
import { PacSession } from '../../../src/protocol/pana/session/pac.js';
import { encodePana } from '../../../src/protocol/pana/wire/codec.js';
import { loadOptions } from '../../../src/runtime/config/options.js';
import { EapPeer } from '../../../src/runtime/eap/peer.js';
import { TlsServerHandshake } from '../../../src/runtime/eap/tls-server.js';
import { HookRunner } from '../../../src/runtime/hooks/runner.js';
import type { LogEvent } from '../../../src/runtime/log/events.js';
import { callDaemon } from '../../../src/runtime/service/control.js';
import { systemSurroundings } from '../../../src/runtime/surroundings/surroundings.js';
import { eventually } from '../../eventually.js';
import { openStore } from '../../store/open-store.js';

/**
 * Runs all three daemons in this process, so that tests can make their parts throw. Each test breaks one entry point
 * and shows that the fault is counted, that the daemon continues, and that a node gets a session once the part works
 * again.
 */
interface Line {
  readonly msg: LogEvent;
  readonly [field: string]: unknown;
}

const lines: Line[] = [];
const waiting = new Set<(line: Line) => void>();
const log = pino(
  { level: 'info' },
  {
    write: (text: string) => {
      const line = JSON.parse(text) as Line;
      lines.push(line);
      for (const tell of waiting) tell(line);
    },
  },
);

/** Resolves with the first matching log line of any daemon since the last node was started. */
function lineOf(msg: LogEvent, more: Readonly<Record<string, unknown>> = {}): Promise<Line> {
  const fits = (line: Line) => line.msg === msg && Object.entries(more).every(([key, value]) => line[key] === value);
  const there = lines.find(fits);
  if (there) return Promise.resolve(there);
  return new Promise((resolve) => {
    const tell = (line: Line) => {
      if (!fits(line)) return;
      waiting.delete(tell);
      resolve(line);
    };
    waiting.add(tell);
  });
}

let lab: Lab;
let aaa: AaaDaemon;
let paa: PaaDaemon;
let pac: PacDaemon | undefined;
let place: Place;
let pacFile: string;

async function options<S extends Parameters<typeof loadOptions>[0]>(schema: S, prefix: string, file: string) {
  return loadOptions(schema, { flags: {}, environment: {}, prefix, file });
}

beforeAll(async () => {
  lab = await Lab.make({ hooks: false });
  const hook = lab.path('hook.sh');
  await writeFile(hook, '#!/bin/sh\ncat >/dev/null\necho "$1"\n');
  await chmod(hook, 0o755);
  const aaaFile = await lab.configure('aaa', {
    control: { socket: lab.socket('aaa') },
    store: lab.path('aaa.db'),
    workers: 0,
    diameter: {
      host: `aaa.${REALM}`,
      realm: REALM,
      listen: [lab.address],
      port: 0,
      watchdog: '6s',
      peers: [{ host: 'paa.access.example' }],
    },
    tls: {
      ca: lab.path('pki', 'ca.pem'),
      certificate: lab.path('pki', 'aaa.pem'),
      key: lab.path('pki', 'aaa-key.pem'),
    },
    hooks: { 'state-dir': lab.path('aaa-state') },
  });
  const surroundings = { ...systemAaaSurroundings, openStore };
  aaa = await AaaDaemon.start(await options(aaaSchema, 'PANA_AAA', aaaFile), log, undefined, surroundings);
  const [at] = (await lineOf('ready'))['listening'] as Place[];
  if (!at) throw new Error('the AAA server has no listening address');
  lines.length = 0;
  const paaFile = await lab.configure('paa', {
    control: { socket: lab.socket('paa') },
    pana: { listen: [lab.address], port: 0, interface: 'lo' },
    diameter: {
      host: 'paa.access.example',
      realm: 'access.example',
      reconnect: '1s',
      peers: [{ host: `aaa.${REALM}`, address: at.address, port: at.port }],
    },
    hooks: { 'state-dir': lab.path('paa-state'), ep: hook },
  });
  paa = await PaaDaemon.start(await options(paaSchema, 'PANA_PAA', paaFile), log);
  await lineOf('peer connected', { product: 'pana-aaa' });
  const [there] = (await lineOf('ready'))['listening'] as Place[];
  if (!there) throw new Error('the PAA has no listening address');
  place = there;
  await lab.administer('aaa', 'addHomeAgent', {
    agent: {
      name: 'ha1',
      address: '2001:db8:1::1',
      host: `ha1.${REALM}`,
      prefix: '2001:db8:1::/64',
      capacity: 10,
      weight: 1,
      ike: ['ikev1', 'ikev2'],
    },
  });
  await lab.addSubscriber('mn1@home.example', 'mn1');
  pacFile = await lab.configure('mn1', {
    control: { socket: lab.socket('mn1') },
    pana: { paa: [place.address], port: place.port, interface: 'lo' },
    eap: { identity: `@${REALM}` },
    tls: {
      ca: lab.path('pki', 'ca.pem'),
      certificate: lab.path('pki', 'mn1.pem'),
      key: lab.path('pki', 'mn1-key.pem'),
      'server-name': REALM,
    },
    retry: { first: '100ms', longest: '200ms' },
    hooks: { 'state-dir': lab.path('mn1-state'), mn: hook },
  });
});

afterAll(async () => {
  await paa.stop();
  await aaa.stop();
  await lab.close();
});

afterEach(async () => {
  for (const repair of repairs.splice(0)) repair();
  vi.restoreAllMocks();
  await pac?.stop();
  pac = undefined;
});

const repairs: (() => void)[] = [];

/** Makes a method throw until it is restored. */
function breakPart(of: object, name: string, when: (...given: never[]) => boolean = () => true) {
  const parts = of as Record<string, (...given: unknown[]) => unknown>;
  const original = parts[name];
  if (!original) throw new Error(`no method ${name}`);
  let hits = 0;
  parts[name] = function broken(this: unknown, ...given: unknown[]) {
    if (!when(...(given as never[]))) return original.apply(this, given);
    hits += 1;
    throw new TypeError(`${name} is broken`);
  };
  const repair = () => {
    parts[name] = original;
  };
  repairs.push(repair);
  return { repair, hits: () => hits };
}

async function faultsOf(name: string, where: string): Promise<number> {
  const text = String(await callDaemon(lab.socket(name), 'GET', '/metrics'));
  return Number(new RegExp(`_faults_total\\{where="${where}"\\} (\\d+)`).exec(text)?.[1] ?? Number.NaN);
}

async function startPac(): Promise<PacDaemon> {
  lines.length = 0;
  pac = await PacDaemon.start(await options(pacSchema, 'PANA_PAC', pacFile), log);
  return pac;
}

/** Asserts that a correct node gets a session. */
async function expectSession(): Promise<void> {
  if (!pac) await startPac();
  await lineOf('session authorized', { address: place.address });
}

describe('A fault', () => {
  it('at a datagram is counted and logged, and the next datagram is served', async () => {
    const before = await faultsOf('paa', 'datagram');
    const part = breakPart(Paa.prototype, 'handle', (input: { type: string }) => input.type === 'datagram');
    const socket = createSocket('udp6');
    const pci = encodePana({ type: 1, flags: 0, sessionId: 0, sequence: 0, avps: [] });
    socket.send(pci, place.port, place.address);
    await eventually(() => expect(part.hits()).toBe(1));
    part.repair();
    const answer = once(socket, 'message');
    socket.send(pci, place.port, place.address);
    await answer;
    socket.close();
    expect(await faultsOf('paa', 'datagram')).toBe(before + 1);
    expect(await lineOf('fault contained', { where: 'datagram' })).toMatchObject({ reason: 'handle is broken' });
    await expectSession();
  });

  it('in the machine of a session ends that session', async () => {
    await expectSession();
    const sessions = async () => (await callDaemon(lab.socket('paa'), 'GET', '/sessions')) as { session: string }[];
    const [first] = await sessions();
    const part = breakPart(PaaSession.prototype, 'handle', (input: { type: string }) => input.type === 'ping');
    await callDaemon(lab.socket('paa'), 'POST', '/session/ping', { session: first?.session });
    part.repair();
    expect(part.hits()).toBe(1);
    await lineOf('session ended', { reason: 'fault', session: first?.session });
    expect((await sessions()).some(({ session }) => session === first?.session)).toBe(false);
  });

  it('at an answer of the AAA server ends the session', async () => {
    const before = await faultsOf('paa', 'diameter');
    const part = breakPart(Access.prototype, 'handle', (input: { type: string }) => input.type === 'answer');
    await startPac();
    await lineOf('session ended', { reason: 'fault' });
    part.repair();
    expect(await faultsOf('paa', 'diameter')).toBeGreaterThan(before);
    // If it were not stopped, this PaC would wait a minute before its next attempt.
    await pac?.stop();
    await startPac();
    await expectSession();
  });

  it('at a Diameter message ends the connection, which is established again', async () => {
    const before = await faultsOf('aaa', 'diameter');
    const part = breakPart(
      Peer.prototype,
      'handle',
      (input: { type: string; message?: { commandCode: number; flags: number } }) =>
        input.type === 'message' && input.message?.commandCode === 268 && (input.message.flags & 0x80) !== 0,
    );
    await startPac();
    await eventually(() => expect(part.hits()).toBeGreaterThan(0));
    part.repair();
    expect(await faultsOf('aaa', 'diameter')).toBeGreaterThan(before);
    await lineOf('peer disconnected');
    await expectSession();
  });

  it('at a Diameter request is answered with an error', async () => {
    const before = await faultsOf('aaa', 'diameter');
    const ofDer = (spec: { code: number; request: boolean }) => spec.code === 268 && spec.request;
    const part = breakPart(Grammarian.prototype, 'read', ofDer);
    await startPac();
    await lineOf('AAA server not responding');
    part.repair();
    expect(await faultsOf('aaa', 'diameter')).toBeGreaterThan(before);
    await expectSession();
  });

  it("in an event of the server's TLS engine ends the conversation", async () => {
    const before = await faultsOf('aaa', 'tls');
    const part = breakPart(TlsServerHandshake.prototype, 'secured');
    await startPac();
    await eventually(() => expect(part.hits()).toBeGreaterThan(0));
    await lineOf('session refused');
    part.repair();
    expect(await faultsOf('aaa', 'tls')).toBeGreaterThan(before);
    await expectSession();
  });

  it('at an EAP packet ends the session of the node, which tries again', async () => {
    const part = breakPart(EapPeer.prototype, 'receive');
    await startPac();
    await eventually(() => expect(part.hits()).toBeGreaterThan(0));
    await lineOf('session refused', { reason: 'fault' });
    part.repair();
    expect(await faultsOf('mn1', 'datagram')).toBeGreaterThan(0);
    await expectSession();
  });

  it('in the machine of the PaC ends its session, and the node tries again', async () => {
    const part = breakPart(PacSession.prototype, 'handle', (input: { type: string }) => input.type === 'datagram');
    await startPac();
    await eventually(() => expect(part.hits()).toBeGreaterThan(1));
    part.repair();
    expect(await faultsOf('mn1', 'datagram')).toBeGreaterThan(1);
    await expectSession();
  });

  it.each(['aaa', 'paa', 'mn1'] as const)('at a control request of %s is reported to the caller', async (name) => {
    await expectSession();
    const daemon = { aaa, paa, mn1: pac as PacDaemon }[name];
    const before = await faultsOf(name, 'control');
    const spy = vi.spyOn(daemon, 'status').mockImplementation(() => Promise.reject(new TypeError('status is broken')));
    await expect(callDaemon(lab.socket(name), 'GET', '/status')).rejects.toThrow('status is broken');
    // A value without a JSON form is reported too.
    spy.mockImplementation(() => Promise.resolve({ big: 5n }));
    await expect(callDaemon(lab.socket(name), 'GET', '/status')).rejects.toThrow('BigInt');
    spy.mockRestore();
    expect(await faultsOf(name, 'control')).toBe(before + 2);
    await callDaemon(lab.socket(name), 'GET', '/status');
  });

  it('in the log of a hook has no effect on the hook', async () => {
    const part = breakPart(log, 'info', (_fields: object, text: string) => text?.startsWith('hook '));
    await expectSession();
    await eventually(() => expect(part.hits()).toBeGreaterThan(3));
    part.repair();
    expect(await faultsOf('paa', 'hook')).toBeGreaterThan(0);
    expect(await faultsOf('mn1', 'hook')).toBeGreaterThan(0);
  });

  it('in the variables of a hook ends that job, and the next one runs', async () => {
    const runner = new HookRunner({
      stateDir: lab.path('runner'),
      timeout: 5_000,
      maxParallel: 1,
      onEvent: () => undefined,
      guard: paa.barrier,
      ...systemSurroundings,
      processes: systemSurroundings.hookProcesses,
    });
    const job = { program: lab.path('hook.sh'), role: 'ep', event: 'permit', subject: 'a' } as const;
    const variables = () => {
      throw new TypeError('no values');
    };
    const both = [runner.run({ ...job, variables }), runner.run({ ...job, variables: { session: '1' } })];
    expect(await Promise.all(both)).toMatchObject([{ ok: false }, { ok: true }]);
    await runner.stop(1_000);
  });

  it('in a timer is counted, and nodes still get sessions', async () => {
    const before = await faultsOf('aaa', 'timer');
    const part = breakPart(Peer.prototype, 'handle', (input: { type: string }) => input.type === 'tick');
    // The watchdog interval is 6 s.
    await eventually(() => expect(part.hits()).toBeGreaterThan(0));
    part.repair();
    const timers = (await faultsOf('aaa', 'timer')) + (await faultsOf('paa', 'timer'));
    expect(timers).toBeGreaterThan(before);
    await expectSession();
  });
});
