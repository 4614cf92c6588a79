import { spawn } from 'node:child_process';
import { cp, mkdir, rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DaemonProcess, programOf } from '../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../dist/lab/lab.js';
import type { LoadResult } from '../../src/load/result.js';
import { type Ended, run } from './program.js';

let lab: Lab;
let aaa: DaemonProcess;
let paa: DaemonProcess;
let place: Place;
/** Flags for the PAA and for two nodes. */
let target: string[];

beforeAll(async () => {
  lab = await Lab.make({ hooks: false });
  const server = await lab.startAaa();
  aaa = server.daemon;
  ({ daemon: paa, place } = await lab.startPaa(server.place));
  for (const name of ['mn1', 'mn2']) await lab.addSubscriber(`${name}@home.example`, name);
  target = [...at(place.port), '--pki', lab.path('pki'), '--server-name', 'home.example'];
});

afterAll(async () => {
  expect(await lab.close()).toEqual([0, 0]);
});

function at(port: number): string[] {
  return ['--paa', place.address, '--port', String(port)];
}

async function load(...flags: string[]): Promise<Ended & { result: LoadResult }> {
  const ended = await run('tool', ['load', ...flags, '--json', '--quiet']);
  expect(ended.stderr).toBe('');
  return { ...ended, result: JSON.parse(ended.stdout) as LoadResult };
}

/** The log lines of the PAA since an earlier number of lines. */
function linesSince(before: number, message: string) {
  return paa.lines.slice(before).filter(({ msg }) => msg === message);
}

/** Sessions that were authorized since then and have not ended. */
function stillOpen(before: number): unknown[] {
  const ended = new Set(linesSince(before, 'session ended').map(({ session }) => session));
  return linesSince(before, 'session authorized').filter(({ session }) => !ended.has(session));
}

