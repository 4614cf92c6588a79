import { X509Certificate } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab, type LabOptions, type Place } from '../../../dist/lab/lab.js';
import { BenchNode } from '../../../src/load/node.js';
import { plainSubscriber, type Session, type Subscriber } from '../../../src/protocol/home/records.js';
import { callDaemon } from '../../../src/runtime/service/control.js';
import { credentialsOf } from '../../daemons/load.js';
import { eventually } from '../../eventually.js';
import { Postgres, withoutPostgres } from '../../postgres.js';
import { Authority } from '../../runtime/tls/certificates/authority.js';

let lab: Lab | undefined;
let nodes: BenchNode[] = [];

afterEach(async () => {
  for (const node of nodes) await node.abandon();
  nodes = [];
  await lab?.close();
  lab = undefined;
});

interface Scene {
  readonly made: Lab;
  readonly aaa: DaemonProcess;
  readonly paa: DaemonProcess;
  readonly place: Place;
  readonly server: Place;
}

async function scene(options: LabOptions = {}): Promise<Scene> {
  const limits = { 'pci-per-address': 1000, 'half-open-per-address': 1000 };
  const made = await Lab.make({ hooks: false, logLevel: 'info', paa: { pana: { limits } }, ...options });
  lab = made;
  const { daemon: aaa, place: server } = await made.startAaa();
  const { daemon: paa, place } = await made.startPaa(server);
  return { made, aaa, paa, place, server };
}

/** Bootstraps a node with the certificate of this name. Resolves to the node and its home address, or why it has none. */
async function enter({ made, place }: Scene, name: string): Promise<{ node: BenchNode; outcome: string }> {
  const node = new BenchNode(place, await credentialsOf(made, name));
  nodes.push(node);
  const outcome = await node.bootstrap().then(
    () => node.homeAddress ?? '',
    (error: Error) => error.message,
  );
  return { node, outcome };
}

const HOME_ADDRESS = /^2001:db8:/;

async function change(made: Lab, nai: string, what: object): Promise<Subscriber> {
  return (await made.administer('aaa', 'changeSubscriber', { nai, change: what })) as Subscriber;
}

describe('A subscriber with sessions "replace"', () => {
  it('keeps only its newest session at a PAA, and the older ones end', async () => {
    const here = await scene();
    const { made, paa } = here;
    await made.addSubscriber('mn1@home.example', 'mn1');
    for (let n = 0; n < 6; n += 1) expect((await enter(here, 'mn1')).outcome).toMatch(HOME_ADDRESS);
    const ended = new Set<unknown>();
    for (let n = 0; n < 5; n += 1) {
      const { session } = await paa.line('session ended', (line) => !ended.has(line['session']));
      ended.add(session);
    }
    expect((await callDaemon(made.socket('paa'), 'GET', '/status')) as object).toMatchObject({ sessions: 1 });
    const known = async () => ((await made.administer('aaa', 'listSessions', {})) as { items: Session[] }).items.length;
    await eventually(async () => expect(await known()).toBe(1));
    expect(await made.leases()).toHaveLength(1);
  });
});

describe('A subscriber bound to', () => {
  it('one certificate is authorized with that certificate only', async () => {
    const here = await scene();
    const { made, aaa } = here;
    await made.addSubscriber('mn1@home.example', 'mn1');
    await made.issueClient('copy', 'mn1@home.example');
    const { fingerprint256 } = new X509Certificate(await readFile(made.path('pki', 'mn1.pem')));
    await change(made, 'mn1@home.example', { certificateSha256: fingerprint256 });
    expect((await enter(here, 'copy')).outcome).toContain('refused');
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'other-certificate' });
    expect((await enter(here, 'mn1')).outcome).toMatch(HOME_ADDRESS);
  });

  it('a certificate name is found by that name only', async () => {
    const here = await scene();
    const { made, aaa } = here;
    await made.addSubscriber('meter7@home.example', 'mn7');
    await made.issueClient('device', 'serial-4711@maker.example');
    await change(made, 'meter7@home.example', { certificateName: 'SERIAL-4711@maker.example' });
    expect((await enter(here, 'device')).outcome).toMatch(HOME_ADDRESS);
    expect(await aaa.line('authentication succeeded')).toMatchObject({ nai: 'meter7@home.example' });
    expect((await enter(here, 'mn7')).outcome).toContain('refused');
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'no-subscriber' });
  });

  it('a certificate of another subscriber is rejected', async () => {
    const { made } = await scene();
    await made.addSubscriber('mn1@home.example', 'mn1', { certificateName: 'device' });
    await expect(made.addSubscriber('mn2@home.example', 'mn2', { certificateName: 'Device' })).rejects.toThrow(
      'mn1@home.example already has this certificate',
    );
  });
});

