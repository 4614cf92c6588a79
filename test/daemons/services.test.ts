import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { hookPath, Lab } from '../../dist/lab/lab.js';
import type { LogLine } from '../../src/runtime/cli/ladder.js';
import { hasProgram } from '../scripts/hook-rig.js';
import { announce } from '../system/access-network.js';
import { readAssociation, register, registrationRequest } from './mip4-client.js';
import { radiusNetwork } from './radius-network.js';

const MN = 'mn1@home.example';
const HOOK = { hooks: { services: hookPath('services-files.sh') } };
const HA4 = { name: 'ha4', service: 'mip4', address: '192.0.2.1', pool: '192.0.2.0/24', capacity: 10 };
const RVS = { name: 'rvs', service: 'hip', address: '2001:db8:5::1', hit: '2001:20::5', capacity: 10 };
const hasPython = announce('Mobile IPv4', hasProgram('python3') ? undefined : 'it needs python3');

let lab: Lab | undefined;
let homeAgent: ChildProcess | undefined;

afterEach(async () => {
  homeAgent?.stdin?.end();
  if (homeAgent && homeAgent.exitCode === null) await once(homeAgent, 'exit');
  const statuses = await lab?.close();
  [lab, homeAgent] = [undefined, undefined];
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

interface Network {
  readonly lab: Lab;
  readonly aaa: DaemonProcess;
  readonly paa: DaemonProcess;
}

async function network(kind: 'diameter' | 'radius' = 'diameter', paaTree: object = {}): Promise<Network> {
  lab = await Lab.make({ family: 'ipv6', aaa: HOOK });
  if (kind === 'radius') return { ...(await radiusNetwork(lab, { paa: { ...paaTree } })), lab };
  const { daemon: aaa, place } = await lab.startAaa();
  const { daemon: paa } = await lab.startPaa(place, 'paa', { ...paaTree });
  return { lab, aaa, paa };
}

async function servers(at: Lab): Promise<void> {
  for (const server of [HA4, RVS]) await at.administer('aaa', 'addServiceServer', { server });
}

const node = (services: readonly string[], more: object = {}) => ({ mobility: { services, ...more }, ...HOOK });

/** What the hook of a host keeps. */
async function kept(at: Lab, host: string, name: string) {
  return readAssociation(await readFile(at.path('hooks', host, 'services', name), 'utf8'));
}

const isDone = (service: string, wanted: string) => (line: LogLine) =>
  line['event'] === wanted && String(line['subject']).includes(service);

/** Starts the foreign home agent. Resolves with its port. */
async function startHomeAgent(at: Lab): Promise<number> {
  const script = fileURLToPath(new URL('mip4-home-agent.py', import.meta.url));
  homeAgent = spawn('python3', [script, at.path('hooks', 'aaa', 'services')], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (!homeAgent.stdout) throw new Error('no output');
  const [line] = (await once(createInterface(homeAgent.stdout), 'line')) as [string];
  return Number(line.split(' ')[1]);
}

describe.each(['diameter', 'radius'] as const)('Mobile IPv4 and HIP over %s', (kind) => {
  it('are assigned beside Mobile IPv6, with the same keys at both ends, and end with the session', async () => {
    const { lab: at, aaa, paa } = await network(kind);
    await servers(at);
    await at.addSubscriber(MN, 'mn1', { services: 'mip4,hip' });
    const pac = await at.startPac('mn1', node(['mip4', 'hip']));
    await pac.line('bootstrap completed');
    const mip4 = await pac.line('service assigned', ({ service }) => service === 'mip4');
    const hip = await pac.line('service assigned', ({ service }) => service === 'hip');
    expect(mip4).toMatchObject({ mip4HomeAgent: '192.0.2.1', mip4PrefixLength: 24 });
    expect(mip4['mip4HomeAddress']).toMatch(/^192\.0\.2\./);
    expect(hip).toMatchObject({ hipRvsHit: '2001:20::5', hipRvsAddress: '2001:db8:5::1' });
    for (const service of ['mip4', 'hip']) {
      await pac.line('hook done', isDone(service, 'up'));
      await aaa.line('hook done', isDone(service, 'up'));
    }
    const { node: own, ...ofServer } = await kept(at, 'aaa', `mip4-${MN}`);
    const { 'care-of-address': careOf, ...ofNode } = await kept(at, 'mn1', 'mip4-own');
    expect([own, careOf]).toEqual([MN, '::1']);
    expect(ofNode).toEqual(ofServer);
    expect(ofNode['key']).toMatch(/^0x[0-9a-f]{32}$/);
    expect(Number(ofNode['spi'])).toBeGreaterThanOrEqual(256);
    const token = (await kept(at, 'mn1', 'hip-own'))['token'];
    expect(token).toMatch(/^0x[0-9a-f]{64}$/);
    expect((await kept(at, 'aaa', `hip-${MN}`))['token']).toBe(token);
    expect((await stat(at.path('hooks', 'mn1', 'services', 'mip4-own'))).mode & 0o777).toBe(0o600);
    // No key is in a log.
    const logs = JSON.stringify([pac.lines, aaa.lines, paa.lines]);
    for (const secret of [ofNode['key'], token]) expect(logs).not.toContain(secret?.slice(2));

    if (hasPython) {
      const port = await startHomeAgent(at);
      const association = await kept(at, 'mn1', 'mip4-own');
      const request = registrationRequest(association);
      expect(await register(port, request, association)).toEqual({ code: 0, authentic: true });
      // 131: the mobile node failed authentication (RFC 5944 3.4).
      const changed = Buffer.from(request);
      changed[15] = 2;
      expect((await register(port, changed, association)).code).toBe(131);
      const other = { ...association, key: `0x${'00'.repeat(16)}` };
      expect((await register(port, registrationRequest(other), other)).code).toBe(131);
    }

    expect(await pac.stop()).toBe(0);
    for (const service of ['mip4', 'hip']) {
      await pac.line('hook done', isDone(service, 'down'));
      await aaa.line('hook done', isDone(service, 'down'));
    }
    for (const path of [`aaa/services/mip4-${MN}`, 'mn1/services/mip4-own', `aaa/services/hip-${MN}`]) {
      await expect(access(at.path('hooks', ...path.split('/')))).rejects.toThrow('ENOENT');
    }
    expect(await at.administer('aaa', 'listServiceLeases', {})).toEqual([]);
    expect(await at.administer('aaa', 'listServiceServers', {})).toMatchObject([{ leases: 0 }, { leases: 0 }]);
  });
});

describe('Services', () => {
  it('are renewed with a new key and SPI by a re-authentication', async () => {
    const { lab: at, aaa } = await network();
    await servers(at);
    await at.addSubscriber(MN, 'mn1', { services: 'mip4' });
    const pac = await at.startPac('mn1', node(['mip4'], { mode: 'off' }));
    const before = await pac.line('service assigned');
    await pac.line('hook done', isDone('mip4', 'up'));
    await at.administer('aaa', 'changeSubscriber', { nai: MN, change: { sessionLifetime: 1800 } });
    await at.administer('aaa', 'changeSubscriber', { nai: MN, change: { mip6: false } });
    const renewed = await pac.line('service renewed');
    expect(renewed['mip4HomeAddress']).toBe(before['mip4HomeAddress']);
    expect(renewed['mip4Spi']).not.toBe(before['mip4Spi']);
    await pac.line('hook done', isDone('mip4', 'refresh'));
    await aaa.line('hook done', isDone('mip4', 'refresh'));
    const { key } = await kept(at, 'mn1', 'mip4-own');
    expect((await kept(at, 'aaa', `mip4-${MN}`))['key']).toBe(key);
    // Without Mobile IPv6 there is no home agent of it.
    expect(pac.lines.some(({ msg }) => msg === 'bootstrap completed')).toBe(false);

    await at.administer('aaa', 'changeSubscriber', { nai: MN, change: { services: 'none' } });
    expect(await aaa.line('service unavailable')).toMatchObject({ service: 'mip4', reason: 'not-granted' });
    await pac.line('service withdrawn');
    await aaa.line('hook done', isDone('mip4', 'down'));
  });

  it('have the root psk-root: emsk, which the access network does not have', async () => {
    const { lab: at, aaa } = await network();
    await servers(at);
    await at.addSubscriber(MN, 'mn1', { services: 'mip4' });
    const pac = await at.startPac('mn1', node(['mip4'], { 'psk-root': 'emsk' }));
    await pac.line('hook done', isDone('mip4', 'up'));
    await aaa.line('hook done', isDone('mip4', 'up'));
    const { key } = await kept(at, 'mn1', 'mip4-own');
    expect((await kept(at, 'aaa', `mip4-${MN}`))['key']).toBe(key);
  });

  it('are not given if the subscriber may not have them, there is no server, or its pool is full', async () => {
    const { lab: at, aaa } = await network();
    const small = { ...HA4, pool: '192.0.2.0/30' };
    await at.administer('aaa', 'addServiceServer', { server: small });
    await at.addSubscriber(MN, 'mn1', { services: 'mip4' });
    await at.addSubscriber('mn2@home.example', 'mn2', { services: 'mip4,hip' });
    const first = await at.startPac('mn1', node(['mip4', 'hip']));
    expect(await first.line('service assigned')).toMatchObject({ mip4HomeAddress: '192.0.2.2' });
    expect(await first.line('service unavailable')).toMatchObject({ service: 'hip', reason: 'none was assigned' });
    const second = await at.startPac('mn2', node(['mip4', 'hip']));
    await second.line('bootstrap completed');
    const reasons = ['not-granted', 'pool-full', 'no-server'];
    const found = await Promise.all(
      reasons.map((reason) => aaa.line('service unavailable', (line) => line['reason'] === reason)),
    );
    expect(found.map(({ nai, service }) => `${nai} ${service}`)).toEqual([
      `${MN} hip`,
      'mn2@home.example mip4',
      'mn2@home.example hip',
    ]);
  });

  it('are not asked for at a PAA that does not offer them', async () => {
    const { lab: at, aaa } = await network('diameter', { mobility: { services: false } });
    await servers(at);
    await at.addSubscriber(MN, 'mn1', { services: 'mip4,hip' });
    const pac = await at.startPac('mn1', node(['mip4']));
    await pac.line('bootstrap completed');
    expect(await pac.line('service unavailable')).toMatchObject({ reason: 'none was assigned' });
    expect(aaa.lines.some(({ msg }) => String(msg).startsWith('service'))).toBe(false);
  });
});
