import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { OperatorError } from '../../runtime/system/failure.js';
import { hasProgram, type NetworkHost } from './hosts.js';

const run = promisify(execFile);

/** Where distributions install charon. */
const PROGRAMS = ['/usr/lib', '/usr/libexec'].flatMap((folder) =>
  ['ipsec', 'strongswan'].map((name) => join(folder, name, 'charon')),
);

/** How long charon may take to answer, in milliseconds. */
const LIMIT = 10_000;

/** The path of charon. Undefined: strongSwan with swanctl is not installed. */
export function charonProgram(): string | undefined {
  return hasProgram('swanctl') ? PROGRAMS.find((path) => existsSync(path)) : undefined;
}

/** Whether the kernel supports ESP. Without it there are IKE_SAs but no CHILD_SAs. */
export async function hasEsp(namespace: string): Promise<boolean> {
  const state = ['src', '2001:db8::1', 'dst', '2001:db8::2', 'proto', 'esp', 'spi', '0x1000'];
  const keys = ['enc', 'cipher_null', '', 'auth', 'hmac(sha1)', `0x${'00'.repeat(20)}`];
  try {
    await run('ip', ['-n', namespace, 'xfrm', 'state', 'add', ...state, ...keys]);
  } catch {
    return false;
  }
  await run('ip', ['-n', namespace, 'xfrm', 'state', 'delete', ...state]);
  return true;
}

/** An IKE_SA in charon's list. */
export interface IkeSa {
  readonly connection: string;
  readonly id: number;
  readonly state: string;
  readonly remoteId: string;
  readonly version: number;
  /** Whether it has a CHILD_SA. */
  readonly child: boolean;
}

/** Parses the output of `swanctl --list-sas --raw`. */
export function parseSas(text: string): IkeSa[] {
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

/** strongSwan's charon on a host of the lab, with its usual paths. */
export class HostCharon {
  readonly #host: NetworkHost;
  readonly #process: ChildProcess;

  private constructor(host: NetworkHost, program: string) {
    this.#host = host;
    const [command = '', ...parameters] = [...host.launcher, program];
    this.#process = spawn(command, parameters, { stdio: 'ignore' });
  }

  /** Rejects with OperatorError if charon does not start. */
  static async start(host: NetworkHost, program: string): Promise<HostCharon> {
    const charon = new HostCharon(host, program);
    const limit = performance.now() + LIMIT;
    while (!(await charon.#answers())) {
      if (performance.now() > limit) throw new OperatorError(`charon on ${host.name} does not answer to swanctl`);
      await sleep(20);
    }
    return charon;
  }

  async established(): Promise<IkeSa[]> {
    const sas = parseSas(await this.#host.exec('swanctl', '--list-sas', '--raw'));
    return sas.filter(({ state }) => state === 'ESTABLISHED');
  }

  /**
   * When the last established IKE_SA began (the first message of IKE_SA_INIT) and when it was established, according to
   * charon's log, in milliseconds since 1970.
   */
  async times(): Promise<{ readonly began: number; readonly up: number } | undefined> {
    const lines = (await readFile(join(this.#host.folder, 'run', 'charon.log'), 'utf8')).split('\n');
    const up = lines.findLastIndex((line) => / IKE_SA \S+ established /.test(line));
    const began = lines.slice(0, Math.max(0, up)).findLastIndex((line) => line.includes('initiating IKE_SA'));
    const at = (line = '') => Number.parseFloat(line) * 1000;
    return began < 0 ? undefined : { began: at(lines[began]), up: at(lines[up]) };
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await gone;
  }

  #answers(): Promise<boolean> {
    return this.#host.exec('swanctl', '--stats').then(
      () => true,
      () => false,
    );
  }
}