describe('Two devices with one certificate', () => {
  it("take over each other's lease, which is logged and counted; the end of the older session changes nothing", async () => {
    const here = await scene();
    const { made, aaa, paa } = here;
    await made.addSubscriber('mn1@home.example', 'mn1');
    const first = await enter(here, 'mn1');
    const { sessionId } = ((await made.leases())[0] ?? {}) as { sessionId: string };
    const second = await enter(here, 'mn1');
    expect(second.outcome).toBe(first.outcome);
    expect(await aaa.line('lease taken over')).toMatchObject({
      nai: 'mn1@home.example',
      fromSession: sessionId,
    });
    const [subscriber] = ((await made.administer('aaa', 'listSubscribers', {})) as { items: Subscriber[] }).items;
    expect(subscriber?.takeovers).toBe(1);
    // The older session ends with an STR.
    await paa.line('session ended');
    await first.node.terminate();
    expect(await made.leases()).toMatchObject([{ homeAddress: first.outcome }]);
    await second.node.terminate();
    await aaa.line('lease released');
    expect(await made.leases()).toEqual([]);
  });

  it('are refused a second session if the subscriber has sessions "one"', async () => {
    const here = await scene();
    const { made, aaa } = here;
    await made.addSubscriber('mn1@home.example', 'mn1', { sessions: 'one' });
    const first = await enter(here, 'mn1');
    expect(first.outcome).toMatch(HOME_ADDRESS);
    expect((await enter(here, 'mn1')).outcome).toContain('refused');
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'second-session' });
    await first.node.terminate();
    await aaa.line('lease released');
    expect((await enter(here, 'mn1')).outcome).toBe(first.outcome);
  });
});

describe('A CRL', () => {
  it('that revokes a certificate ends its sessions only', async () => {
    const here = await scene();
    const { made, aaa, paa } = here;
    for (const name of ['mn1', 'mn2']) await made.addSubscriber(`${name}@home.example`, name);
    await enter(here, 'mn1');
    const other = await enter(here, 'mn2');
    await made.pki.revoke('mn1');
    await aaa.line('CRL reloaded');
    expect(await aaa.line('certificate revoked')).toMatchObject({ nai: 'mn1@home.example' });
    expect(await paa.line('session ended')).toMatchObject({ nai: 'mn1@home.example' });
    await aaa.line('lease released');
    expect(await made.leases()).toMatchObject([{ homeAddress: other.outcome }]);
  });

  it('that revokes an intermediate CA or one of its certificates ends the sessions affected', async () => {
    const here = await scene();
    const { made, aaa } = here;
    const file = (name: string) => made.path('pki', name);
    const [certificatePem, keyPem] = await Promise.all([
      readFile(file('ca.pem'), 'utf8'),
      readFile(file('ca-key.pem'), 'utf8'),
    ]);
    const root = Authority.of({ certificatePem, keyPem });
    const [one, two] = [await root.sub('one', { serial: '11' }), await root.sub('two', { serial: '12' })];
    const crls = async (ofRoot: string[], ofOne: string[]) => {
      const lists = [root.crl({ serials: ofRoot }), one.crl({ serials: ofOne }), two.crl()];
      await writeFile(file('crl.new'), (await Promise.all(lists)).join(''));
      await rename(file('crl.new'), file('crl.pem'));
    };
    await crls([], []);
    await aaa.line('CRL reloaded');
    // Equal serial numbers of different issuers: only the right issuer's certificate is revoked.
    for (const [name, ca] of [
      ['mn1', one],
      ['mn2', two],
      ['mn3', two],
    ] as const) {
      const nai = `${name}@home.example`;
      await made.administer('aaa', 'addSubscriber', { subscriber: plainSubscriber(nai) });
      const issued = await ca.issue({ subject: `CN=${nai}`, serial: name === 'mn3' ? '22' : '21' });
      await writeFile(file(`${name}.pem`), issued.certificatePem + ca.certificatePem);
      await writeFile(file(`${name}-key.pem`), issued.keyPem, { mode: 0o600 });
      expect((await enter(here, name)).outcome).not.toContain('refused');
    }
    const users = async () =>
      ((await made.administer('aaa', 'listSessions', {})) as { items: Session[] }).items.map(({ nai }) => nai).sort();
    const stay = (...names: string[]) =>
      eventually(async () => expect(await users()).toEqual(names), { interval: 100 });
    await stay('mn1@home.example', 'mn2@home.example', 'mn3@home.example');
    await crls(['21', '22'], ['21']);
    await stay('mn2@home.example', 'mn3@home.example');
    expect(await aaa.line('certificate revoked')).toMatchObject({
      nai: 'mn1@home.example',
      serial: '21',
    });
    await crls(['12'], ['21']);
    await stay();
    expect((await enter(here, 'mn2')).outcome).toContain('refused');
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'revoked' });
  });

  it('that changed while the server was down ends sessions at startup', async () => {
    const here = await scene();
    const { made, aaa, paa } = here;
    await made.addSubscriber('mn1@home.example', 'mn1');
    await enter(here, 'mn1');
    aaa.signal('SIGKILL');
    await aaa.exited;
    await made.pki.revoke('mn1');
    const again = made.start('aaa again', 'aaa', made.path('aaa.yaml'));
    await again.line('certificate revoked');
    await paa.line('peer disconnected');
    for (;;) {
      const sessions = ((await made.administer('aaa', 'listSessions', {})) as { items: Session[] }).items;
      if (sessions.length === 0) break;
      await again.line('request unanswered');
    }
    expect(await made.leases()).toEqual([]);
  });

  it('that is incomplete is ignored', async () => {
    const here = await scene();
    const { made, aaa } = here;
    await made.addSubscriber('mn1@home.example', 'mn1');
    await made.addSubscriber('mn2@home.example', 'mn2');
    await made.pki.revoke('mn2');
    await aaa.line('CRL reloaded');
    const crl = await readFile(made.path('pki', 'crl.pem'), 'utf8');
    await writeFile(made.path('pki', 'crl.pem'), crl.slice(0, crl.length / 2));
    await aaa.line('CRL not reloaded');
    expect((await enter(here, 'mn1')).outcome).toMatch(HOME_ADDRESS);
    expect((await enter(here, 'mn2')).outcome).toContain('refused');
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'revoked' });
  });
});

