import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { asServer, freePort, NOBODY } from './postgres.js';

const program = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin']
  .map((folder) => join(folder, 'pgbouncer'))
  .find((path) => existsSync(path));

/** The reason why tests that need PgBouncer are skipped; undefined: they run. */
export const withoutPgbouncer = program === undefined ? 'PgBouncer is not installed' : undefined;

if (withoutPgbouncer !== undefined) {
  process.stderr.write(
    `\nSKIPPED: tests behind PgBouncer, because ${withoutPgbouncer}. On Debian: apt-get install pgbouncer\n\n`,
  );
}

/** PgBouncer in front of a test's PostgreSQL server, with pools in transaction mode. */
export class Pgbouncer {
  readonly #folder: string;
  readonly #port: number;
  readonly #process: ChildProcess;

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.#folder = folder;
    this.#port = port;
    this.#process = child;
  }

  /** `server`: the port of PostgreSQL. `connections`: the server connections that the clients of a database share. */
  static async start(server: number, connections: number): Promise<Pgbouncer> {
    const folder = await mkdtemp(join(tmpdir(), 'pana-pgbouncer-'));
    const port = await freePort();
    const file = join(folder, 'pgbouncer.ini');
    const settings = {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'any',
      pool_mode: 'transaction',
      default_pool_size: connections,
      max_client_conn: 100,
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    await writeFile(
      file,
      `[databases]\n* = host=127.0.0.1 port=${server} user=pana\n[pgbouncer]\n${lines.join('\n')}\n`,
    );
    if (process.getuid?.() === 0) for (const path of [folder, file]) await chown(path, NOBODY, NOBODY);
    const { command, options } = asServer(program ?? '', [file]);
    const child = spawn(command, options, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    const said: string[] = [];
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        said.push(line);
        if (line.includes('process up')) resolve();
      });
      child.once('exit', () => reject(new Error(`PgBouncer does not start:\n${said.join('\n')}`)));
    });
    return new Pgbouncer(folder, port, child);
  }

  /** The URL of the same database through the pool. */
  through(url: string): string {
    const pooled = new URL(url);
    pooled.port = String(this.#port);
    return pooled.href;
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
