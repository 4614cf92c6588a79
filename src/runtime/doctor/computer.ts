import { execFile } from 'node:child_process';
import { constants, type Stats } from 'node:fs';
import { access, open, stat, statfs } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { callDaemon, NoDaemonError } from '../service/control.js';
import { type Surroundings, systemSurroundings } from '../surroundings/surroundings.js';
import { within } from '../system/within.js';

/** Room on a file system. */
export interface Room {
  readonly octets: number;
  /** Free inodes; undefined: the file system does not count them. */
  readonly inodes: number | undefined;
}

/** What checks may see of files, as the user of this process. */
export interface Files {
  /** Follows links. Rejects with the system's error. */
  stat(path: string): Promise<Pick<Stats, 'mode' | 'uid' | 'isFile' | 'isDirectory' | 'size'>>;
  may(path: string, what: 'read' | 'write' | 'execute'): Promise<boolean>;
  room(path: string): Promise<Room>;
  /** The beginning of a file. */
  head(path: string, octets: number): Promise<Uint8Array>;
}

/** What a running daemon says about itself in `status`. */
export interface RunningDaemon {
  readonly listening?: readonly string[] | undefined;
  readonly peers?: readonly { readonly host: string; readonly state: string }[] | undefined;
  readonly state?: string | undefined;
  /** Why the last authentication failed. `detail` may have text of others. */
  readonly lastFailure?: { readonly reason: string; readonly detail?: string | undefined } | undefined;
}

/** The computer that checks look at. A test passes its own parts of it. */
export interface Computer
  extends Pick<Surroundings, 'host' | 'udp' | 'transport' | 'hookProcesses' | 'hasInterface' | 'readAddresses'> {
  readonly files: Files;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The name of the user of this process. */
  readonly user: string;
  /** The numbers of its groups. */
  readonly groups: readonly number[];
  /** The service of this daemon, whose service manager creates its folders; undefined: there is none. */
  readonly service: ServiceUnit | undefined;
  /** The status of the daemon with this control socket; undefined: none runs. */
  running(socket: string): Promise<RunningDaemon | undefined>;
  /** What a program prints; undefined: there is no such program, or it fails. */
  output(program: string, words: readonly string[]): Promise<string | undefined>;
}

/** What the service manager says about the service of a daemon. */
export interface ServiceUnit {
  readonly user: string;
  readonly group: string;
  /** Names or numbers of more groups: SupplementaryGroups. */
  readonly moreGroups: readonly string[];
  /** Ambient capabilities, such as `cap_net_bind_service`. */
  readonly capabilities: readonly string[];
  /** Those that root can have in it. */
  readonly bounds: readonly string[];
  /** Its environment variables. */
  readonly environment: Readonly<Record<string, string>>;
}

const systemFiles: Files = {
  stat: (path) => stat(path),
  may: (path, what) =>
    access(path, { read: constants.R_OK, write: constants.W_OK, execute: constants.X_OK }[what]).then(
      () => true,
      () => false,
    ),
  async room(path) {
    const { bavail, bsize, files, ffree } = await statfs(path);
    return { octets: bavail * bsize, inodes: files > 0 ? ffree : undefined };
  },
  async head(path, octets) {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(octets);
      const { bytesRead } = await file.read(buffer, 0, octets, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  },
};

/** How long a program that a check asks may run, in milliseconds. */
const PROGRAM_TIME = 3_000;

/** How long a running daemon may take to tell its status, in milliseconds. */
const STATUS_TIME = 3_000;

function output(program: string, words: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, words, { timeout: PROGRAM_TIME }, (failure, stdout) => resolve(failure ? undefined : stdout));
  });
}

async function running(socket: string): Promise<RunningDaemon | undefined> {
  try {
    const asked = callDaemon(socket, 'GET', '/status', undefined, STATUS_TIME);
    return ((await asked) ?? {}) as RunningDaemon;
  } catch (failure) {
    if (failure instanceof NoDaemonError) return undefined;
    // One runs, but does not tell this user.
    return {};
  }
}

/** The computer that this process runs on. */
export function systemComputer(service?: ServiceUnit): Computer {
  return {
    ...systemSurroundings,
    files: systemFiles,
    environment: process.env,
    user: userName(),
    groups: [process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])],
    service,
    running,
    output,
  };
}

/** A user without an entry in the database of users has only a number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.geteuid?.() ?? '?'}`;
  }
}

/** Resolves with undefined if `work` takes longer than this many milliseconds. */
export async function limited<T>(work: Promise<T>, milliseconds: number, { host }: Pick<Computer, 'host'>) {
  let result: T | undefined;
  const done = work.then((value) => {
    result = value;
  });
  await within(done, milliseconds, host);
  return result;
}