describe('A subscriber with too many failures', () => {
  it('is refused for the rest of the minute, others are not', async () => {
    const here = await scene({ aaa: { limits: { 'failures-per-subscriber': 2 } } });
    const { made, aaa } = here;
    await made.addSubscriber('mn1@home.example', 'mn1', { enabled: false });
    await made.addSubscriber('mn2@home.example', 'mn2');
    // A minute may end between two tries.
    for (let i = 0; i < 6; i += 1) expect((await enter(here, 'mn1')).outcome).toContain('refused');
    const reasons = aaa.lines.flatMap(({ msg, ...line }) => (msg === 'authentication failed' ? [line['reason']] : []));
    expect(reasons.slice(0, 2)).toEqual(['disabled', 'disabled']);
    expect(reasons).toContain('too-many-failures');
    expect((await enter(here, 'mn2')).outcome).toMatch(HOME_ADDRESS);
  });
});

describe('Servers that share a store', () => {
  it.skipIf(withoutPostgres !== undefined)("resume each other's TLS sessions", async () => {
    const postgres = await Postgres.start();
    onTestFinished(() => postgres.stop());
    const aaa = { store: await postgres.database(), diameter: { 'shared-store': true } };
    const made = await Lab.make({ hooks: false, logLevel: 'info', aaa });
    lab = made;
    const first = await made.startAaa();
    await made.issueServer('aaa2', ['aaa2.home.example']);
    const second = await made.startAaa('aaa2', {
      diameter: { host: 'aaa2.home.example' },
    });
    await made.addSubscriber('mn1@home.example', 'mn1');
    const credentials = await credentialsOf(made, 'mn1');
    const peer = (host: string, { address, port }: Place) => ({ host, address, port });
    const visit = async (name: string, host: string, place: Place) => {
      const { place: at } = await made.startPaa(place, name, {
        diameter: { host: `${name}.access.example`, peers: [peer(host, place)] },
      });
      const node = new BenchNode(at, credentials);
      await node.bootstrap();
      await node.terminate();
    };
    await visit('paa', 'aaa.home.example', first.place);
    expect(await first.daemon.line('authentication succeeded')).toMatchObject({ resumed: false });
    await visit('paa2', 'aaa2.home.example', second.place);
    expect(await second.daemon.line('authentication succeeded')).toMatchObject({ resumed: true });
  });
});
