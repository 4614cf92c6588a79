import { execFile } from 'node:child_process';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { Lab, type LabOptions } from '../../dist/lab/lab.js';
import { DAY, issueCertificate, makeCa, validFor } from '../../src/pki/certificate-authority.js';
import type { Lease } from '../../src/protocol/home/records.js';
import type { LogEvent } from '../../src/runtime/log/events.js';
import { callDaemon } from '../../src/runtime/service/control.js';
import { writePem } from './pem.js';

const MN = 'mn1@home.example';
let lab: Lab | undefined;

afterEach(async () => {
  const statuses = await lab?.close();
  lab = undefined;
  // Every daemon must have ended with status 0, whatever the test did.
  expect(statuses?.every((status) => status === 0) ?? true).toBe(true);
});

interface Network {
  readonly lab: Lab;
  readonly aaa: DaemonProcess;
  readonly paa: DaemonProcess;
}

async function network(options: LabOptions = {}): Promise<Network> {
  const made = await Lab.make(options);
  lab = made;
  const { daemon: aaa, place } = await made.startAaa();
  const { daemon: paa } = await made.startPaa(place);
  return { lab: made, aaa, paa };
}

async function leasesOf(of: Lab): Promise<readonly Lease[]> {
  return await of.leases();
}

/** Files that hooks of a daemon wrote. */
async function filesOf(of: Lab, name: string): Promise<string[]> {
  const entries = await readdir(of.path('hooks', name), { recursive: true, withFileTypes: true });
  return entries
    .filter(
      (entry) =>
        entry.isFile() &&
        !['hooks.conf', 'origin-state', 'clients'].includes(entry.name) &&
        !entry.parentPath.endsWith('/keys'),
    )
    .map((entry) => entry.name)
    .sort();
}

function read(of: Lab, ...path: readonly string[]): Promise<string> {
  return readFile(of.path('hooks', ...path), 'utf8');
}

describe.each([
  { family: 'ipv6', tls: '1.3' },
  { family: 'ipv6', tls: '1.2' },
  { family: 'ipv4', tls: '1.3' },
  { family: 'ipv4', tls: '1.2' },
] as const)('Bootstrap over $family with TLS $tls', ({ family, tls }) => {
  it('gives a node home agent, home address and key, and frees them when the session ends', async () => {
    const { lab: made, aaa, paa } = await network({ family });
    await made.addSubscriber(MN, 'mn1');
    const pac = await made.startPac('mn1', { tls: { 'min-version': tls, 'max-version': tls } });

    const bound = await pac.line('bootstrap completed');
    const given = await aaa.line('lease assigned');
    expect(bound).toMatchObject({
      homeAgent: '2001:db8:1::1',
      homeAgentHost: 'ha1.home.example',
      ikeIdentity: MN,
      homeAddress: given['homeAddress'],
      fingerprint: given['fingerprint'],
    });
    expect(await aaa.line('authentication succeeded')).toMatchObject({ nai: MN, tls: `TLSv${tls}` });
    expect(await paa.line('session authorized')).toMatchObject({ nai: MN, homeAddress: bound['homeAddress'] });

    await pac.line('hook done');
    await aaa.line('hook done');
    await paa.line('hook done', ({ event }) => event === 'permit');
    // racoon looks keys up by the identifier of the other end.
    const [, ours] = (await read(made, 'mn1', 'psk.txt')).trim().split(' ');
    const [name, theirs] = (await read(made, 'aaa', 'psk.txt')).trim().split(' ');
    expect(name).toBe(MN);
    expect(ours).toMatch(/^0x[0-9a-f]{128}$/);
    expect(ours).toBe(theirs);
    expect(await read(made, 'mn1', 'mip6d.conf')).toContain(`HomeAddress ${String(bound['homeAddress'])}/64;`);
    expect(await read(made, 'paa', 'clients')).toContain(family === 'ipv6' ? ' ::1 ' : ' 127.0.0.1 ');
    expect(await leasesOf(made)).toMatchObject([{ nai: MN, homeAddress: bound['homeAddress'] }]);

    expect(await pac.stop()).toBe(0);
    await aaa.line('lease released');
    await aaa.line('hook done', ({ event }) => event === 'down');
    await paa.line('hook done', ({ event }) => event === 'revoke');
    expect(await leasesOf(made)).toEqual([]);
    expect(await filesOf(made, 'mn1')).toEqual([]);
    expect(await read(made, 'aaa', 'psk.txt')).toBe('');
    expect(await read(made, 'paa', 'clients')).toBe('');
  });
});

