import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import { eventually, within } from '../../eventually.js';
import { announce, missing } from '../access-network.js';
import { eapol, runProgram, SECRET, valuesOf } from './eapol.js';
import { freePort } from './freeradius.js';

const MN = 'mn1@home.example';

/** radsecproxy of Debian: RADIUS over UDP in, RADIUS over TLS out, or the other way. */
class RadsecProxy {
  readonly #child: ChildProcess;
  readonly place: Place;
  readonly lines: string[] = [];

  private constructor(child: ChildProcess, place: Place) {
    this.#child = child;
    this.place = place;
    if (child.stderr) createInterface({ input: child.stderr }).on('line', (line) => this.lines.push(line));
  }

  /** `certificate`: of the lab's CA, by which the server knows this client. */
  static start(lab: Lab, server: Place, certificate: string): Promise<RadsecProxy> {
    return RadsecProxy.#run(
      lab,
      certificate,
      'UDP',
      `client 127.0.0.1 {
  type udp
  secret "${SECRET}"
}
server pana {
  host ${server.address}
  port ${server.port}
  type tls
  tls default
  secret radsec
  statusServer on
  certificateNameCheck off
  matchCertificateAttribute SubjectAltName:DNS:/^aaa\\.home\\.example$/
}
realm * {
  server pana
  accountingServer pana
}
`,
    );
  }

  /** Stands in front of servers that know RADIUS over UDP only. */
  static startTls(lab: Lab, { authentication, accounting }: Readonly<Record<string, Place>>): Promise<RadsecProxy> {
    const server = (name: string, { address, port }: Place = { address: '', port: 0 }) => `server ${name} {
  host ${address}
  port ${port}
  type udp
  secret "${SECRET}"
  statusServer on
}
`;
    return RadsecProxy.#run(
      lab,
      'aaa',
      'TLS',
      `client paa {
  host 127.0.0.1
  type tls
  tls default
  secret radsec
  certificateNameCheck off
  matchCertificateAttribute SubjectAltName:DNS:/^ap1\\.access\\.example$/
}
${server('auth', authentication)}${server('acct', accounting)}realm * {
  server auth
  accountingServer acct
}
`,
    );
  }

  static async #run(lab: Lab, certificate: string, kind: 'UDP' | 'TLS', text: string): Promise<RadsecProxy> {
    const place = { address: '127.0.0.1', port: await freePort() };
    const pki = (file: string) => lab.path('pki', file);
    const path = lab.path(`radsecproxy-${kind}-${certificate}.conf`);
    await writeFile(
      path,
      `LogLevel 2
LogDestination x-stderr:///
Listen${kind} ${place.address}:${place.port}
tls default {
  CACertificateFile ${pki('ca.pem')}
  CertificateFile ${pki(`${certificate}.pem`)}
  CertificateKeyFile ${pki(`${certificate}-key.pem`)}
}
${text}`,
      { mode: 0o600 },
    );
    const child = spawn('radsecproxy', ['-f', '-c', path], { stdio: ['ignore', 'ignore', 'pipe'] });
    const proxy = new RadsecProxy(child, place);
    await eventually(() => {
      if (child.exitCode !== null) throw new Error(proxy.lines.join('\n'));
      expect(proxy.lines.join('\n')).toMatch(/listening for (udp|tls)/i);
    });
    return proxy;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await within(ended, 'radsecproxy ends');
  }
}

const isReady = announce('radsecproxy in front of the AAA server', missing('radsecproxy', 'eapol_test', 'radclient'));

