import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { Lab, type Tree } from '../../dist/lab/lab.js';
import { callDaemon } from '../../dist/runtime/service/control.js';
import { eventually } from '../eventually.js';
import { freePorts } from '../system/radius/free-radius.js';
import { run } from './program.js';
import { sessionsOf } from './radius-network.js';
import { operate } from './two-home-agents.js';

const MN = 'mn1@home.example';

let lab: Lab;

beforeEach(async () => {
  lab = await Lab.make({ family: 'ipv6' });
  await lab.issueServer('paa1', ['paa1.access.example']);
  await lab.issueServer('paa9', ['paa9.access.example']);
});

afterEach(async () => {
  const statuses = await lab.close();
  expect(statuses.every((status) => status === 0)).toBe(true);
});

const tlsOf = (name: string) => {
  const pki = (file: string) => lab.path('pki', file);
  return { ca: pki('ca.pem'), certificate: pki(`${name}.pem`), key: pki(`${name}-key.pem`), crl: pki('crl.pem') };
};

/** Starts an AAA server with RadSec, and returns it as a PAA lists it. */
async function server(name = 'aaa'): Promise<{ readonly aaa: DaemonProcess; readonly entry: Tree }> {
  const { address } = lab;
  const [port = 0] = await freePorts(address, 1);
  const { daemon: aaa } = await lab.startAaa(name, {
    radius: {
      listen: [address],
      port: 0,
      'accounting-port': 0,
      tls: { ...tlsOf('aaa'), port },
      clients: [{ name: 'paa1', certificate: 'paa1.access.example', dae: { over: 'radsec' } }],
    },
  });
  return { aaa, entry: { address, port, certificate: 'aaa.home.example' } };
}

const treeOf = (servers: readonly Tree[], certificate = 'paa1'): Tree => ({
  aaa: 'radius',
  nas: { identifier: 'paa1.access.example' },
  radius: { servers, tls: tlsOf(certificate), watchdog: '6s' },
});

const startPaa = async (tree: Tree) => (await lab.startPaa({ address: lab.address, port: 1 }, 'paa', tree)).daemon;

describe('A PAA that asks the AAA server over RadSec', () => {
  it('gets a node in, has it authenticate again, and ends its session, all over its own connections', async () => {
    const { aaa, entry } = await server();
    const paa = await startPaa(treeOf([entry]));
    await lab.addSubscriber(MN, 'mn1');
    const pac = await lab.startPac('mn1');
    expect(await pac.line('bootstrap completed')).toMatchObject({ homeAgent: '2001:db8:1::1' });
    // The Accounting-Start names the session as a later Disconnect-Request has to.
    await eventually(async () => expect((await sessionsOf(lab))[0]?.nas).toBeDefined());

    expect((await operate(lab, 'session', 'reauth', MN)).stdout).toContain('SUCCESS');
    await paa.line('request accepted', ({ message }) => message === 'CoA-Request');
    await paa.line('session reauthenticated');
    expect((await operate(lab, 'session', 'disconnect', MN)).stdout).toContain('SUCCESS');
    await paa.line('request accepted', ({ message }) => message === 'Disconnect-Request');
    await pac.line('session ended');
    await aaa.line('request answered', ({ resultCode }) => resultCode === 'SUCCESS');
    expect([await sessionsOf(lab), await lab.leases()]).toEqual([[], []]);
    expect(paa.lines.filter(({ level }) => Number(level) >= 40)).toEqual([]);
    const { stdout, status } = await run('paa', ['doctor', '-c', lab.path('paa.yaml')]);
    expect(stdout).toContain('no problem found');
    expect(status).toBe(0);
  });

  it('moves a session to the other server when its server is killed, and obeys the other one then', async () => {
    const first = await server();
    const second = await server('aaa2');
    const paa = await startPaa(treeOf([first.entry, second.entry]));
    await lab.addSubscriber(MN, 'mn1');
    const subscriber = { nai: MN, enabled: true, mip6: true, localHomeAgent: true, sessions: 'replace' };
    await lab.administer('aaa2', 'addSubscriber', { subscriber });
    const toPeer = `[${lab.address}]:${String(second.entry['port'])}`;
    await paa.line('peer connected', ({ peer }) => peer === toPeer);
    const pac = await lab.startPac('mn1');
    await pac.line('bootstrap completed');
    await eventually(async () => expect((await sessionsOf(lab))[0]?.nas).toBeDefined());

    first.aaa.signal('SIGKILL');
    await first.aaa.exited;
    lab.forget(first.aaa);
    await callDaemon(lab.socket('mn1'), 'POST', '/reauth');
    await paa.line('session reauthenticated');
    expect(await sessionsOf(lab, 'aaa2')).toMatchObject([{ nai: MN }]);
    const answer = await callDaemon(lab.socket('aaa2'), 'POST', '/session/disconnect', { of: MN });
    expect(answer).toMatchObject([{ result: 'SUCCESS' }]);
    await pac.line('session ended');
  });

  it('is refused with the certificate of no client, and refuses a server with another name', async () => {
    const { aaa, entry } = await server();
    const config = async (name: string, tree: Tree) =>
      lab.configure(name, { pana: { listen: [lab.address], port: 0 }, hooks: { 'state-dir': lab.folder }, ...tree });
    const stranger = await config('stranger', treeOf([entry], 'paa9'));
    const { stdout } = await run('paa', ['doctor', '-c', stranger]);
    expect(stdout).toContain('no answer to Status-Server within 4 s');
    await aaa.line('RADIUS packet discarded', ({ reason }) => reason === 'unknown-client');
    const other = await config('other', treeOf([{ ...entry, certificate: 'aaa.other.example' }]));
    expect((await run('paa', ['doctor', '-c', other])).stdout).toContain(
      'its certificate has aaa.home.example, not aaa.other.example',
    );
  });

  it.each([
    ['a server without secret', { address: '::1' }, 'radius.servers.0.secret-file'],
    [
      'a server with certificate and secret',
      { address: '::1', certificate: 'aaa.home.example', 'secret-file': '/etc/passwd' },
      'radius.servers.0.secret-file',
    ],
  ])('does not start with %s', async (_what, entry, key) => {
    const tree = { pana: { listen: [lab.address] }, ...treeOf([entry]) };
    const { stderr, status } = await run('paa', ['check-config', '-c', await lab.configure('wrong', tree)]);
    expect(stderr).toContain(key);
    expect(status).toBe(2);
  });
});