describe('Local home agent', () => {
  it('is given to a node that asks for it, with a key from the PAA', async () => {
    const { lab: made, aaa, paa } = await network({ localHomeAgent: true });
    await made.addSubscriber(MN, 'mn1');
    const pac = await made.startPac('mn1', { mobility: { 'home-agent': 'local' } });
    const bound = await pac.line('bootstrap completed');
    const granted = await paa.line('local home agent granted');
    expect(bound).toMatchObject({ homeAgent: '2001:db8:a::1', fingerprint: granted['fingerprint'] });
    await paa.line('hook done', ({ role }) => role === 'ha');
    expect(await read(made, 'paa', 'psk.txt')).toContain(`${MN} 0x`);
    expect(await leasesOf(made)).toEqual([]);
    await pac.stop();
    await paa.line('hook done', ({ role, event }) => role === 'ha' && event === 'down');
    expect(await read(made, 'paa', 'psk.txt')).toBe('');
    expect(aaa.lines.some(({ msg }) => msg === 'lease assigned')).toBe(false);
  });

  it('is not given to a node that prefers the home network or to a subscriber without permission', async () => {
    const { lab: made, aaa } = await network({ localHomeAgent: true });
    await made.addSubscriber(MN, 'mn1');
    await made.addSubscriber('mn2@home.example', 'mn2', { localHomeAgent: false });
    const home = await made.startPac('mn1');
    const forbidden = await made.startPac('mn2', { mobility: { 'home-agent': 'local' } });
    expect(await home.line('bootstrap completed')).toMatchObject({ homeAgent: '2001:db8:1::1' });
    expect(await forbidden.line('bootstrap completed')).toMatchObject({ homeAgent: '2001:db8:1::1' });
    expect(aaa.lines.filter(({ msg }) => msg === 'lease assigned')).toHaveLength(2);
  });
});

describe('Access without Mobile IPv6', () => {
  it('is given to a node with mobility.mode off', async () => {
    const { lab: made, aaa } = await network();
    await made.addSubscriber(MN, 'mn1');
    const pac = await made.startPac('mn1', { mobility: { mode: 'off' } });
    await pac.line('session authorized');
    await aaa.line('authentication succeeded');
    expect(pac.lines.some(({ msg }) => msg === 'bootstrap completed' || msg === 'Mobile IPv6 unavailable')).toBe(false);
    expect(await leasesOf(made)).toEqual([]);
  });

  it('is given by a PAA that does not offer Mobile IPv6', async () => {
    const { lab: made } = await network({ paa: { mobility: { offer: false } } });
    await made.addSubscriber(MN, 'mn1');
    const pac = await made.startPac('mn1');
    await pac.line('session authorized');
    expect(await pac.line('Mobile IPv6 unavailable')).toMatchObject({ reason: 'none was assigned' });
    expect(await leasesOf(made)).toEqual([]);
  });

  it('is given to a subscriber without mip6, and when every home agent is full', async () => {
    const { lab: made, aaa } = await network({ capacity: 1 });
    await made.addSubscriber(MN, 'mn1', { mip6: false });
    await made.addSubscriber('mn2@home.example', 'mn2');
    await made.addSubscriber('mn3@home.example', 'mn3');
    await (await made.startPac('mn1')).line('session authorized');
    expect(await aaa.line('Mobile IPv6 unavailable')).toMatchObject({ nai: MN, reason: 'not-granted' });
    await (await made.startPac('mn2')).line('bootstrap completed');
    await (await made.startPac('mn3')).line('session authorized');
    expect(await aaa.line('Mobile IPv6 unavailable', ({ nai }) => nai === 'mn3@home.example')).toMatchObject({
      reason: 'no-home-agent',
    });
    expect(await leasesOf(made)).toHaveLength(1);
  });
});

