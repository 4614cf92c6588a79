import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, within } from '../../eventually.js';

const run = promisify(execFile);

/** What a shell printed for one block of commands, and how long that took in milliseconds. */
export interface Typed {
  /** Both outputs, in the order in which they arrived. */
  readonly output: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly duration: number;
}

/** A shell in which commands are typed. It ends at the first command that fails. */
class Shell {
  readonly #process: ChildProcess;
  readonly #printed = { stdout: '', stderr: '', both: '' };
  #count = 0;
  #ended = false;

  constructor(command: readonly string[], environment: NodeJS.ProcessEnv, cwd = '/') {
    const [program = '', ...parameters] = command;
    this.#process = spawn(program, parameters, { env: environment, stdio: ['pipe', 'pipe', 'pipe'], cwd });
    for (const name of ['stdout', 'stderr'] as const) {
      this.#process[name]?.setEncoding('utf8').on('data', (piece: string) => {
        this.#printed[name] += piece;
        this.#printed.both += piece;
      });
    }
    this.#process.once('close', () => {
      this.#ended = true;
    });
    this.#process.stdin?.on('error', () => undefined);
  }

  /** Types commands. Rejects with what they printed if one of them fails. */
  async type(commands: string, limit: number): Promise<Typed> {
    this.#count += 1;
    const mark = `--- end of block ${this.#count} ---`;
    const printed = this.#printed;
    const since = { stdout: printed.stdout.length, stderr: printed.stderr.length, both: printed.both.length };
    const of = (which: keyof typeof since) => printed[which].slice(since[which]).replaceAll(mark, '').trim();
    const began = performance.now();
    // Commands must not read those that follow.
    const quoted = `'${commands.replaceAll("'", "'\\''")}'`;
    this.#process.stdin?.write(
      `eval ${quoted} </dev/null\nprintf '\\n%s\\n' '${mark}'\nprintf '\\n%s\\n' '${mark}' >&2\n`,
    );
    await eventually(
      () => {
        if (this.#ended) return;
        // Each output arrives on its own.
        if (printed.stdout.includes(mark) && printed.stderr.includes(mark)) return;
        throw new Error(`still running:\n${commands}\n${of('both')}`);
      },
      { limit },
    );
    if (this.#ended) throw new Error(`a command failed:\n${commands}\n${of('both')}`);
    const [output, stdout, stderr] = [of('both'), of('stdout'), of('stderr')];
    return { output, stdout, stderr, duration: performance.now() - began };
  }

  end(): void {
    this.#process.kill('SIGKILL');
  }
}

export interface HostSettings {
  /** Roots of a Debian system, the upper ones first, that the host gets a copy of. */
  readonly roots: readonly string[];
  /** Folder of the host's own files. */
  readonly folder: string;
  /** The folder that holds the roots of all hosts, by name. */
  readonly others: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Stands for scp between the hosts: HOSTS has the root of each one. */
function copier(hosts: string): string {
  return `#!/bin/sh
set -e
for last; do :; done
host=\${last#*@} path=\${last#*:}
host=\${host%%:*}
case $path in /*) ;; *) path=/root/$path ;; esac
while [ $# -gt 1 ]; do
  cp -p "$1" "${hosts}/$host$path"
  shift
done
`;
}

/** Lets newer systemd boot on a kernel with the first version of control groups. */
const LEGACY = '--setenv=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1';

/** Where a host sees the roots of the others. */
const OTHERS = '/run/hosts';

/**
 * A host with its own network, its own file system (a copy-on-write view of a Debian system) and systemd as its first
 * process. Its network and the network's links belong to the test.
 */
export class BootedHost {
  readonly name: string;
  readonly namespace: string;
  readonly #settings: HostSettings;
  #container: ChildProcess | undefined;
  #log = '';
  #shell: Shell | undefined;
  #online: Shell | undefined;

  constructor(name: string, settings: HostSettings) {
    this.name = name;
    this.namespace = `pqs${process.pid}-${name}`;
    this.#settings = settings;
  }

  /** What the host has changed in the roots that it has a copy of. */
  get changes(): string {
    return join(this.#settings.folder, this.name, 'upper');
  }

  get root(): string {
    return join(this.#settings.folder, this.name, 'root');
  }

  /** Mounts the file system, and makes it that of this host. */
  async prepare(files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
    await mountCopy(this.#settings.roots, join(this.#settings.folder, this.name));
    await run('ip', ['netns', 'add', this.namespace]);
    const services = join(this.root, 'etc/systemd/system');
    // Units of Debian that would look for hardware, a network or an update.
    for (const unit of ['apt-daily.timer', 'apt-daily-upgrade.timer', 'systemd-networkd.service']) {
      await run('ln', ['-sfn', '/dev/null', join(services, unit)]);
    }
    await writeFile(join(this.root, 'etc/machine-id'), '');
    await writeFile(join(this.root, 'etc/hostname'), `${this.name}\n`);
    await writeFile(join(this.root, 'usr/local/bin/scp'), copier(OTHERS), { mode: 0o755 });
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(this.root, path, '..'), { recursive: true });
      await writeFile(join(this.root, path), text);
    }
  }

  async boot(): Promise<void> {
    const { others, folder } = this.#settings;
    const binds = others.map((name) => `--bind=${join(folder, name, 'root')}:${OTHERS}/${name}`);
    const parameters = ['-q', '--register=no', '--keep-unit', '--link-journal=no', '--console=pipe', '--boot'];
    const network = [`--network-namespace-path=/run/netns/${this.namespace}`, '--capability=CAP_NET_ADMIN'];
    this.#container = spawn(
      'systemd-nspawn',
      [
        ...parameters,
        ...network,
        '--bind=/dev/net/tun',
        LEGACY,
        ...binds,
        '-D',
        this.root,
        'systemd.unit=multi-user.target',
      ],
      {
        env: { PATH, SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network' },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    for (const stream of [this.#container.stdout, this.#container.stderr]) {
      stream?.on('data', (piece: Buffer) => {
        this.#log += piece.toString();
      });
    }
    await eventually(
      async () => {
        const enter = await this.#enter();
        const state = await run('nsenter', [...enter, 'systemctl', 'is-system-running']).then(
          ({ stdout }) => stdout.trim(),
          (error: { stdout?: string }) => error.stdout?.trim(),
        );
        if (state !== 'running' && state !== 'degraded') throw new Error(`${this.name} is ${state}\n${this.#log}`);
      },
      { limit: 60_000, interval: 200 },
    );
    const enter = await this.#enter();
    const bash = ['bash', '-e'];
    const environment = { PATH, HOME: '/root', LANG: 'C.UTF-8', TERM: 'dumb' };
    this.#shell = new Shell(['nsenter', ...enter, ...bash], environment);
    // The network of this machine, for package registries.
    const withoutNetwork = enter.filter((parameter) => parameter !== '--net');
    this.#online = new Shell(['nsenter', ...withoutNetwork, ...bash], {
      ...environment,
      ...this.#settings.environment,
    });
  }

