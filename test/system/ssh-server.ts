import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { access, chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PROGRAM = '/usr/sbin/sshd';
/** The privilege separation folder of sshd when root starts it. */
const EMPTY = '/run/sshd';

/** Why tests with sshd are skipped; undefined: they can run. */
export async function sshMissing(): Promise<string | undefined> {
  const there = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );
  if (process.platform !== 'linux') return 'they need Linux';
  if (!(await there(PROGRAM))) return 'they need sshd';
  if (!(await there('/usr/bin/ssh'))) return 'they need ssh';
  if (process.getuid?.() === 0 && !(await there(EMPTY))) await mkdir(EMPTY, { mode: 0o755 });
  return undefined;
}

interface SshOptions {
  /** Default: 127.0.0.1. */
  readonly address?: string;
  /** A free port by default. */
  readonly port?: number;
  /** A command line prefix, such as one that enters a network namespace. */
  readonly launcher?: readonly string[];
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    }),
  );
}

async function freePort(): Promise<number> {
  const blank = createServer();
  const port = await listening(blank);
  await new Promise((resolve) => blank.close(resolve));
  return port;
}

/** An sshd with its own keys, which runs one command for one key; on loopback, unless an address is given. */
export class SshServer {
  readonly address: string;
  readonly port: number;
  /** The files of the client: its key, with the given name, and known_hosts. */
  readonly keys: string;
  readonly #folder: string;
  readonly #launcher: readonly string[];
  #child: ChildProcess | undefined;
  readonly lines: string[] = [];

  private constructor(folder: string, address: string, port: number, launcher: readonly string[]) {
    this.#folder = folder;
    this.keys = join(folder, 'keys');
    this.address = address;
    this.port = port;
    this.#launcher = launcher;
  }

  /** `key`: the name of the client's key. */
  static async start(folder: string, key: string, options: SshOptions = {}): Promise<SshServer> {
    const { address = '127.0.0.1', port = await freePort(), launcher = [] } = options;
    const server = new SshServer(folder, address, port, launcher);
    await mkdir(server.keys, { recursive: true, mode: 0o700 });
    for (const path of [join(folder, 'host'), join(folder, 'other'), join(server.keys, key)]) {
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'pana', '-f', path]);
    }
    const lines = [
      `ListenAddress ${address}`,
      `Port ${port}`,
      `HostKey ${join(folder, 'host')}`,
      `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
      `PidFile ${join(folder, 'pid')}`,
      // Its files are in a temporary folder.
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin yes',
      'LogLevel VERBOSE',
    ];
    await writeFile(join(folder, 'sshd_config'), lines.map((line) => `${line}\n`).join(''));
    await server.listen();
    await server.know('host');
    return server;
  }

  /** Starts the program, also after `stop`. */
  async listen(): Promise<void> {
    const [program = '', ...parameters] = [
      ...this.#launcher,
      PROGRAM,
      '-D',
      '-e',
      '-f',
      join(this.#folder, 'sshd_config'),
    ];
    const child = spawn(program, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`sshd ended: ${this.lines.join('\n')}`)));
      createInterface({ input: child.stderr }).on('line', (line) => {
        this.lines.push(line);
        if (line.includes('Server listening')) resolve();
      });
    });
  }

  get target(): string {
    return `${userInfo().username}@${this.#place}`;
  }

  get #place(): string {
    return this.address.includes(':') ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`;
  }

  /** Sets the `options` of the client's key in authorized_keys. */
  async authorize(key: string, options: string): Promise<void> {
    const { stdout } = await run('ssh-keygen', ['-y', '-f', join(this.keys, key)]);
    await writeFile(join(this.#folder, 'authorized_keys'), `${options} ${stdout}`);
  }

  /** Makes this key the host's key in known_hosts of the client. */
  async know(name: 'host' | 'other'): Promise<void> {
    const { stdout } = await run('ssh-keygen', ['-y', '-f', join(this.#folder, name)]);
    const path = join(this.keys, 'known_hosts');
    await writeFile(path, `[${this.address}]:${this.port} ${stdout}`);
    await chmod(path, 0o600);
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
}
