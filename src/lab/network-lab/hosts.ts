import { execFile, execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Names of namespaces and folders of labs, with the pid of the process that created them. */
const OURS = /^pana-lab-(\d+)-/;

/**
 * Returns a script that runs a command on a host, with the host's own /run, /etc/swanctl and /etc/strongswan.conf at
 * their usual paths: `ip netns exec` gives the command its own mounts. This also suits programs that AppArmor confines
 * to their usual paths.
 */
function enterScript(namespace: string, folder: string): string {
  return `#!/bin/sh
[ $# -gt 0 ] || set -- sh -i
exec ip netns exec ${namespace} sh -ec '
  mount --bind "$0/run" /run
  [ ! -d /etc/swanctl ] || mount --bind "$0/swanctl" /etc/swanctl
  [ ! -f /etc/strongswan.conf ] || mount --bind "$0/strongswan.conf" /etc/strongswan.conf
  exec "$@"' '${folder}' "$@"
`;
}

/** Whether a program is in the PATH. */
export function hasProgram(name: string): boolean {
  return programPath(name) !== undefined;
}

/** The path of a program that is in the PATH. */
export function programPath(name: string): string | undefined {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    return execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], { stdio: [...stdio], encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** A host of the lab: a network namespace, with its own folders for IKE. */
export class NetworkHost {
  readonly name: string;
  readonly namespace: string;
  readonly folder: string;

  private constructor(name: string, folder: string) {
    this.name = name;
    this.namespace = `pana-lab-${process.pid}-${name}`;
    this.folder = join(folder, name);
  }

  /** Rejects with the error of `ip`. */
  static async make(name: string, folder: string): Promise<NetworkHost> {
    const host = new NetworkHost(name, folder);
    await mkdir(join(host.folder, 'run'), { recursive: true });
    await mkdir(join(host.folder, 'swanctl', 'conf.d'), { recursive: true, mode: 0o700 });
    // Mounted over the host's own file, even before charon is configured.
    await writeFile(host.strongswanConf, '');
    await writeFile(host.enter, enterScript(host.namespace, host.folder));
    await run('ip', ['netns', 'add', host.namespace]);
    // Addresses are usable at once, because there can be no duplicates.
    const settings = ['all', 'default'].map((which) => `echo 0 >/proc/sys/net/ipv6/conf/${which}/accept_dad`);
    const script = [...settings, 'exec ip link set lo up'].join('\n');
    await run('ip', ['netns', 'exec', host.namespace, 'sh', '-ec', script]);
    return host;
  }

  /** The path of strongSwan's settings on this host. */
  get strongswanConf(): string {
    return join(this.folder, 'strongswan.conf');
  }

  /** The path of a shell script that runs its arguments on this host. */
  get enter(): string {
    return join(this.folder, 'enter');
  }

  /** The command line prefix that runs a command on this host. */
  get launcher(): readonly string[] {
    return ['sh', this.enter];
  }

  /** Runs a command on this host. Resolves with its output. */
  async exec(...command: readonly string[]): Promise<string> {
    const [program = '', ...parameters] = [...this.launcher, ...command];
    return (await run(program, parameters)).stdout;
  }

  /** Runs commands of `ip` on this host, in one process. Rejects with its error at the first one that fails. */
  async ip(...commands: readonly string[]): Promise<void> {
    const ran = run('ip', ['-n', this.namespace, '-batch', '-']);
    ran.child.stdin?.end(`${commands.join('\n')}\n`);
    await ran;
  }

  /** Writes a setting under /proc/sys/net. */
  async set(path: string, value: number): Promise<void> {
    await run('ip', ['netns', 'exec', this.namespace, 'sh', '-c', `echo ${value} >/proc/sys/net/${path}`]);
  }

  /** Pids of the processes on this host. */
  pids(): Promise<number[]> {
    return pidsIn(this.namespace);
  }

  /** Kills the programs with these names. Resolves with the names of those that ran. */
  async kill(...names: readonly string[]): Promise<string[]> {
    const killed: string[] = [];
    for (const pid of await this.pids()) {
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
      if (names.includes(name) && signalTo(pid, 'SIGKILL')) killed.push(name);
    }
    return killed;
  }

  async remove(): Promise<void> {
    await removeNamespace(this.namespace);
  }
}

/** Creates a link between two hosts, given the interface and the address with prefix of each. */
export async function link(
  [one, oneInterface, oneAddress]: readonly [NetworkHost, string, string],
  [other, otherInterface, otherAddress]: readonly [NetworkHost, string, string],
): Promise<void> {
  const peer = `peer name ${otherInterface} netns ${other.namespace}`;
  await run('ip', ['link', 'add', oneInterface, 'netns', one.namespace, 'type', 'veth', ...peer.split(' ')]);
  await one.ip(`address add ${oneAddress} dev ${oneInterface} nodad`, `link set ${oneInterface} up`);
  await other.ip(`address add ${otherAddress} dev ${otherInterface} nodad`, `link set ${otherInterface} up`);
}

/** Pids of the processes in a namespace. */
async function pidsIn(name: string): Promise<number[]> {
  const { stdout } = await run('ip', ['netns', 'pids', name]).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** Ends the processes in a namespace and removes the namespace. */
async function removeNamespace(name: string): Promise<void> {
  // A process that is being killed may have started another one.
  for (let pids = await pidsIn(name); pids.length > 0; pids = await pidsIn(name)) {
    for (const pid of pids) signalTo(pid, 'SIGKILL');
  }
  await run('ip', ['netns', 'delete', name]).catch(() => undefined);
}

/** Creates a folder for a lab of this process. */
export function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), `pana-lab-${process.pid}-`));
}

/** Removes namespaces and folders of labs whose process has ended. Resolves with their names. */
export async function removeLeftovers(): Promise<string[]> {
  const { stdout } = await run('ip', ['netns', 'list']);
  const namespaces = stdout.split('\n').map((line) => line.split(' ', 1)[0] ?? '');
  const left = namespaces.filter(isLeft);
  for (const name of left) await removeNamespace(name);
  return [...left, ...(await removeLeftFolders())];
}

/** Removes folders of labs whose process has ended. Resolves with their paths. */
export async function removeLeftFolders(): Promise<string[]> {
  const left: string[] = [];
  for (const name of (await readdir(tmpdir())).filter(isLeft)) {
    const path = join(tmpdir(), name);
    // Another user may own a folder with such a name.
    const owner = await lstat(path).catch(() => undefined);
    if (owner?.uid !== process.getuid?.()) continue;
    await rm(path, { recursive: true, force: true });
    left.push(path);
  }
  return left;
}

function isLeft(name: string): boolean {
  const pid = Number(OURS.exec(name)?.[1]);
  return pid > 0 && !signalTo(pid, 0);
}

/** Sends a signal. Returns whether the process exists. */
function signalTo(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
