import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Clock ticks per second of /proc/PID/stat, which Linux fixes for programs. */
const TICKS = 100;

const READY = 10_000;
const LOOK_EVERY = 100;

/** What other programs need for the same authentication, in CPU milliseconds; or why that is not known. */
export type PeerFigure = { readonly milliseconds: number } | { readonly absent: string };

/** PEM files of a CA, of a server and of a client. */
export interface PeerFiles {
  readonly ca: string;
  readonly server: string;
  readonly serverKey: string;
  readonly client: string;
  readonly clientKey: string;
}

/** CPU milliseconds of a process and its threads so far. */
export function cpuOfStat(stat: string): number {
  // The name of the program, in parentheses, may contain blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}

async function cpuOf({ pid }: ChildProcess): Promise<number> {
  return cpuOfStat(await readFile(`/proc/${pid}/stat`, 'utf8'));
}

async function missing(...programs: readonly string[]): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'measured on Linux only';
  for (const program of programs) {
    const found = await run('sh', ['-c', `command -v ${program} || ls /usr/sbin/${program}`]).catch(() => undefined);
    if (!found) return `${program} is not installed`;
  }
  return undefined;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits until `isReady`. Resolves with false after READY. */
async function until(isReady: () => Promise<boolean>): Promise<boolean> {
  for (let waited = 0; waited < READY; waited += LOOK_EVERY) {
    if (await isReady()) return true;
    await pause(LOOK_EVERY);
  }
  return false;
}

/**
 * A bare TLS 1.3 handshake with client certificate: CPU of `openssl s_server`, with TCP and two tickets, while
 * `openssl s_time` connects for some seconds.
 */
export async function measureOpenssl(files: PeerFiles, seconds: number): Promise<PeerFigure> {
  const absent = await missing('openssl');
  if (absent !== undefined) return { absent };
  const port = await freePort();
  const server = spawn(
    'openssl',
    ['s_server', '-accept', `127.0.0.1:${port}`, '-cert', files.server, '-key', files.serverKey].concat([
      '-CAfile',
      files.ca,
      '-Verify',
      '2',
      '-verify_return_error',
      '-tls1_3',
      '-www',
      '-quiet',
    ]),
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  try {
    const client = ['-cert', files.client, '-key', files.clientKey, '-CAfile', files.ca];
    const connect = async (time: number) => {
      const words = ['s_time', '-connect', `127.0.0.1:${port}`, '-new', '-tls1_3', '-time', String(time), ...client];
      const { stdout } = await run('openssl', words);
      return Number(/(\d+) connections in \d+ real/.exec(stdout)?.[1] ?? 0);
    };
    if (
      !(await until(() =>
        connect(1).then(
          (count) => count > 0,
          () => false,
        ),
      ))
    )
      return { absent: 'openssl s_server did not start' };
    const before = await cpuOf(server);
    const count = await connect(seconds);
    return { milliseconds: ((await cpuOf(server)) - before) / count };
  } finally {
    server.kill('SIGKILL');
  }
}

const SECRET = 'bench';

/** FreeRADIUS's grammar has one item a line. */
function radiusConfig(folder: string, port: number, files: PeerFiles): string {
  return `prefix = /usr
raddbdir = ${folder}
logdir = ${folder}
run_dir = ${folder}
libdir = /usr/lib/freeradius
pidfile = ${folder}/radiusd.pid
max_requests = 16384
log {
  destination = files
  file = ${folder}/radius.log
}
client bench {
  ipaddr = 127.0.0.1
  secret = ${SECRET}
}
thread pool {
  start_servers = 2
  max_servers = 4
}
modules {
  eap {
    default_eap_type = tls
    max_sessions = 16384
    tls-config tls-common {
      private_key_file = ${files.serverKey}
      certificate_file = ${files.server}
      ca_file = ${files.ca}
      tls_min_version = "1.2"
      tls_max_version = "1.3"
      fragment_size = 1100
      cache {
        enable = no
      }
    }
    tls {
      tls = tls-common
    }
  }
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = ${port}
  }
  authorize {
    eap {
      ok = return
    }
  }
  authenticate {
    eap
  }
}
`;
}

const clientConfig = (files: PeerFiles) => `fast_reauth=0
network={
  key_mgmt=IEEE8021X
  eap=TLS
  identity="@home.example"
  ca_cert="${files.ca}"
  client_cert="${files.client}"
  private_key="${files.clientKey}"
  fragment_size=1100
  phase1="tls_disable_tlsv1_3=0"
}
`;

/** A FreeRADIUS with EAP-TLS that eapol_test asks. */
export class Radius {
  readonly #folder: string;
  readonly #port: number;
  readonly #server: ChildProcess;

  private constructor(folder: string, port: number, server: ChildProcess) {
    this.#folder = folder;
    this.#port = port;
    this.#server = server;
  }

  /** `folder`: an empty folder for its files. */
  static async start(folder: string, files: PeerFiles): Promise<Radius | { readonly absent: string }> {
    const absent = await missing('freeradius', 'eapol_test');
    if (absent !== undefined) return { absent };
    const port = await freePort();
    await writeFile(join(folder, 'radiusd.conf'), radiusConfig(folder, port, files));
    await writeFile(join(folder, 'eapol.conf'), clientConfig(files));
    const server = spawn('freeradius', ['-f', '-d', folder, '-n', 'radiusd'], { stdio: 'ignore' });
    server.on('error', () => undefined);
    const radius = new Radius(folder, port, server);
    if (
      await until(() =>
        radius.#authenticate(0).then(
          () => true,
          () => false,
        ),
      )
    )
      return radius;
    radius.stop();
    return { absent: `freeradius did not authenticate (${folder}/radius.log)` };
  }

  /** CPU of FreeRADIUS for one authentication; `each` by every one of `atOnce` clients. */
  async measure(atOnce: number, each: number): Promise<PeerFigure> {
    const before = await cpuOf(this.#server);
    await Promise.all(Array.from({ length: atOnce }, () => this.#authenticate(each - 1)));
    return { milliseconds: ((await cpuOf(this.#server)) - before) / (atOnce * each) };
  }

  stop(): void {
    this.#server.kill('SIGKILL');
  }

  /** One authentication, and as many further ones, each a full handshake. */
  async #authenticate(more: number): Promise<void> {
    const words = ['-c', join(this.#folder, 'eapol.conf'), '-a', '127.0.0.1', '-p', String(this.#port), '-s', SECRET];
    await run('eapol_test', [...words, '-t', '60', '-r', String(more)], { maxBuffer: 2 ** 28 });
  }
}
