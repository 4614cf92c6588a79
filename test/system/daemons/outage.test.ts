import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import { BenchNode } from '../../../src/load/node.js';
import { callDaemon } from '../../../src/runtime/service/control.js';
import { credentialsOf, type GrantedAddress, leaseViolations } from '../../daemons/load.js';
import { Postgres, withoutPostgres } from '../../postgres.js';

let lab: Lab | undefined;
let postgres: Postgres | undefined;
let full: string | undefined;

afterEach(async () => {
  await lab?.close();
  await postgres?.stop();
  if (full !== undefined) execFileSync('umount', [full]);
  lab = undefined;
  postgres = undefined;
  full = undefined;
});

interface Scene {
  readonly made: Lab;
  readonly aaa: DaemonProcess;
  readonly place: Place;
}

async function scene(store: string): Promise<Scene> {
  const made = await Lab.make({
    hooks: false,
    logLevel: 'info',
    aaa: { store },
    paa: { diameter: { 'request-timeout': '20s' }, pana: { limits: { 'pci-per-address': 1000 } } },
  });
  lab = made;
  const { daemon: aaa, place: at } = await made.startAaa();
  const { place } = await made.startPaa(at);
  return { made, aaa, place };
}

/** Bootstraps a node once; resolves to its home address or the reason why it has none. */
async function visit({ made, place }: Scene, name: string, granted: GrantedAddress[]): Promise<string> {
  const node = new BenchNode(place, await credentialsOf(made, name));
  try {
    await node.bootstrap();
  } catch (error) {
    await node.abandon();
    return (error as Error).message;
  }
  const homeAddress = node.homeAddress ?? '';
  granted.push({ nai: `${name}@home.example`, homeAddress, at: Date.now() });
  await node.terminate();
  return homeAddress;
}

const NO_MOBILITY = 'a node got no home address';

async function metric(made: Lab, pattern: RegExp): Promise<number> {
  return Number(pattern.exec(String(await callDaemon(made.socket('aaa'), 'GET', '/metrics')))?.[1] ?? 0);
}

describe.skipIf(withoutPostgres !== undefined)('PostgreSQL', () => {
  it.each([
    { what: 'that dies', lose: (server: Postgres) => server.kill(), back: (server: Postgres) => server.begin() },
    { what: 'that hangs', lose: (server: Postgres) => server.freeze(), back: (server: Postgres) => server.thaw() },
  ])(
    '$what leaves known nodes access without Mobile IPv6, and is used again when it is back',
    { timeout: 120_000 },
    async ({ lose, back }) => {
      postgres = await Postgres.start();
      const here = await scene(await postgres.database());
      const { made, aaa } = here;
      const granted: GrantedAddress[] = [];
      await made.addSubscriber('mn1@home.example', 'mn1');
      await made.addSubscriber('mn2@home.example', 'mn2');
      const homeAddress = await visit(here, 'mn1', granted);
      expect(homeAddress).toMatch(/^2001:db8:/);

      await lose(postgres);
      expect(await visit(here, 'mn1', granted)).toBe(NO_MOBILITY);
      await aaa.line('store unavailable');
      expect(await aaa.line('Mobile IPv6 unavailable')).toMatchObject({ nai: 'mn1@home.example', reason: 'store' });
      // The subscriber is unknown to this server.
      expect(await visit(here, 'mn2', granted)).toContain('refused');
      expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'unavailable' });
      expect(await metric(made, /^pana_aaa_bootstraps_total\{result="store"\} (\d+)/m)).toBe(1);
      expect(await metric(made, /^pana_aaa_known_subscribers_total (\d+)/m)).toBe(1);

      await back(postgres);
      await aaa.line('store available');
      expect(await visit(here, 'mn1', granted)).toBe(homeAddress);
      expect(await visit(here, 'mn2', granted)).toMatch(/^2001:db8:/);
      expect(await leaseViolations(made, 'aaa', granted)).toEqual([]);
    },
  );
});

/** A file system of one megabyte; undefined if the host does not allow it. */
async function smallDisk(folder: string): Promise<string | undefined> {
  await mkdir(folder, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'pana-test', folder], { stdio: 'ignore' });
    return folder;
  } catch {
    return undefined;
  }
}

const mayMount = process.platform === 'linux' && process.getuid?.() === 0;
if (!mayMount) process.stderr.write('\n*** SKIPPED: a full disk: it needs Linux and root ***\n\n');

describe.skipIf(!mayMount)('SQLite', () => {
  it('on a full disk leaves nodes access without Mobile IPv6, and works again when there is space', async () => {
    const folder = `/tmp/pana-full-${process.pid}`;
    full = await smallDisk(folder);
    if (full === undefined) throw new Error('cannot mount a tmpfs');
    const here = await scene(`${folder}/store.db`);
    const { made, aaa } = here;
    const granted: GrantedAddress[] = [];
    for (const name of ['mn1', 'mn2']) await made.addSubscriber(`${name}@home.example`, name);
    expect(await visit(here, 'mn1', granted)).toMatch(/^2001:db8:/);

    await writeFile(`${folder}/filler`, Buffer.alloc(1024 * 1024)).catch((error: NodeJS.ErrnoException) => {
      expect(error.code).toBe('ENOSPC');
    });
    // Subscribers can be read, but leases cannot be written.
    expect(await visit(here, 'mn2', granted)).toBe(NO_MOBILITY);
    await aaa.line('store unavailable', ({ reason }) => /full/.test(String(reason)));
    expect(await metric(made, /^pana_aaa_bootstraps_total\{result="store"\} (\d+)/m)).toBe(1);

    await rm(`${folder}/filler`);
    expect(await visit(here, 'mn2', granted)).toMatch(/^2001:db8:/);
    expect(await visit(here, 'mn1', granted)).toMatch(/^2001:db8:/);
    expect(await leaseViolations(made, 'aaa', granted)).toEqual([]);
  });
});
