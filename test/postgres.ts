import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import pg from 'pg';
import type { Issued } from '../src/pki/certificate-authority.js';
import { within } from './eventually.js';

const run = promisify(execFile);

/** Folders in which distributions install the server's programs. */
const FOLDERS = ['/usr/lib/postgresql', '/usr/local/pgsql', '/usr/pgsql'];

/** The user of the server when the tests run as root, since PostgreSQL does not run as root. */
export const NOBODY = 65534;

function findPrograms(): string | undefined {
  const candidates = (process.env['PATH'] ?? '').split(':');
  for (const folder of FOLDERS.filter((path) => existsSync(path))) {
    const versions = readdirSync(folder).sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
    candidates.push(join(folder, 'bin'), ...versions.map((version) => join(folder, version, 'bin')));
  }
  return candidates.find((path) => existsSync(join(path, 'initdb')) && existsSync(join(path, 'postgres')));
}

const programs = findPrograms();

/** The databases of this test group: SQLite in `npm test`, PostgreSQL in `npm run test:system`. */
const KINDS = (process.env['PANA_DATABASES'] ?? 'SQLite PostgreSQL').split(' ');

/** Whether this test group includes this kind of database. */
export function isFor(kind: 'SQLite' | 'PostgreSQL'): boolean {
  return KINDS.includes(kind);
}

/** The reason why tests that need PostgreSQL are skipped; undefined: they run. */
export const withoutPostgres = programs === undefined ? 'PostgreSQL (initdb, postgres) is not installed' : undefined;

if (withoutPostgres !== undefined && isFor('PostgreSQL')) {
  process.stderr.write(
    `\nSKIPPED: tests on PostgreSQL, because ${withoutPostgres}. On Debian: apt-get install postgresql\n\n`,
  );
}

/** A PostgreSQL server for tests, on a free loopback port, with a folder that is removed with it. */
export class Postgres {
  readonly folder: string;
  readonly port: number;
  /** Added to the environment of the server. */
  readonly #environment: Readonly<Record<string, string>>;
  #server: ChildProcess | undefined;
  #databases = 0;
  /** Processes that are stopped by `freeze`. */
  #processes: number[] = [];

  private constructor(folder: string, port: number, environment: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.port = port;
    this.#environment = environment;
  }

  static async start(environment: Readonly<Record<string, string>> = {}): Promise<Postgres> {
    const folder = await mkdtemp(join(tmpdir(), 'pana-postgres-'));
    if (isRoot) await chown(folder, NOBODY, NOBODY);
    const postgres = new Postgres(folder, await freePort(), environment);
    const { command, options } = asServer('initdb', [
      '--pgdata',
      join(folder, 'data'),
      '--username',
      'pana',
      '--auth',
      'trust',
      '--encoding',
      'UTF8',
      '--no-locale',
      '--no-sync',
    ]);
    await run(command, options, { cwd: folder });
    await postgres.begin();
    return postgres;
  }

  /** Starts another server that replicates this one by streaming. This one restarts, as its files are copied. */
  async replica(): Promise<Postgres> {
    const folder = await mkdtemp(join(tmpdir(), 'pana-postgres-'));
    const replica = new Postgres(folder, await freePort(), this.#environment);
    await this.kill();
    const data = join(folder, 'data');
    await run('cp', ['-a', join(this.folder, 'data'), data]);
    await rm(join(data, 'postmaster.pid'), { force: true });
    await writeFile(join(data, 'standby.signal'), '');
    await appendFile(
      join(data, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=127.0.0.1 port=${this.port} user=pana'\n`,
    );
    if (isRoot) await run('chown', ['-R', `${NOBODY}:${NOBODY}`, folder]);
    await this.begin();
    await replica.begin();
    return replica;
  }

  /** Starts the server. After `kill` it recovers what was committed. */
  async begin(): Promise<void> {
    const settings = {
      port: this.port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: 100,
      log_checkpoints: 'off',
    };
    const { command, options } = asServer('postgres', [
      '-D',
      join(this.folder, 'data'),
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ]);
    const env = { ...process.env, ...this.#environment };
    const server = spawn(command, options, { cwd: this.folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#server = server;
    const lines = createInterface({ input: server.stderr });
    const said: string[] = [];
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        said.push(line);
        if (/ready to accept (read-only )?connections/.test(line)) resolve();
      });
      server.once('exit', () => reject(new Error(`PostgreSQL does not start:\n${said.join('\n')}`)));
    });
  }

  /** Makes the server require TLS with this certificate, and passwords. `query` fails afterwards. */
  async secure({ certificatePem, keyPem }: Issued): Promise<void> {
    const data = join(this.folder, 'data');
    const write = async (name: string, text: string) => {
      await writeFile(join(data, name), text, { mode: 0o600 });
      if (isRoot) await chown(join(data, name), NOBODY, NOBODY);
    };
    await write('server.crt', certificatePem);
    await write('server.key', keyPem);
    await write('pg_hba.conf', 'hostssl all all all scram-sha-256\n');
    await this.query('postgres', 'ALTER SYSTEM SET ssl = on');
    await this.kill();
    await this.begin();
  }

  /** Ends the server without a checkpoint, as a power failure does. */
  async kill(): Promise<void> {
    await this.#end('SIGQUIT');
  }

  /** Stops the server's processes until `thaw`; its connections stay open. */
  async freeze(): Promise<void> {
    const sessions = await this.query<{ pid: number }>(
      'postgres',
      'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()',
    );
    const own = this.#server?.pid;
    this.#processes = sessions.map(({ pid }) => pid);
    if (own !== undefined) this.#processes.push(own);
    this.#signalAll('SIGSTOP');
  }

  thaw(): void {
    this.#signalAll('SIGCONT');
    this.#processes = [];
  }

  /** Creates a database that collates by octets, or by a language such as `en-US`; resolves to its URL. */
  async database(language?: string): Promise<string> {
    this.#databases += 1;
    const name = `store${this.#databases}`;
    const order = language === undefined ? '' : `TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '${language}'`;
    await this.query('postgres', `CREATE DATABASE ${name} ${order}`);
    return this.url(name);
  }

  url(database: string): string {
    return `postgres://pana@127.0.0.1:${this.port}/${database}`;
  }

  async query<T extends pg.QueryResultRow>(database: string, text: string): Promise<T[]> {
    const client = new pg.Client({ connectionString: database.includes('://') ? database : this.url(database) });
    await client.connect();
    try {
      return (await client.query<T>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await this.#end('SIGQUIT');
    await rm(this.folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.thaw();
    const server = this.#server;
    this.#server = undefined;
    if (!server || server.exitCode !== null) return;
    const exited = once(server, 'exit');
    server.kill(signal);
    await exited;
  }

  #signalAll(signal: NodeJS.Signals): void {
    for (const pid of this.#processes) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        // The session may have ended.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }
}

const isRoot = process.getuid?.() === 0;

/** The command that starts a program of the server, or one given by its path, as an unprivileged user. */
export function asServer(program: string, options: string[]): { command: string; options: string[] } {
  const path = program.includes('/') ? program : join(programs ?? '', program);
  if (!isRoot) return { command: path, options };
  const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  return { command: 'setpriv', options: [...user, path, ...options] };
}

/** A loopback port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await within(once(server, 'listening'), 'server listens');
  const { port } = server.address() as AddressInfo;
  server.close();
  await within(once(server, 'close'), 'server closes');
  return port;
}
