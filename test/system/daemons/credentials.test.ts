import { readFile, rename, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab } from '../../../dist/lab/lab.js';
import { DAY, makeCa, makeCrl, validFor } from '../../../src/pki/certificate-authority.js';
import type { LogEvent } from '../../../src/runtime/log/events.js';
import { callDaemon } from '../../../src/runtime/service/control.js';
import { run } from '../../daemons/program.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

const said = (daemon: DaemonProcess, message: LogEvent) => daemon.lines.filter(({ msg }) => msg === message);

/** A validity that began nine days ago and lasts for this many more days. */
const nearEnd = (days: number) => ({
  notBefore: new Date(Date.now() - 9 * DAY),
  notAfter: new Date(Date.now() + days * DAY),
});

describe('Changed certificate files', () => {
  it('are loaded without SIGHUP by server and node, and an invalid one changes nothing', async () => {
    lab = await Lab.make();
    const made = lab;
    const { daemon: aaa, place } = await made.startAaa();
    await made.startPaa(place);
    await made.addSubscriber('mn1@home.example', 'mn1');
    const pac = await made.startPac('mn1');
    await pac.line('bootstrap completed');

    await made.pki.renew('aaa', validFor(20));
    expect(await aaa.line('certificates reloaded')).toMatchObject({ file: made.path('pki', 'aaa.pem') });
    // Certificate and key are written one after the other.
    await made.pki.renew('aaa', validFor(25), { kind: undefined });
    await aaa.line('certificates reloaded', (line) => said(aaa, 'certificates reloaded').indexOf(line) === 1);
    expect(said(aaa, 'certificates not reloaded')).toEqual([]);

    const good = await readFile(made.path('pki', 'aaa.pem'));
    await writeFile(made.path('pki', 'aaa.pem'), 'broken');
    expect(await aaa.line('certificates not reloaded')).toMatchObject({
      reason: expect.stringContaining('contains no certificate in PEM') as string,
    });
    await made.pki.renew('mn1', validFor(20));
    await pac.line('certificates reloaded');
    const authorized = said(aaa, 'authentication succeeded').length;
    await callDaemon(made.socket('mn1'), 'POST', '/reauth');
    await aaa.line(
      'authentication succeeded',
      (line) => said(aaa, 'authentication succeeded').indexOf(line) === authorized,
    );
    await writeFile(made.path('good.pem'), good);
    await rename(made.path('good.pem'), made.path('pki', 'aaa.pem'));
    await aaa.line('certificates reloaded', (line) => said(aaa, 'certificates reloaded').indexOf(line) === 2);
  });

  it('of Diameter are loaded with their CRL by server and PAA', async () => {
    lab = await Lab.make();
    const made = lab;
    await made.issueServer('paa', ['paa.access.example']);
    const files = (name: string) => ({
      ca: made.path('pki', 'ca.pem'),
      certificate: made.path('pki', `${name}.pem`),
      key: made.path('pki', `${name}-key.pem`),
      crl: made.path('pki', 'crl.pem'),
    });
    const { daemon: aaa, place } = await made.startAaa('aaa', {
      diameter: { tls: { ...files('aaa'), port: 0 } },
    });
    const { daemon: paa } = await made.startPaa(place, 'paa', { diameter: { tls: files('paa') } });
    await made.pki.renew('paa', validFor(20));
    await paa.line('certificates reloaded');
    await made.pki.renewCrl(40);
    await aaa.line('CRL reloaded');
    await paa.line('CRL reloaded');
  });
});

describe('An expiring certificate, CA or CRL', () => {
  it('is reported in the log, in metrics and by check-config', async () => {
    lab = await Lab.make();
    const made = lab;
    await made.pki.issue('old', { kind: 'server', hosts: ['aaa.home.example'] }, nearEnd(2.5));
    const ca = { certificatePem: await readFile(made.path('pki', 'ca.pem'), 'utf8'), keyPem: '' };
    ca.keyPem = await readFile(made.path('pki', 'ca-key.pem'), 'utf8');
    const { notBefore, notAfter } = nearEnd(-0.5);
    await writeFile(made.path('crl.pem'), await makeCrl(ca, [], notBefore, notAfter));
    const gone = await makeCa('Gone CA', 'p256', nearEnd(-0.5));
    await writeFile(made.path('ca.pem'), gone.certificatePem + ca.certificatePem);
    const tls = {
      ca: made.path('ca.pem'),
      certificate: made.path('pki', 'old.pem'),
      key: made.path('pki', 'old-key.pem'),
      crl: made.path('crl.pem'),
    };
    const { daemon: aaa } = await made.startAaa('aaa', { tls });
    const lines = aaa.lines.filter(({ msg }) => msg === 'credential expiring' || msg === 'credential expired');
    expect(lines.map(({ msg, level, option, days }) => [option, msg, level, days])).toEqual([
      ['tls.certificate', 'credential expiring', 40, 2],
      ['tls.ca', 'credential expired', 40, -1],
      ['tls.crl', 'credential expired', 50, -1],
    ]);
    const metrics = String(await callDaemon(made.socket('aaa'), 'GET', '/metrics'));
    const end = Math.floor(nearEnd(2.5).notAfter.getTime() / 1000);
    const shown = /^pana_aaa_expiry_timestamp_seconds\{key="tls.certificate"\} (\d+)$/m.exec(metrics)?.[1];
    expect(Math.abs(Number(shown) - end)).toBeLessThan(120);

    const checked = await run('aaa', ['check-config', '-c', made.path('aaa.yaml')]);
    expect(checked.status).toBe(0);
    expect(checked.stdout).toContain('The configuration is valid.');
    expect(checked.stderr).toMatch(
      /^warning: tls\.certificate: .*old\.pem \(CN=aaa\.home\.example\) expires in 2 days/m,
    );
    expect(checked.stderr).toMatch(/^warning: tls\.ca: .*ca\.pem \(CN=Gone CA\) has expired/m);
    expect(checked.stderr).toMatch(/^warning: tls\.crl: .*crl\.pem \(CRL of .*Lab CA\) has expired/m);
  });
});