describe('pana-mip6 load', () => {
  it('bootstraps nodes with the certificates of a folder, and terminates each session', async () => {
    const before = paa.lines.length;
    const sockets = `paa=${lab.socket('paa')},aaa=${lab.socket('aaa')}`;
    const { status, result } = await load(
      ...target,
      '--count',
      '6',
      '--concurrency',
      '2',
      '--warm-up',
      '2',
      '--daemon',
      sockets,
    );
    expect(status).toBe(0);
    expect(result).toMatchObject({
      bootstraps: 6,
      failed: 0,
      resumed: 0,
      withoutHomeAddress: 0,
      lost: [],
      interrupted: false,
    });
    expect(result.durations).toMatchObject({ count: 6 });
    expect(result.daemons.map(({ name }) => name)).toEqual(['paa', 'aaa']);
    for (const { cpuPerBootstrap } of result.daemons) expect(cpuPerBootstrap).toBeGreaterThan(0);
    expect(linesSince(before, 'session authorized')).toHaveLength(8);
    expect(new Set(linesSince(before, 'session authorized').map(({ nai }) => nai))).toEqual(
      new Set(['mn1@home.example', 'mn2@home.example']),
    );
    expect(stillOpen(before)).toEqual([]);
  });

  it('resumes TLS with the ticket of the same node, in TLS 1.2 too', async () => {
    const one = ['--count', '3', '--nodes', '1', '--resume', '1', '--tls', '1.2'];
    const { result } = await load(...target, ...one);
    expect(result).toMatchObject({ bootstraps: 3, resumed: 2, failed: 0 });
    expect(aaa.lines.filter(({ tls }) => tls === 'TLSv1.2').length).toBeGreaterThanOrEqual(3);
  });

  it('begins bootstraps at a rate, and shows text without a terminal', async () => {
    const { status, stdout, stderr } = await run('tool', ['load', ...target, '--rate', '20', '--count', '3']);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^3 bootstraps in /);
    expect(stdout).toContain('Failed: 0.');
    expect(status).toBe(0);
  });

  it('moves and re-authenticates sessions until Ctrl-C, terminates them, and prints its result', async () => {
    const before = paa.lines.length;
    const since = (line: object) => paa.lines.indexOf(line as never) >= before;
    const flags = ['--stay', 'end', '--move-every', '100ms', '--reauth-every', '150ms', '--duration', '10m', '--json'];
    const child = spawn(process.execPath, [programOf('tool'), 'load', ...target, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    for (const message of ['session moved', 'session reauthenticated'] as const) {
      await paa.line(message, (line) => since(line) && line.nai === 'mn1@home.example');
    }
    await paa.line('session authorized', (line) => since(line) && line.nai === 'mn2@home.example');
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    const result = JSON.parse(stdout) as LoadResult;
    expect(result).toMatchObject({ interrupted: true, bootstraps: 2, failed: 0, lost: [] });
    expect(result.sessions).toEqual({ most: 2, unanswered: 0 });
    expect(result.movements?.count).toBeGreaterThanOrEqual(1);
    expect(linesSince(before, 'session authorized')).toHaveLength(2);
    expect(stillOpen(before)).toEqual([]);
    expect(await lab.leases()).toEqual([]);
  });

  it('counts failures by reason, with status 1', async () => {
    const once = ['--count', '1', '--nodes', '1'];
    // Nothing listens at the discard port.
    const silent = await load(...at(9), ...target.slice(4), ...once, '--timeout', '300ms');
    expect(silent).toMatchObject({
      status: 1,
      result: { bootstraps: 0, failed: 1, failures: [{ reason: 'no answer to PCI' }] },
    });

    const other = ['--server-name', 'other.example', '--identity', '@home.example'];
    const misled = await load(...target.slice(0, -2), ...other, ...once);
    expect(misled).toMatchObject({ status: 1, result: { failures: [{ reason: 'eap-server-name', count: 1 }] } });

    await lab.issueClient('stranger', 'stranger@home.example');
    await mkdir(lab.path('stranger'));
    for (const file of ['ca.pem', 'stranger.pem', 'stranger-key.pem']) {
      await cp(lab.path('pki', file), lab.path('stranger', file));
    }
    // The other tests use all certificates of this folder.
    for (const file of ['stranger.pem', 'stranger-key.pem']) await rm(lab.path('pki', file));
    const folder = ['--pki', lab.path('stranger'), '--server-name', 'home.example'];
    const refused = await load(...at(place.port), ...folder, ...once);
    expect(refused).toMatchObject({ status: 1, result: { failed: 1, failures: [{ count: 1 }] } });
    expect(refused.result.failures[0]?.reason).toMatch(/^(eap-|authentication-rejected)/);
    expect(refused.result.retries).toBe(0);
  });

  it('repeats attempts of a closed loop that no AAA server judged, but not at a rate', async () => {
    const config = await lab.configurePac('mn1', { retry: { first: '20ms', longest: '20ms' } });
    const flags = ['-c', config, ...at(place.port), '--identity', '@nowhere.example'];
    const closed = await load(...flags, '--count', '1');
    expect(closed).toMatchObject({
      status: 1,
      result: { retries: 19, failed: 1, failures: [{ reason: 'unserved', count: 1 }] },
    });
    const open = await load(...flags, '--rate', '100', '--count', '2');
    expect(open).toMatchObject({ status: 1, result: { retries: 0, failures: [{ reason: 'unserved', count: 2 }] } });
  });

  it.each([
    [[], 'missing: --paa ADDRESS, --pki FOLDER or --ca FILE'],
    [['--paa', 'nowhere', '--pki', 'PKI', '--server-name', 'home.example'], '"nowhere" is not an IP address'],
    [['--paa', '::1', '--pki', 'PKI', '--certificate', 'x', '--server-name', 'a.example'], 'remove --certificate'],
    [['--paa', '::1', '--pki', 'PKI', '--server-name', 'home.example', '--daemon', 'paa=/nonexistent'], '/nonexistent'],
  ])('refuses %j', async (words, message) => {
    const flags = words.map((word) => (word === 'PKI' ? lab.path('pki') : word));
    const { status, stdout, stderr } = await run('tool', ['load', ...flags]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('    at ');
  });
});
