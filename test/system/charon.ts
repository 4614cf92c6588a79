import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { missing } from './access-network.js';

const run = promisify(execFile);
const CHARON = '/usr/lib/ipsec/charon';
const LIMIT = 10_000;

/** What is missing for tests with strongSwan; undefined if nothing is. */
export async function charonMissing(): Promise<string | undefined> {
  const why = missing('swanctl', 'unshare');
  if (why !== undefined) return why;
  return access(CHARON).then(
    () => undefined,
    () => `they need ${CHARON}`,
  );
}

/** Whether the kernel has ESP: without it there are IKE_SAs and no CHILD_SAs. */
export async function hasEsp(namespace: string): Promise<boolean> {
  const state = ['src', '2001:db8::1', 'dst', '2001:db8::2', 'proto', 'esp', 'spi', '0x1000'];
  const add = [
    'xfrm',
    'state',
    'add',
    ...state,
    'enc',
    'cipher_null',
    '',
    'auth',
    'hmac(sha1)',
    `0x${'00'.repeat(20)}`,
  ];
  try {
    await run('ip', ['-n', namespace, ...add]);
  } catch {
    return false;
  }
  await run('ip', ['-n', namespace, 'xfrm', 'state', 'delete', ...state]);
  return true;
}

/** An IKE_SA as charon lists it. */
export interface IkeSa {
  readonly connection: string;
  readonly id: number;
  readonly state: string;
  readonly remoteId: string;
  readonly version: number;
  /** Whether there is a CHILD_SA. */
  readonly child: boolean;
}

/** strongSwan's charon in a network namespace, with a folder of its own. */
export class Charon {
  readonly namespace: string;
  readonly folder: string;
  #process: ChildProcess | undefined;

  constructor(namespace: string, folder: string) {
    this.namespace = namespace;
    this.folder = folder;
  }

  /** Writes its configuration, and starts nothing. */
  async configure(): Promise<void> {
    await mkdir(join(this.folder, 'swanctl', 'conf.d'), { recursive: true });
    await writeFile(
      join(this.folder, 'strongswan.conf'),
      `charon {
  load_modular = yes
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  plugins {
    include /etc/strongswan.d/charon/*.conf
    vici {
      socket = ${this.socket}
    }
  }
  filelog {
    log {
      path = ${join(this.folder, 'log')}
      default = 1
      flush_line = yes
    }
  }
}
`,
    );
  }

  /** A command line that runs charon here. */
  get command(): readonly string[] {
    // A folder /run of its own: that is where its process id goes.
    const script = `mount -t tmpfs tmpfs /run; STRONGSWAN_CONF=${join(this.folder, 'strongswan.conf')} exec ${CHARON}`;
    return ['ip', 'netns', 'exec', this.namespace, 'unshare', '-m', 'sh', '-c', script];
  }

  get socket(): string {
    return `unix://${join(this.folder, 'vici')}`;
  }

  get swanctl(): string {
    return join(this.folder, 'swanctl');
  }

  /** Lines of hooks.conf by which a hook finds it. */
  get settings(): string {
    return `IKE=strongswan\nSWANCTL_DIR=${this.swanctl}\nVICI=${this.socket}\n`;
  }

  async start(): Promise<void> {
    await this.configure();
    const [program = '', ...parameters] = this.command;
    this.#process = spawn(program, parameters, { stdio: 'ignore' });
    await this.ready();
  }

  async ready(): Promise<void> {
    await until(`charon in ${this.namespace}`, () =>
      this.call('--stats').then(
        () => true,
        () => false,
      ),
    );
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }

  async call(command: string, ...parameters: readonly string[]): Promise<string> {
    const { stdout } = await run('swanctl', [command, '--uri', this.socket, ...parameters], {
      env: { ...process.env, SWANCTL_DIR: this.swanctl },
    });
    return stdout;
  }

  async sas(): Promise<IkeSa[]> {
    const text = await this.call('--list-sas', '--raw');
    return text
      .split('\n')
      .filter((line) => line.startsWith('list-sa event'))
      .map((line) => ({
        connection: /^list-sa event \{(\S+) /.exec(line)?.[1] ?? '',
        id: Number(/ ?uniqueid=(\d+)/.exec(line)?.[1]),
        state: /state=(\w+)/.exec(line)?.[1] ?? '',
        remoteId: /remote-id=(\S+)/.exec(line)?.[1] ?? '',
        version: Number(/ version=(\d)/.exec(line)?.[1]),
        child: line.includes('state=INSTALLED'),
      }))
      .sort((a, b) => a.id - b.id);
  }

  async established(): Promise<IkeSa[]> {
    return (await this.sas()).filter(({ state }) => state === 'ESTABLISHED');
  }

  log(): Promise<string> {
    return readFile(join(this.folder, 'log'), 'utf8');
  }
}

/** Asks again until it is so. */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + LIMIT;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
