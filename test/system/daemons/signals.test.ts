import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmod, stat, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Lab } from '../../../dist/lab/lab.js';
import { run } from '../../daemons/program.js';
import { within } from '../../eventually.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

async function network() {
  lab = await Lab.make();
  const { daemon: aaa, place } = await lab.startAaa();
  const { daemon: paa } = await lab.startPaa(place);
  await lab.addSubscriber('mn1@home.example', 'mn1');
  return { made: lab, aaa, paa };
}

describe('SIGTERM', () => {
  it('makes a PAA send PTR, STR and DPR and run its hooks', async () => {
    const { made, aaa, paa } = await network();
    const pac = await made.startPac('mn1');
    await pac.line('bootstrap completed');
    await paa.line('hook done', ({ event }) => event === 'permit');
    expect(await paa.stop()).toBe(0);
    expect(await pac.line('session ended')).toMatchObject({ reason: 'terminated-by-paa' });
    await pac.line('hook done', ({ event }) => event === 'down');
    expect(await aaa.line('session ended')).toMatchObject({ reason: 'ADMINISTRATIVE', known: true });
    await aaa.line('lease released');
    expect(paa.lines.some(({ msg, event }) => msg === 'hook done' && event === 'revoke')).toBe(true);
    expect(paa.lines.some(({ msg, message }) => msg === 'message sent' && message === 'DPR')).toBe(true);
    expect(await made.leases()).toEqual([]);
  });

  it('ends a PaC that has no session, and one whose PAA does not answer', async () => {
    const { made, paa } = await network();
    const pac = await made.startPac('mn1');
    await pac.line('bootstrap completed');
    paa.signal('SIGKILL');
    await paa.exited;
    expect(await pac.stop()).toBe(0);
    expect(pac.lines.some(({ msg, event }) => msg === 'hook done' && event === 'down')).toBe(true);
    const alone = await made.startPac('mn1');
    await alone.line('session starting');
    expect(await alone.stop()).toBe(0);
  });

  it('received twice ends the daemon at once', async () => {
    const { made, aaa } = await network();
    const hook = made.path('slow.sh');
    await writeFile(hook, '#!/bin/sh\n[ "$1" = up ] || exec sleep 600\n');
    await chmod(hook, 0o755);
    const config = await made.configurePac('mn1', { hooks: { mn: hook } });
    const pac = made.start('mn1', 'pac', config);
    await pac.line('bootstrap completed');
    pac.signal('SIGTERM');
    // The daemon waits for hook down.
    await aaa.line('lease released');
    await pac.line('stopping');
    pac.signal('SIGTERM');
    expect(await pac.exited).toBe(128);
    expect(pac.lines.at(-1)?.msg).toBe('killed');
  });
});

describe('A PaC with stay: false', () => {
  it('exits with status 1 when it is refused', async () => {
    const { made } = await network();
    await made.issueClient('mn9', 'mn9@home.example');
    const pac = await made.startPac('mn9', { stay: false });
    expect(await pac.exited).toBe(1);
  });

  it('exits with status 1 when no PAA answers', async () => {
    const { made } = await network();
    const silent = createSocket('udp6');
    silent.bind(0, '::1');
    await within(once(silent, 'listening'), 'silent listens');
    const { port } = silent.address();
    const pac = await made.startPac('mn1', { stay: false, pana: { paa: ['::1'], port, 'pci-limit': '300ms' } });
    expect(await pac.line('session refused')).toMatchObject({ reason: 'no-answer' });
    expect(await pac.exited).toBe(1);
    silent.close();
  });
});

describe('A node that moves', () => {
  it('keeps its session and key, and both ends run hook move', async () => {
    const { made, aaa, paa } = await network();
    const pac = await made.startPac('mn1');
    const bound = await pac.line('bootstrap completed');
    await pac.line('hook done');
    await paa.line('hook done', ({ event }) => event === 'permit');
    expect((await run('pac', ['move', '--control.socket', made.socket('mn1')])).status).toBe(0);
    await pac.line('session moved');
    await paa.line('session moved');
    await pac.line('hook done', ({ event }) => event === 'move');
    await paa.line('hook done', ({ event }) => event === 'move');
    expect(pac.lines.some(({ msg }) => msg === 'session ended')).toBe(false);
    const list = await run('paa', ['session', 'list', '--json', '--control.socket', made.socket('paa')]);
    expect(JSON.parse(list.stdout)).toMatchObject([{ state: 'OPEN', homeAddress: bound['homeAddress'] }]);
    expect(aaa.lines.filter(({ msg }) => msg === 'lease assigned')).toHaveLength(1);
    expect(await pac.stop()).toBe(0);
    await aaa.line('lease released');
  });
});

