import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Lab, Place } from '../../../dist/lab/lab.js';
import { eventually, within } from '../../eventually.js';
import { SECRET } from './eapol.js';

/** A UDP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await within(once(socket, 'listening'), 'a free port');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** FreeRADIUS of Debian with a configuration of its own: a proxy in front of the AAA server, and a NAS for RFC 5176. */
export class FreeRadius {
  readonly #child: ChildProcess;
  readonly lines: string[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.lines.push(line));
  }

  /** `ports`: for authentication, accounting, and requests of the AAA server. `coa`: its policy for these. */
  static async start(
    lab: Lab,
    aaa: { readonly place: Place; readonly accounting: Place },
    ports: readonly [auth: number, acct: number, coa: number],
    coa = 'ok',
  ): Promise<FreeRadius> {
    const folder = lab.path('freeradius');
    await mkdir(folder, { recursive: true });
    const [auth, acct, dynamic] = ports;
    const listen = (type: string, port: number, server: string) =>
      section('listen', `type = ${type}`, 'ipaddr = 127.0.0.1', `port = ${port}`, `virtual_server = ${server}`);
    const secret = `secret = "${SECRET}"`;
    const home = (name: string, type: string, { address, port }: Place) =>
      section(`home_server ${name}`, `type = ${type}`, `ipaddr = ${address}`, `port = ${port}`, secret) +
      section(`home_server_pool ${name}`, 'type = fail-over', `home_server = ${name}`);
    const toRealm = 'update control {\n&Proxy-To-Realm := "home.example"\n}';
    await writeFile(
      `${folder}/radiusd.conf`,
      `prefix = /usr
confdir = ${folder}
run_dir = ${folder}
logdir = ${folder}
libdir = /usr/lib/freeradius
pidfile = ${folder}/pid
proxy_requests = yes
${section('log', 'destination = stdout')}
${section('security', 'allow_vulnerable_openssl = yes')}
${section('proxy server', 'default_fallback = no')}
${home('pana', 'auth', aaa.place)}
${home('pana_acct', 'acct', aaa.accounting)}
${section('realm home.example', 'auth_pool = pana', 'acct_pool = pana_acct', 'nostrip')}
${section('client lo', 'ipaddr = 127.0.0.0/8', secret)}
${section('modules', 'always ok {\nrcode = ok\n}', 'always reject {\nrcode = reject\n}')}
${listen('auth', auth, 'proxy')}
${listen('acct', acct, 'proxy')}
${listen('coa', dynamic, 'dynamic')}
${section('server proxy', section('authorize', toRealm), section('preacct', toRealm))}
${section('server dynamic', section('recv-coa', coa))}
`,
    );
    const child = spawn('freeradius', ['-f', '-X', '-d', folder, '-n', 'radiusd'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const server = new FreeRadius(child);
    const ready = eventually(() => {
      if (!server.lines.some((line) => line.includes('Ready to process requests'))) throw new Error('not ready');
    });
    const ended = once(child, 'exit').then(() => {
      throw new Error(`freeradius ended: ${server.lines.slice(-5).join('\n')}`);
    });
    await Promise.race([ready, ended]);
    ended.catch(() => undefined);
    return server;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await within(ended, 'freeradius ends');
  }
}

/** A section of FreeRADIUS's configuration. */
function section(name: string, ...lines: readonly string[]): string {
  return `${name} {\n${lines.join('\n')}\n}\n`;
}