describe('Two nodes on one home agent', () => {
  it('have different addresses and keys, and the end of one does not affect the other', async () => {
    const { lab: made, aaa } = await network();
    await Promise.all([made.addSubscriber(MN, 'mn1'), made.addSubscriber('mn2@home.example', 'mn2')]);
    const [one, two] = await Promise.all([made.startPac('mn1'), made.startPac('mn2')]);
    const bound = await Promise.all([one.line('bootstrap completed'), two.line('bootstrap completed')]);
    expect(new Set(bound.map(({ homeAddress }) => homeAddress)).size).toBe(2);
    expect(new Set(bound.map(({ fingerprint }) => fingerprint)).size).toBe(2);
    await Promise.all(
      [MN, 'mn2@home.example'].map((nai) => aaa.line('hook done', ({ subject }) => subject === `ha ${nai}`)),
    );
    const lines = (await read(made, 'aaa', 'psk.txt')).trim().split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual([MN, 'mn2@home.example']);
    const mip6d = await read(made, 'aaa', 'mip6d.conf');
    for (const { homeAddress } of bound) expect(mip6d).toContain(`BindingAclPolicy ${String(homeAddress)} allow;`);

    await one.stop();
    await aaa.line('hook done', ({ event, subject }) => event === 'down' && subject === `ha ${MN}`);
    const left = (await read(made, 'aaa', 'psk.txt')).trim().split('\n');
    expect(left.map((line) => line.split(' ')[0])).toEqual(['mn2@home.example']);
    expect(await leasesOf(made)).toMatchObject([{ nai: 'mn2@home.example' }]);
  });
});

describe('A refused node', () => {
  /** Asserts that no lease, hook file or logged assignment exists. */
  async function expectNothing(made: Lab, daemons: readonly DaemonProcess[]): Promise<void> {
    expect(await leasesOf(made)).toEqual([]);
    for (const name of ['mn1', 'aaa']) expect(await filesOf(made, name)).toEqual([]);
    // The enforcement point's hook notes that it is set up.
    expect(await filesOf(made, 'paa')).toEqual(['ep-set-up']);
    for (const { lines } of daemons) {
      expect(lines.some((line) => 'homeAddress' in line || 'homeAgent' in line || 'fingerprint' in line)).toBe(false);
    }
  }

  it.each(['1.2', '1.3'])('with a certificate of another CA gets nothing, TLS %s', async (tls) => {
    const { lab: made, aaa, paa } = await network();
    await made.addSubscriber(MN, 'mn1');
    const other = await makeCa('Another CA', 'p256', validFor(10));
    await writePem(made, 'mn1', await issueCertificate(other, { kind: 'client', nai: MN }, validFor(10)));
    const pac = await made.startPac('mn1', { tls: { 'min-version': tls, 'max-version': tls } });
    expect(await pac.line('session refused')).toMatchObject({ reason: 'authentication-rejected' });
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'other-ca' });
    await expectNothing(made, [pac, aaa, paa]);
  });

  it.each(['1.2', '1.3'])('with a certificate without a subscriber gets nothing, TLS %s', async (tls) => {
    const { lab: made, aaa, paa } = await network();
    await made.issueClient('mn1', 'stranger@home.example');
    const pac = await made.startPac('mn1', { tls: { 'min-version': tls, 'max-version': tls } });
    expect(await pac.line('session refused')).toMatchObject({ reason: 'authentication-rejected' });
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'no-subscriber' });
    await expectNothing(made, [pac, aaa, paa]);
  });

  it('with a certificate revoked after its first session gets nothing', async () => {
    const { lab: made, aaa, paa } = await network();
    await made.addSubscriber(MN, 'mn1');
    const pac = await made.startPac('mn1');
    await pac.line('bootstrap completed');
    await pac.stop();
    await aaa.line('hook done', ({ event }) => event === 'down');
    await paa.line('hook done', ({ event }) => event === 'revoke');
    await made.pki.revoke('mn1');
    aaa.signal('SIGHUP');
    await aaa.line('configuration reloaded');
    const again = await made.startPac('mn1');
    expect(await again.line('session refused')).toMatchObject({ reason: 'authentication-rejected' });
    expect(await aaa.line('authentication failed')).toMatchObject({ reason: 'revoked' });
    expect(await leasesOf(made)).toEqual([]);
    expect(await filesOf(made, 'mn1')).toEqual([]);
  });

  it('refuses an AAA server whose certificate has another name, and gets nothing', async () => {
    const { lab: made, aaa, paa } = await network();
    await made.addSubscriber(MN, 'mn1');
    const pac = await made.startPac('mn1', { tls: { 'server-name': 'other.example' } });
    await pac.line('session refused');
    expect(await pac.line('EAP failed')).toMatchObject({ reason: 'server-name' });
    expect(await callDaemon(made.socket('mn1'), 'GET', '/status')).toMatchObject({
      lastFailure: { reason: 'server-name', detail: expect.stringContaining('not other.example') },
    });
    await expectNothing(made, [pac, aaa, paa]);
  });
});

