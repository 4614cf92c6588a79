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

function listening(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    }),
  );
}

/** The sshd of a home agent on loopback with its own keys, which runs one command for one key. */
export class SshServer {
  readonly port: number;
  /** The files of pana-aaa: a key named after the home agent, and known_hosts. */
  readonly keys: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly lines: string[] = [];

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.#folder = folder;
    this.keys = join(folder, 'keys');
    this.port = port;
    this.#child = child;
  }

  static async start(folder: string, homeAgent: string): Promise<SshServer> {
    const keys = join(folder, 'keys');
    await mkdir(keys, { recursive: true, mode: 0o700 });
    for (const path of [join(folder, 'host'), join(folder, 'other'), join(keys, homeAgent)]) {
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'pana-aaa', '-f', path]);
    }
    const blank = createServer();
    const port = await listening(blank);
    await new Promise((resolve) => blank.close(resolve));
    const config = join(folder, 'sshd_config');
    const lines = [
      'ListenAddress 127.0.0.1',
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
    await writeFile(config, lines.map((line) => `${line}\n`).join(''));
    const child = spawn(PROGRAM, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    const server = new SshServer(folder, port, child);
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`sshd ended: ${server.lines.join('\n')}`)));
      createInterface({ input: child.stderr }).on('line', (line) => {
        server.lines.push(line);
        if (line.includes('Server listening')) resolve();
      });
    });
    await server.know('host');
    return server;
  }

  get target(): string {
    return `${userInfo().username}@127.0.0.1:${this.port}`;
  }

  /** Sets the `options` of the AAA server's key in authorized_keys. */
  async authorize(homeAgent: string, options: string): Promise<void> {
    const { stdout } = await run('ssh-keygen', ['-y', '-f', join(this.keys, homeAgent)]);
    await writeFile(join(this.#folder, 'authorized_keys'), `${options} ${stdout}`);
  }

  /** Makes this key the host's key in known_hosts of the AAA server. */
  async know(name: 'host' | 'other'): Promise<void> {
    const { stdout } = await run('ssh-keygen', ['-y', '-f', join(this.#folder, name)]);
    const path = join(this.keys, 'known_hosts');
    await writeFile(path, `[127.0.0.1]:${this.port} ${stdout}`);
    await chmod(path, 0o600);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    await ended;
  }
}
