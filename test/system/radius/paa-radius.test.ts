import { execFile } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab } from '../../../dist/lab/lab.js';
import { callDaemon } from '../../../dist/runtime/service/control.js';
import { run } from '../../daemons/program.js';
import { eventually } from '../../eventually.js';
import { announce, missing } from '../access-network.js';
import { FreeRadius, freePorts, SECRET } from './free-radius.js';

const MN = 'mn1@home.example';

const possible = announce('FreeRADIUS as the AAA server of a PAA', missing('freeradius', 'radclient'));

let lab: Lab | undefined;
const servers: FreeRadius[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  const statuses = await lab?.close();
  lab = undefined;
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

async function made(family: 'ipv4' | 'ipv6' = 'ipv6'): Promise<Lab> {
  lab = await Lab.make({ family });
  await lab.issueClient('mn1', MN);
  return lab;
}

async function freeRadius(at: Lab, name = 'radius'): Promise<FreeRadius> {
  const server = await FreeRadius.start(at, name);
  servers.push(server);
  return server;
}

async function startPaa(at: Lab, all: readonly FreeRadius[], radius: object = {}): Promise<DaemonProcess> {
  const options = {
    aaa: 'radius',
    nas: { identifier: 'paa.access.example' },
    radius: { servers: all.map(({ section }) => section), ...radius },
  };
  const [first] = all;
  if (!first) throw new Error('no server');
  return (await at.startPaa(first, 'paa', options)).daemon;
}

/** Sends a request to the PAA as a server does; resolves with what radclient prints. */
async function radclient(
  at: Lab,
  port: number,
  kind: 'disconnect' | 'coa',
  attributes: readonly string[],
  secret = SECRET,
): Promise<string> {
  const place = at.address.includes(':') ? `[${at.address}]:${port}` : `${at.address}:${port}`;
  const words = ['-x', '-r', '1', '-t', '1', '-D', '/usr/share/freeradius', place, kind, secret];
  const asked = promisify(execFile)('radclient', words);
  asked.child.stdin?.end(`${[...attributes, 'Message-Authenticator = 0x00'].join('\n')}\n`);
  return asked.then(
    ({ stdout }) => stdout,
    (failure: { stdout?: string; stderr?: string }) => `${failure.stdout}${failure.stderr}`,
  );
}

const now = () => `Event-Timestamp = ${Math.floor(Date.now() / 1000)}`;

describe.skipIf(!possible)('A PAA with FreeRADIUS', () => {
  it.each(['ipv4', 'ipv6'] as const)('gives a node a session over %s, and accounts for it', async (family) => {
    const at = await made(family);
    const server = await freeRadius(at);
    const [port = 0] = await freePorts(at.address, 1);
    const paa = await startPaa(at, [server], { dae: { listen: [at.address], port } });
    const pac = await at.startPac('mn1');
    expect(await pac.line('session authorized')).toMatchObject({ lifetime: 600 });
    await pac.line('Mobile IPv6 unavailable');
    const { session } = await paa.line('session authorized');
    const views = (await callDaemon(at.socket('paa'), 'GET', '/sessions')) as { diameterSession: string }[];
    const id = views[0]?.diameterSession ?? '';
    await eventually(async () => expect(await server.accounting()).toHaveLength(2));
    const [on, start] = await server.accounting();
    expect(on).toContain('Acct-Status-Type = Accounting-On');
    expect(start).toContain('Acct-Status-Type = Start');
    expect(start).toContain(`Acct-Session-Id = "${id}"`);
    expect(start).toContain('NAS-Identifier = "paa.access.example"');

    const named = [`Acct-Session-Id = "${id}"`, now()];
    expect(await radclient(at, port, 'disconnect', named, 'another secret')).toContain('No reply');
    expect(await radclient(at, port, 'disconnect', ['Acct-Session-Id = "none"', now()])).toContain(
      'Error-Cause = Session-Context-Not-Found',
    );
    expect(await radclient(at, port, 'disconnect', [`Acct-Session-Id = "${id}"`])).toContain('No reply');
    expect(await radclient(at, port, 'coa', named)).toContain('CoA-ACK');
    await paa.line('session reauthenticated');
    expect(await radclient(at, port, 'disconnect', named)).toContain('Disconnect-ACK');
    await pac.line('session ended');
    await eventually(async () => expect(await server.accounting()).toHaveLength(3));
    const stop = (await server.accounting())[2];
    expect(stop).toContain('Acct-Status-Type = Stop');
    expect(stop).toContain(`Acct-Session-Id = "${id}"`);
    expect(stop).toContain('Acct-Terminate-Cause = Admin-Reset');
    expect(stop).toMatch(/Acct-Session-Time = \d+/);
    await paa.line('hook done', ({ event }) => event === 'revoke');
    expect(await readFile(at.path('hooks', 'paa', 'clients'), 'utf8')).not.toContain(String(session));
  });

  it('refuses a node with a certificate of another CA', async () => {
    const at = await made();
    const paa = await startPaa(at, [await freeRadius(at)]);
    const other = await Lab.make({ family: 'ipv6' });
    try {
      await other.issueClient('mn1', MN);
      const files = { certificate: other.path('pki', 'mn1.pem'), key: other.path('pki', 'mn1-key.pem') };
      await at.startPac('mn1', { tls: files });
      expect(await paa.line('session refused')).toMatchObject({ resultCode: 'AUTHENTICATION_REJECTED' });
    } finally {
      await other.close();
    }
  });

  it('asks the next server if the first one has died', async () => {
    const at = await made();
    const first = await freeRadius(at, 'radius1');
    const second = await freeRadius(at, 'radius2');
    const paa = await startPaa(at, [first, second], { watchdog: '6s' });
    await paa.line('peer connected', (line) => line['peer'] === second.name);
    await first.stop();
    const pac = await at.startPac('mn1');
    await pac.line('session authorized');
    await paa.line('request failed over', (line) => line['peer'] === first.name && line['toPeer'] === second.name);
  });

  it('tells the operator why a server does not answer', async () => {
    const at = await made();
    const server = await freeRadius(at);
    const tree = {
      control: { socket: at.socket('paa') },
      aaa: 'radius',
      nas: { identifier: 'paa.access.example' },
      pana: { listen: [at.address], port: 0, interface: 'lo' },
      hooks: { 'state-dir': at.folder },
    };
    const wrong = at.path('wrong');
    await writeFile(wrong, 'a secret that the server does not have\n', { mode: 0o600 });
    const sections = [server.section, { ...server.section, 'accounting-port': undefined, 'secret-file': wrong }];
    const config = await at.configure('doctor', { ...tree, radius: { servers: sections } });
    const { stdout, status } = await run('paa', ['doctor', '-c', config]);
    expect(stdout).toContain('no answer to Status-Server within');
    expect(stdout.match(/no answer to Status-Server/g)).toHaveLength(1);
    expect(status).toBe(2);
    await writeFile(wrong, 'a secret that everybody can read\n');
    await chmod(wrong, 0o644);
    const checked = await run('paa', ['check-config', '-c', config]);
    expect(checked.stdout + checked.stderr).toContain(`every user of this host can access ${wrong}`);
  });
});
