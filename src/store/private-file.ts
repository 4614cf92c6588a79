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

/** Access for the owner only: a store contains the secret behind home addresses and the ticket keys. */
const PRIVATE = 0o600;
const OTHERS = 0o077;

/** Suffixes of the files that SQLite keeps beside an open database. */
export const BESIDE = ['-wal', '-shm'] as const;

/** Resolves the symbolic links of a path, even if the file does not exist yet. */
export function placeOf(path: string): string {
  const target = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
    ? resolve(dirname(path), readlinkSync(path))
    : resolve(path);
  return existsSync(target) ? realpathSync(target) : target;
}

/**
 * Creates an empty file with access for its owner only, whatever the umask. Returns false if it exists. Throws the
 * system's error.
 */
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
    if (belongsToFolder) changeOwner(descriptor, path);
  } finally {
    closeSync(descriptor);
  }
  return true;
}

/** Removes other users' access to a file and to the files that SQLite keeps beside it. Throws the system's error. */
export function restrict(path: string): void {
  for (const name of [path, ...BESIDE.map((ending) => path + ending)]) {
    const status = statSync(name, { throwIfNoEntry: false });
    if (status?.isFile() && (status.mode & OTHERS) !== 0 && mayChange(status.uid)) chmodSync(name, PRIVATE);
  }
}

/**
 * Changes the owner of a file that root created to the owner of its folder, because an operator may run a command as
 * root before the server runs as another user. Changes only an empty file, which a killed process has left. SQLite
 * itself gives the files beside it the same owner.
 */
export function giveToFolderOwner(path: string): void {
  if (process.geteuid?.() !== 0 || statSync(dirname(path)).uid === 0) return;
  const found = lstatSync(path, { throwIfNoEntry: false });
  // Closing a descriptor of a file releases this process's locks on it, so only files that nobody can have locked are
  // opened.
  if (!found?.isFile() || found.uid !== 0 || found.size !== 0) return;
  // The owner of the folder may have replaced the file meanwhile: do not follow links, and do not change a file that
  // has another name.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { nlink, uid, size } = fstatSync(descriptor);
    if (nlink === 1 && uid === 0 && size === 0) changeOwner(descriptor, path);
  } finally {
    closeSync(descriptor);
  }
}

function changeOwner(descriptor: number, path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(path));
  if (uid !== 0) fchownSync(descriptor, uid, gid);
}

function mayChange(owner: number): boolean {
  const user = process.geteuid?.();
  return user === 0 || user === owner;
}

/**
 * Writes a folder's entries to disk, so that a created or renamed file survives a power failure. Throws the system's
 * error.
 */
export function syncFolder(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Checks whether paths still lead to the files that were opened. */
export class OpenedFiles {
  readonly #files: ReadonlyMap<string, BigIntStats>;

  /** `path`: the database. The files that exist beside it now are included. */
  constructor(path: string) {
    const names = [path, ...BESIDE.map((ending) => path + ending)];
    this.#files = new Map(
      names.flatMap((name): [string, BigIntStats][] => {
        const status = statSync(name, { bigint: true, throwIfNoEntry: false });
        return status ? [[name, status]] : [];
      }),
    );
  }

  /** Which file was deleted or replaced, as text; undefined if none. */
  problem(): string | undefined {
    for (const [name, { dev, ino }] of this.#files) {
      const now = statSync(name, { bigint: true, throwIfNoEntry: false });
      if (!now) return `${name} was deleted`;
      if (now.dev !== dev || now.ino !== ino) return `${name} was replaced by another file`;
    }
    return undefined;
  }
}
