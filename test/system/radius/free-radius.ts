import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../../../dist/lab/lab.js';
import { eventually } from '../../eventually.js';

export const SECRET = 'correct horse battery staple';

/** UDP ports of this address that nothing uses now. */
export async function freePorts(address: string, count: number): Promise<number[]> {
  const sockets = Array.from({ length: count }, () => createSocket(address.includes(':') ? 'udp6' : 'udp4'));
  const ports = await Promise.all(
    sockets.map(async (socket) => {
      socket.bind({ address, port: 0 });
      await once(socket, 'listening');
      return socket.address().port;
    }),
  );
  await Promise.all(sockets.map((socket) => once(socket.close(), 'close')));
  return ports;
}

/** FreeRADIUS's grammar has one item a line. */
function configuration(
  folder: string,
  lab: Lab,
  address: string,
  port: number,
  accounting: number,
  more: string,
): string {
  const family = address.includes(':') ? 'ipv6addr' : 'ipaddr';
  const listen = (type: string, at: number) => `
  listen {
    type = ${type}
    ${family} = ${address}
    port = ${at}
  }`;
  return `
prefix = ${folder}
localstatedir = ${folder}
libdir = /usr/lib/freeradius
pidfile = ${folder}/radiusd.pid
log {
  destination = files
  file = ${folder}/radius.log
}
security {
  status_server = yes
}
client paa {
  ${family} = ${address}
  secret = "${SECRET}"
  require_message_authenticator = yes
}
thread pool {
  start_servers = 1
  max_servers = 2
}
modules {
  detail {
    filename = ${folder}/detail
  }
  eap {
    default_eap_type = tls
    tls-config tls-common {
      private_key_file = ${lab.path('pki', 'aaa-key.pem')}
      certificate_file = ${lab.path('pki', 'aaa.pem')}
      ca_file = ${lab.path('pki', 'ca.pem')}
      tls_min_version = "1.2"
      tls_max_version = "1.3"
      fragment_size = 1000
    }
    tls {
      tls = tls-common
    }
  }
}
server default {
  ${listen('auth', port)}
  ${listen('acct', accounting)}
  authorize {
    eap
  }
  authenticate {
    eap
  }
  post-auth {
    update reply {
      ${more}
    }
  }
  accounting {
    detail
  }
}
`;
}

/** A FreeRADIUS with EAP-TLS and the certificates of a lab, run by hand. */
export class FreeRadius {
  readonly #folder: string;
  readonly address: string;
  readonly port: number;
  readonly accountingPort: number;
  #process: ChildProcess | undefined;

  private constructor(folder: string, address: string, port: number, accountingPort: number) {
    this.#folder = folder;
    this.address = address;
    this.port = port;
    this.accountingPort = accountingPort;
  }

  /** `more`: lines of attributes for an Access-Accept. */
  static async start(
    lab: Lab,
    name = 'radius',
    address = lab.address,
    more = 'Session-Timeout = 600',
  ): Promise<FreeRadius> {
    const folder = lab.path(name);
    await mkdir(folder);
    const [port = 0, accountingPort = 0] = await freePorts(address, 2);
    const server = new FreeRadius(folder, address, port, accountingPort);
    await writeFile(join(folder, 'radiusd.conf'), configuration(folder, lab, address, port, accountingPort, more));
    await writeFile(join(folder, 'secret'), `${SECRET}\n`, { mode: 0o600 });
    await server.run();
    return server;
  }

  /** What the configuration of a PAA says about this server. */
  get section() {
    const { address, port, accountingPort } = this;
    return { address, port, 'accounting-port': accountingPort, 'secret-file': join(this.#folder, 'secret') };
  }

  /** The name of the server in logs. */
  get name(): string {
    return this.address.includes(':') ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`;
  }

  /** Starts it, again if it was stopped. */
  async run(): Promise<void> {
    await writeFile(join(this.#folder, 'radius.log'), '');
    this.#process = spawn(
      'freeradius',
      ['-f', '-l', join(this.#folder, 'radius.log'), '-d', this.#folder, '-n', 'radiusd'],
      { stdio: 'ignore' },
    );
    this.#process.on('error', () => undefined);
    await eventually(async () => {
      const log = await this.log();
      if (!log.includes('Ready to process requests')) throw new Error(`FreeRADIUS did not start: ${log}`);
    });
  }

  log(): Promise<string> {
    return readFile(join(this.#folder, 'radius.log'), 'utf8').catch(() => '');
  }

  /** The Accounting-Requests that it has received, as it writes them. */
  async accounting(): Promise<string[]> {
    const text = await readFile(join(this.#folder, 'detail'), 'utf8').catch(() => '');
    return text.split('\n\n').filter((record) => record.trim() !== '');
  }

  /** Kills it. */
  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  }
}