describe('A PaC while the AAA server is not running', () => {
  it('is rejected, and retries at growing intervals until the server is running again', async () => {
    const { lab: made, aaa } = await network({ paa: { diameter: { reconnect: '1s' } } });
    await made.addSubscriber(MN, 'mn1');
    await aaa.stop();
    const pac = await made.startPac('mn1', { retry: { first: '200ms', longest: '400ms' } });
    expect(await pac.line('session refused')).toMatchObject({ reason: 'authentication-rejected' });
    const waits = [await pac.line('session retry scheduled')];
    waits.push(await pac.line('session retry scheduled', (line) => line !== waits[0]));
    expect(Number(waits[1]?.duration)).toBeGreaterThan(Number(waits[0]?.duration));
    made.start('aaa', 'aaa', join(made.folder, 'aaa.yaml'));
    await pac.line('bootstrap completed');
  });
});

describe('Certificate validity', () => {
  it('limits session and lease', async () => {
    const { lab: made, aaa } = await network();
    await made.addSubscriber(MN, 'mn1');
    const ca = {
      certificatePem: await readFile(made.path('pki', 'ca.pem'), 'utf8'),
      keyPem: await readFile(made.path('pki', 'ca-key.pem'), 'utf8'),
    };
    const until = new Date(Date.now() + 600_000);
    const validity = { notBefore: new Date(Date.now() - DAY), notAfter: until };
    await writePem(made, 'mn1', await issueCertificate(ca, { kind: 'client', nai: MN }, validity));
    const pac = await made.startPac('mn1');
    expect(Number((await pac.line('session authorized'))['lifetime'])).toBeLessThanOrEqual(600);
    await aaa.line('lease assigned');
    const [lease] = await leasesOf(made);
    expect(lease?.expiresAt).toBeLessThanOrEqual(until.getTime());
  });
});