  /** Types commands on the host; `online`: with the network of this machine. */
  async type(commands: string, { online = false, limit = 60_000 } = {}): Promise<Typed> {
    const shell = online ? this.#online : this.#shell;
    if (!shell) throw new Error(`${this.name} is not booted`);
    return shell.type(commands, limit);
  }

  /** What the daemons of this project and of strongSwan wrote to the journal. */
  async journal(): Promise<string> {
    const units = ['pana-aaa', 'pana-paa', 'pana-pac', 'strongswan'].flatMap((unit) => ['-u', unit]);
    const command = ['journalctl', '--no-pager', '-n', '60', '-o', 'cat', ...units];
    const enter = await this.#enter().catch(() => []);
    if (enter.length === 0) return this.#log;
    return run('nsenter', [...enter, ...command]).then(
      ({ stdout }) => stdout,
      (error: Error) => error.message,
    );
  }

  /** Parameters of nsenter that enter the host. */
  async #enter(): Promise<string[]> {
    const pid = this.#container?.pid;
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
    const first = children.find((child) => child !== '');
    if (first === undefined) throw new Error(`${this.name} has no process\n${this.#log}`);
    return ['--target', first, '--mount', '--uts', '--ipc', '--pid', '--net', '--cgroup', '--'];
  }

  async remove(): Promise<void> {
    await this.halt();
    await run('umount', ['--lazy', this.root]).catch(() => undefined);
    await run('ip', ['netns', 'delete', this.namespace]).catch(() => undefined);
  }

  /** Ends its processes. */
  async halt(): Promise<void> {
    for (const shell of [this.#shell, this.#online]) shell?.end();
    if (this.#container && this.#container.exitCode === null && this.#container.signalCode === null) {
      const ended = once(this.#container, 'exit');
      // The second signal ends it at once.
      this.#container.kill('SIGTERM');
      this.#container.kill('SIGTERM');
      await within(ended, `${this.name} ends`).catch(() => this.#container?.kill('SIGKILL'));
    }
  }
}

/** Mounts `folder/root`: a view of the layers `lower`, the upper ones first, whose changes are in `folder/upper`. */
async function mountCopy(lower: readonly string[], folder: string): Promise<void> {
  for (const name of ['root', 'upper', 'work']) await mkdir(join(folder, name), { recursive: true });
  const layers = `lowerdir=${lower.join(':')},upperdir=${join(folder, 'upper')},workdir=${join(folder, 'work')}`;
  await run('mount', ['-t', 'overlay', 'overlay', '-o', layers, join(folder, 'root')]);
}

/** A folder of the user who copies the package to the hosts. */
export class Workstation {
  readonly #folder: string;
  readonly #source: string;
  #shell: Shell | undefined;

  constructor(source: string, folder: string) {
    this.#source = source;
    this.#folder = join(folder, 'workstation');
  }

  /** `hosts`: the folder with the roots of the hosts. */
  async prepare(names: readonly string[], hosts: string, environment: NodeJS.ProcessEnv): Promise<void> {
    await mountCopy([this.#source], this.#folder);
    for (const name of names) {
      await mkdir(join(this.#folder, 'hosts'), { recursive: true });
      await run('ln', ['-s', join(hosts, name, 'root'), join(this.#folder, 'hosts', name)]);
    }
    await mkdir(join(this.#folder, 'bin'));
    await writeFile(join(this.#folder, 'bin/scp'), copier(join(this.#folder, 'hosts')), { mode: 0o755 });
    const path = { PATH: `${join(this.#folder, 'bin')}:${process.env['PATH']}`, HOME: process.env['HOME'] };
    this.#shell = new Shell(['bash', '-e'], { ...path, ...environment }, join(this.#folder, 'root'));
  }

  async type(commands: string): Promise<Typed> {
    if (!this.#shell) throw new Error('the workstation is not prepared');
    return this.#shell.type(commands, 300_000);
  }

  async remove(): Promise<void> {
    this.#shell?.end();
    await run('umount', ['--lazy', join(this.#folder, 'root')]).catch(() => undefined);
  }
}
