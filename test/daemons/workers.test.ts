import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { Lab, REALM } from '../../dist/lab/lab.js';
import { BenchNode } from '../../dist/load/node.js';
import { createPeerCredentials } from '../../dist/runtime/eap/tls-peer.js';
import { callDaemon } from '../../dist/runtime/service/control.js';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

/** Preloaded by all threads: of the TLS threads, the one that removes the file throws. */
const killer = (file: string) =>
  `data:text/javascript,${encodeURIComponent(`
import { workerData } from 'node:worker_threads';
import { unlinkSync } from 'node:fs';
const look = () => {
  try {
    unlinkSync(${JSON.stringify(file)});
  } catch {
    return;
  }
  throw new Error('killed by the test');
};
if (workerData?.settings) setInterval(look, 20);
`)}`;

it('An AAA server with two workers resumes in both, reloads both, and replaces one that ends', {
  timeout: 240_000,
}, async () => {
  let file = '';
  const launcher = (daemon: string) => (daemon === 'aaa' ? ['env', `NODE_OPTIONS=--import=${killer(file)}`] : []);
  const made = await Lab.make({ hooks: false, logLevel: 'info', aaa: { workers: 2 }, launcher });
  lab = made;
  file = made.path('kill');
  const { daemon, place } = await made.startAaa();
  const { place: paa } = await made.startPaa(place);
  const pem = (name: string) => readFile(made.path('pki', `${name}.pem`), 'utf8');
  const nodeOf = async (name: string) => {
    await made.addSubscriber(`${name}@${REALM}`, name);
    const [caPem, certificatePem, keyPem] = [await pem('ca'), await pem(name), await pem(`${name}-key`)];
    const credentials = createPeerCredentials({ caPem, certificatePem, keyPem, serverName: REALM });
    return async () => {
      const node = new BenchNode(paa, credentials);
      try {
        await node.bootstrap();
        await node.terminate();
      } catch (error) {
        await node.abandon();
        throw error;
      }
    };
  };
  const entered = () =>
    daemon.lines.filter(({ msg }) => msg === 'authentication succeeded').map(({ resumed }) => resumed);
  const enter = await nodeOf('mn1');
  for (let i = 0; i < 4; i += 1) await enter();
  expect(entered()).toEqual([false, true, true, true]);

  // A worker ends while others authenticate.
  const others = await Promise.all(['mn2', 'mn3', 'mn4', 'mn5'].map(nodeOf));
  const during = others.map((each) => each().catch(() => undefined));
  await writeFile(file, '');
  expect(await daemon.line('worker ended')).toMatchObject({ reason: 'killed by the test', pause: 0 });
  await Promise.all(during);
  await daemon.line('worker replaced');
  for (const each of others) await each();
  const before = entered().length;
  for (let i = 0; i < 4; i += 1) await enter();
  expect(entered().slice(before)).toEqual([true, true, true, true]);
  const metrics = String(await callDaemon(made.socket('aaa'), 'GET', '/metrics'));
  expect(metrics).toMatch(/^pana_aaa_workers 2$/m);
  expect(metrics).toMatch(/^pana_aaa_workers_ended_total 1$/m);

  daemon.signal('SIGHUP');
  await daemon.line('configuration reloaded');
  for (let i = 0; i < 2; i += 1) await enter();
  expect(entered().slice(before)).toEqual([true, true, true, true, true, true]);

  await made.pki.revoke('mn1');
  daemon.signal('SIGHUP');
  await daemon.line('CRL reloaded', () => true);
  for (let i = 0; i < 2; i += 1) await expect(enter()).rejects.toThrow();
  const refused = daemon.lines.filter(({ msg }) => msg === 'authentication failed').map(({ reason }) => reason);
  expect(refused).toEqual(['revoked', 'revoked']);

  const last = others.map((each) => each().catch(() => undefined));
  expect(await daemon.stop()).toBe(0);
  expect(daemon.lines.some(({ msg }) => msg === 'stopped')).toBe(true);
  expect(daemon.errors).toBe('');
  await Promise.all(last);
});
