import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

/** A store holds the secret of home addresses and the keys of session tickets. */
const PRIVATE = 0o600;
const OTHERS = 0o077;

/** What SQLite keeps beside a file while somebody has it open. */
export const BESIDE = ['-wal', '-shm'] as const;

/** Where a file is, or is going to be, whatever links lead to it. */
export function placeOf(path: string): string {
  const target = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
    ? resolve(dirname(path), readlinkSync(path))
    : resolve(path);
  return existsSync(target) ? realpathSync(target) : target;
}

/** Makes an empty file that nobody but its owner may use, whatever the umask; whether it was not there. Throws the system's error. */
export function makePrivate(path: string, belongsToFolder: boolean): boolean {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, PRIVATE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  try {
    fchmodSync(descriptor, PRIVATE);
    if (belongsToFolder) giveAway(descriptor, path);
  } finally {
    closeSync(descriptor);
  }
  return true;
}

/** Takes a file, and what SQLite keeps beside it, from all but its owner. Throws the system's error. */
export function restrict(path: string): void {
  for (const name of [path, ...BESIDE.map((ending) => path + ending)]) {
    const status = statSync(name, { throwIfNoEntry: false });
    if (status?.isFile() && (status.mode & OTHERS) !== 0 && mayChange(status.uid)) chmodSync(name, PRIVATE);
  }
}

/**
 * What root makes belongs to whom its folder belongs to: an operator's command may come before the server, which runs as
 * another user. An empty file of root's was left by one that was killed. SQLite itself gives the files beside it the same owner.
 */
export function giveToFolderOwner(path: string): void {
  if (process.geteuid?.() !== 0 || statSync(dirname(path)).uid === 0) return;
  const found = lstatSync(path, { throwIfNoEntry: false });
  // Closing a descriptor of a file gives up this process's locks on it: only where nobody can have any yet.
  if (!found?.isFile() || found.uid !== 0 || found.size !== 0) return;
  // That user may have put something else there by now: not what a link leads to, nor what has another name.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { nlink, uid, size } = fstatSync(descriptor);
    if (nlink === 1 && uid === 0 && size === 0) giveAway(descriptor, path);
  } finally {
    closeSync(descriptor);
  }
}

function giveAway(descriptor: number, path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(path));
  if (uid !== 0) fchownSync(descriptor, uid, gid);
}

function mayChange(owner: number): boolean {
  const user = process.geteuid?.();
  return user === 0 || user === owner;
}

/** Has a folder on disk as it is: a name in it that was made or changed outlasts a power failure. Throws the system's error. */
export function syncFolder(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Knows whether names still lead to the files that were opened by them. */
export class OpenedFiles {
  readonly #files: ReadonlyMap<string, BigIntStats>;

  /** A file, and what is beside it by now. */
  constructor(path: string) {
    const names = [path, ...BESIDE.map((ending) => path + ending)];
    this.#files = new Map(
      names.flatMap((name): [string, BigIntStats][] => {
        const status = statSync(name, { bigint: true, throwIfNoEntry: false });
        return status ? [[name, status]] : [];
      }),
    );
  }

  /** What was deleted or replaced, for people; undefined: nothing. */
  problem(): string | undefined {
    for (const [name, { dev, ino }] of this.#files) {
      const now = statSync(name, { bigint: true, throwIfNoEntry: false });
      if (!now) return `${name} was deleted`;
      if (now.dev !== dev || now.ino !== ino) return `${name} was replaced by another file`;
    }
    return undefined;
  }
}
