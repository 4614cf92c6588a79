import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { OperatorError } from '../../runtime/system/failure.js';

/** The program of Debian's package user-mode-linux. */
export const PROGRAM = 'linux.uml';

/** Lines of the console that are kept to explain a failure. */
const KEPT_LINES = 30;

export interface Guest {
  /** A folder of the host that the guest can write to. */
  readonly folder: string;
  /** A command line of sh. */
  readonly command: string;
  /** Paths of the host that the guest needs, also if they are in a folder such as /tmp, which is empty in the guest. */
  readonly paths: readonly string[];
  /** Memory of the guest, such as `1024M`. */
  readonly memory: string;
  /** A shared object to load before the C library; see xstate.ts. */
  readonly preload: string | undefined;
  /** Where the guest keeps its memory; undefined: it decides, usually /dev/shm. */
  readonly memoryFolder: string | undefined;
  readonly output: Writable;
  readonly errors: Writable;
  /** Receives the messages of the guest's kernel. */
  readonly onConsole: (text: string) => void;
  /** Ends the guest at once. */
  readonly signal: AbortSignal;
}

/**
 * Boots user-mode Linux on this host's files, and runs a command in it as root. Resolves with the exit status of the
 * command when the guest has ended. Rejects with OperatorError if the guest ends without it, or the signal is given.
 */
export async function runInUserModeLinux(guest: Guest): Promise<number> {
  const { folder, signal } = guest;
  await copyFile(fileURLToPath(new URL('../../../scripts/uml/init.sh', import.meta.url)), join(folder, 'init'));
  await writeFile(join(folder, 'command'), `${guest.command}\n`);
  await writeFile(join(folder, 'paths'), `${guest.paths.join('\n')}\n`);
  const last: string[] = [];
  const child = start(guest);
  const onConsole = (text: string) => {
    last.push(text);
    if (last.length > KEPT_LINES) last.shift();
    guest.onConsole(text);
  };
  // The console of the kernel, and what the program itself says.
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', onConsole);
  const [, , , output, errors] = child.stdio as unknown as readonly NodeJS.ReadableStream[];
  output?.on('data', (octets) => guest.output.write(octets));
  errors?.on('data', (octets) => guest.errors.write(octets));
  // The processes of the guest are processes of its group.
  const kill = () => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // It has ended.
    }
  };
  signal.addEventListener('abort', kill);
  try {
    await once(child, 'close');
  } catch (error) {
    throw new OperatorError(`cannot start ${PROGRAM}: ${(error as Error).message}`);
  } finally {
    signal.removeEventListener('abort', kill);
  }
  if (signal.aborted) throw new OperatorError('interrupted');
  const status = await readFile(join(folder, 'status'), 'utf8').catch(() => '');
  if (status === '') throw new OperatorError(`user-mode Linux ended before the command:\n${last.join('').trim()}`);
  return Number(status);
}

function start({ folder, memory, memoryFolder, preload }: Guest): ChildProcess {
  const parameters = [
    `mem=${memory}`,
    'root=98:0',
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    `init=${folder}/init`,
    // Its socket and its pid.
    `uml_dir=${folder}`,
    'umid=guest',
    // The kernel writes to standard output. The serial lines are pipes; line 0 also reads, to notice the end of this process.
    'con=null',
    'con0=null,fd:1',
    'ssl=null',
    'ssl0=fd:0,fd:3',
    'ssl1=null,fd:4',
    'selinux=0',
    'quiet',
    `LAB_FOLDER=${folder}`,
  ];
  return spawn(PROGRAM, parameters, {
    // A control-C must not reach the processes of the guest one by one.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      ...(preload === undefined ? {} : { LD_PRELOAD: preload }),
      ...(memoryFolder === undefined ? {} : { TMPDIR: memoryFolder }),
    },
  });
}