describe.skipIf(!isReady)('Behind radsecproxy', () => {
  let lab: Lab;
  let aaa: DaemonProcess;
  let server: Place;
  /** Of authentication, accounting and RadSec. */
  let places: Place[];
  const proxies: RadsecProxy[] = [];

  beforeAll(async () => {
    lab = await Lab.make({ family: 'ipv4' });
    for (const name of ['ap1', 'ap9']) await lab.issueServer(name, [`${name}.access.example`]);
    const pki = (file: string) => lab.path('pki', file);
    const secretFile = lab.path('proxy.secret');
    await writeFile(secretFile, `${SECRET}\n`, { mode: 0o600 });
    ({ daemon: aaa } = await lab.startAaa('aaa', {
      radius: {
        listen: ['127.0.0.1'],
        port: 0,
        'accounting-port': 0,
        tls: { ca: pki('ca.pem'), certificate: pki('aaa.pem'), key: pki('aaa-key.pem'), crl: pki('crl.pem'), port: 0 },
        clients: [
          { name: 'ap1', certificate: 'ap1.access.example', dae: { over: 'radsec' } },
          { name: 'proxy', from: ['127.0.0.1'], 'secret-file': secretFile },
        ],
      },
    }));
    places = (await aaa.line('ready'))['listening'] as Place[];
    server = places.at(-1) as Place;
    await lab.addSubscriber(MN, 'mn1');
  });

  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await lab.close();
  });

  async function start(certificate: string): Promise<RadsecProxy> {
    const proxy = await RadsecProxy.start(lab, server, certificate);
    proxies.push(proxy);
    return proxy;
  }

  it('a node authenticates, and its accounting ends the session', async () => {
    const proxy = await start('ap1');
    const { status, output } = await eapol(lab, proxy.place, 'mn1', { attributes: ['124:x:0000000000000001'] });
    // radsecproxy hides the keys anew, with the secret of the access point.
    expect(output).toMatch(/MPPE keys OK: 1 {2}mismatch: 0/);
    expect(status).toBe(0);
    expect((await lab.leases()).map(({ sessionId }) => sessionId)).toEqual([expect.stringMatching(/^radius;ap1;/)]);
    const [sessionClass = ''] = valuesOf(output, 25);
    const { output: stopped } = await runProgram(
      'radclient',
      ['-x', '-r', '3', '-t', '5', `127.0.0.1:${proxy.place.port}`, 'acct', SECRET],
      `User-Name = "@home.example", Acct-Session-Id = "5", Acct-Status-Type = Stop, Class = 0x${sessionClass}\n`,
    );
    expect(stopped).toContain('Received Accounting-Response');
    expect(await aaa.line('session ended')).toMatchObject({ known: true });
    expect(await lab.leases()).toEqual([]);
  });

  it('a PAA over RadSec gets a node in, and its accounting ends the session', async () => {
    const [authentication, accounting] = places.slice(-3) as [Place, Place];
    const proxy = await RadsecProxy.startTls(lab, { authentication, accounting });
    proxies.push(proxy);
    const pki = (file: string) => lab.path('pki', file);
    const tls = { ca: pki('ca.pem'), certificate: pki('ap1.pem'), key: pki('ap1-key.pem') };
    const servers = [{ ...proxy.place, certificate: 'aaa.home.example' }];
    const radius = { servers, tls };
    const tree = { aaa: 'radius', nas: { identifier: 'ap1.access.example' }, radius };
    const { daemon: paa } = await lab.startPaa({ address: lab.address, port: 1 }, 'paa', tree);
    const pac = await lab.startPac('mn1');
    expect(await pac.line('bootstrap completed')).toMatchObject({ homeAgentHost: 'ha1.home.example' });
    await paa.line('session authorized');
    await pac.stop();
    await aaa.line('session ended', ({ reason }) => reason === 'User-Request');
    await eventually(async () => expect(await lab.leases()).toEqual([]));
  });

  it('with a certificate of no client gets no answer', async () => {
    const proxy = await start('ap9');
    const { status, output } = await eapol(lab, proxy.place, 'mn1', { timeout: 1 });
    expect(status).not.toBe(0);
    expect(output).not.toContain('Received RADIUS message');
    await aaa.line('RADIUS packet discarded', ({ reason }) => reason === 'unknown-client');
  });
});