describe('A PAA that fails', () => {
  it('and restarts gets its node back with the same home address, and the node runs no hook down', async () => {
    const { made, aaa, paa } = await network();
    const pac = await made.startPac('mn1', { pana: { 'ping-interval': '1s' } });
    const { homeAddress } = await pac.line('bootstrap completed');
    await pac.line('hook done', ({ event }) => event === 'up');
    paa.signal('SIGKILL');
    await paa.exited;
    const again = made.start('paa again', 'paa', made.path('paa.yaml'));
    await again.line('peer connected');
    expect(await pac.line('bootstrap refreshed')).toMatchObject({ homeAddress });
    expect(await again.line('session authorized')).toMatchObject({ homeAddress });
    await pac.line('hook done', ({ event }) => event === 'refresh');
    expect(pac.lines.some(({ msg }) => msg === 'PAA not responding')).toBe(true);
    expect(pac.lines.some(({ msg }) => msg === 'bootstrap withdrawn')).toBe(false);
    expect(aaa.lines.some(({ msg }) => msg === 'lease released')).toBe(false);
    expect(await made.leases()).toMatchObject([{ homeAddress }]);
  });

  it('temporarily leaves the session unchanged', async () => {
    const { made, paa } = await network();
    const pac = await made.startPac('mn1', { pana: { 'ping-interval': '1s' } });
    await pac.line('bootstrap completed');
    paa.signal('SIGSTOP');
    await pac.line('PAA not responding');
    paa.signal('SIGCONT');
    await pac.line('PAA responding again');
    expect(pac.lines.some(({ msg }) => msg === 'session replaced' || msg === 'session ended')).toBe(false);
  });
});

describe('A session started by the PAA', () => {
  it('authorizes a PaC that waits for it', async () => {
    const { made, paa } = await network();
    const waiting = createSocket('udp6');
    waiting.bind(0, '::1');
    await within(once(waiting, 'listening'), 'waiting listens');
    const { port } = waiting.address();
    waiting.close();
    const pac = await made.startPac('mn1', { pana: { initiate: false, 'local-port': port } });
    await pac.line('session starting');
    const start = ['session', 'start', '::1', '--port', String(port), '--control.socket', made.socket('paa')];
    expect(await run('paa', start)).toMatchObject({ status: 0 });
    await pac.line('bootstrap completed');
    await paa.line('session authorized');
    expect(pac.lines.some(({ message }) => message === 'PCI')).toBe(false);
    expect(
      (await run('paa', ['session', 'start', 'nowhere', '--control.socket', made.socket('paa')])).stderr,
    ).toContain('nowhere is not an IP address');
  });
});

describe('The operator', () => {
  it('controls all daemons by sockets with mode 0600', async () => {
    const { made, paa } = await network();
    const pac = await made.startPac('mn1');
    await pac.line('bootstrap completed');
    for (const name of ['aaa', 'paa', 'mn1']) expect((await stat(made.socket(name))).mode & 0o777).toBe(0o600);

    const status = await run('pac', ['status', '--json', '--control.socket', made.socket('mn1')]);
    expect(JSON.parse(status.stdout)).toMatchObject({ state: 'OPEN', binding: { homeAgent: '2001:db8:1::1' } });

    expect((await run('pac', ['reauth', '--control.socket', made.socket('mn1')])).status).toBe(0);
    const refreshed = await pac.line('bootstrap refreshed');
    await pac.line('hook done', ({ event }) => event === 'refresh');
    expect(refreshed['fingerprint']).not.toBe(
      pac.lines.find(({ msg }) => msg === 'bootstrap completed')?.['fingerprint'],
    );

    const list = await run('paa', ['session', 'list', '--json', '--control.socket', made.socket('paa')]);
    const [session] = JSON.parse(list.stdout) as { session: string; nai: string }[];
    expect(session).toMatchObject({ nai: 'mn1@home.example', state: 'OPEN' });
    expect(
      (await run('paa', ['session', 'reauth', session?.session ?? '', '--control.socket', made.socket('paa')])).status,
    ).toBe(0);
    await paa.line('session reauthenticated', (line) => Number(line.at) > refreshed.at);

    const end = ['session', 'end', session?.session ?? '', '--control.socket', made.socket('paa')];
    expect((await run('paa', end)).status).toBe(0);
    expect(await pac.line('session ended')).toMatchObject({ reason: 'terminated-by-paa' });
    expect((await run('paa', end)).status).toBe(2);

    const leases = await run('aaa', ['lease', 'list', '-c', made.path('aaa.yaml')]);
    expect(leases.status).toBe(0);
    const agents = await run('aaa', ['home-agent', 'list', '-c', made.path('aaa.yaml')]);
    expect(agents.stdout).toContain('ha1');
    const removed = await run('aaa', ['subscriber', 'remove', 'mn1@home.example', '-c', made.path('aaa.yaml')]);
    expect(removed).toMatchObject({ status: 0 });
  });
});