describe('PaC and PAA', () => {
  it.each([
    { pac: ['sha256', 'sha1'], paa: ['sha256', 'sha1'], protection: 'AUTH_HMAC_SHA2_256_128' },
    { pac: ['sha1'], paa: ['sha256', 'sha1'], protection: 'AUTH_HMAC_SHA1_160' },
    { pac: ['sha256', 'sha1'], paa: ['sha1'], protection: 'AUTH_HMAC_SHA1_160' },
  ])(
    'negotiate $protection with $pac at the PaC and $paa at the PAA',
    async ({ pac: ours, paa: theirs, protection }) => {
      const { lab: made } = await network({ hooks: false, paa: { pana: { prf: theirs, integrity: theirs } } });
      await made.addSubscriber(MN, 'mn1');
      const pac = await made.startPac('mn1', { pana: { prf: ours, integrity: ours } });
      expect(await pac.line('session authorized')).toMatchObject({ protection });
    },
  );

  it.each([true, false])(
    'start EAP in PAR[S] with pana.optimised-start, which saves one PAR; piggybacking %s',
    async (piggyback) => {
      const parsReceived = async (pana: Record<string, boolean>) => {
        const { lab: made } = await network({ paa: { pana } });
        await made.addSubscriber(MN, 'mn1');
        const pac = await made.startPac('mn1', { pana: { 'piggyback-responses': piggyback } });
        await pac.line('bootstrap completed');
        if (pana['ip-reconfiguration']) await pac.line('hook done', ({ event }) => event === 'reconfigure');
        await made.close();
        return pac.lines.filter(({ msg, message }) => msg === 'message received' && message === 'PAR').length;
      };
      const optimised = await parsReceived({ 'optimised-start': true, 'ip-reconfiguration': true });
      // The first PAR starts EAP-TLS at once.
      expect(await parsReceived({})).toBe(optimised + 1);
    },
  );

  it('let the AAA server request the identity with pana.identity-request, which takes one more DER', async () => {
    const dersSent = async (more: Record<string, object>) => {
      const { lab: made, paa } = await network({ hooks: false, paa: more });
      await made.addSubscriber(MN, 'mn1');
      const pac = await made.startPac('mn1');
      await pac.line('bootstrap completed');
      await made.close();
      return paa.lines.filter(({ msg, message }) => msg === 'message sent' && message === 'DER').length;
    };
    const routes = [{ realm: 'home.example', peers: ['aaa.home.example'] }];
    const asked = await dersSent({ pana: { 'identity-request': 'server' }, diameter: { routes } });
    expect(asked).toBe((await dersSent({})) + 1);
  });

  it('limit EAP packets to Framed-MTU and eap.mtu', async () => {
    const { lab: made } = await network({ hooks: false, paa: { nas: { 'framed-mtu': 300 } } });
    await made.addSubscriber(MN, 'mn1');
    const pac = await made.startPac('mn1', { eap: { mtu: 200 } });
    await pac.line('bootstrap completed');
    const largest = (msg: LogEvent) =>
      Math.max(
        ...pac.lines.flatMap((line) =>
          line.msg === msg && (line['message'] === 'PAR' || line['message'] === 'PAN') ? [Number(line['octets'])] : [],
        ),
      );
    // PANA adds its header of 16 octets, the AVP header of 8, and padding.
    expect(largest('message received')).toBe(16 + 8 + 300);
    expect(largest('message sent')).toBe(16 + 8 + 200);
  });
});

describe('Hook of the home agent', () => {
  /** A hook that blocks until its output is read. */
  async function blockingHook(made: Lab): Promise<{ readonly program: string; release(): Promise<unknown> }> {
    const pipe = made.path('pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    const program = made.path('blocking.sh');
    await writeFile(program, `#!/bin/sh\n[ "$1" = down ] || echo done > ${pipe}\n`);
    await chmod(program, 0o755);
    return { program, release: () => readFile(pipe) };
  }

  async function begun(wait: string) {
    const made = await Lab.make({ aaa: { hooks: { wait } } });
    lab = made;
    const { program, release } = await blockingHook(made);
    const { daemon, place } = await made.startAaa();
    await daemon.stop();
    const config = made.path('aaa.yaml');
    await writeFile(config, (await readFile(config, 'utf8')).replace(/ha: .*/, `ha: ${program}`));
    const aaa = made.start('aaa', 'aaa', config);
    await aaa.line('ready');
    const { daemon: paa } = await made.startPaa(place);
    await made.addSubscriber(MN, 'mn1');
    return { aaa, paa, pac: await made.startPac('mn1'), release };
  }

  it('does not delay the answer longer than hooks.wait', async () => {
    const { aaa, pac, release } = await begun('50ms');
    await pac.line('bootstrap completed');
    expect(aaa.lines.some(({ msg }) => msg === 'hook done')).toBe(false);
    await release();
    await aaa.line('hook done');
  });

  it('ends before the answer if it takes less than hooks.wait', async () => {
    const { aaa, paa, pac, release } = await begun('30s');
    await aaa.line('lease assigned');
    await release();
    const hook = await aaa.line('hook done');
    const bound = await pac.line('bootstrap completed');
    expect(bound.at).toBeGreaterThan(hook.at);
    expect(paa.lines.some(({ msg, at }) => msg === 'session authorized' && at < hook.at)).toBe(false);
  });
});
