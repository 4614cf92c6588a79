import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CancelTimer, Host } from './host.js';

/** How often files are looked at, in milliseconds. */
export const WATCH_INTERVAL = 1_000;

/** Looks at files that go on changing until they are taken all the same. */
const MAX_RESTLESS = 5;

/** What a file is known by; empty where there is none. */
export type Fingerprint = string;

/** Looks at files and folders: what each is known by now. */
export type LookAtFiles = (paths: readonly string[]) => Promise<ReadonlyMap<string, Fingerprint>>;

/**
 * Says when files have changed. Files are looked at, not watched: they may be replaced, or come over a network. A change
 * is told when a second look has seen no other, since a certificate and its key are two files.
 */
export class FileWatch {
  #onChange: (paths: readonly string[]) => Promise<void> = () => Promise.resolve();
  #paths: readonly string[] = [];
  #seen: ReadonlyMap<string, Fingerprint> = new Map();
  readonly #changed = new Set<string>();
  #restless = 0;
  #cancel: CancelTimer | undefined;
  readonly #host: Host;
  readonly #lookAt: LookAtFiles;

  constructor(host: Host, lookAt: LookAtFiles = fingerprints) {
    this.#host = host;
    this.#lookAt = lookAt;
  }

  /**
   * Looks at these files, and at the files in these folders, from now on, and at no others. `read` reads them: what changes
   * meanwhile is told later. When it rejects, so does this, and the files of before are looked at.
   */
  async watch<T>(paths: readonly string[], read: () => Promise<T>): Promise<T> {
    const before = this.#paths;
    await this.#look([...new Set([...before, ...paths])]);
    try {
      const result = await read();
      await this.#look(paths);
      return result;
    } catch (error) {
      await this.#look(before);
      throw error;
    }
  }

  /** Begins to look. `onChange`: the paths that have changed; it does not reject. */
  start(onChange: (paths: readonly string[]) => Promise<void>): void {
    this.#onChange = onChange;
    if (this.#cancel === undefined) this.#next();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#paths = [];
  }

  /** One look. */
  async look(): Promise<void> {
    const paths = this.#paths;
    const now = await this.#lookAt(paths);
    if (paths !== this.#paths) return;
    const changed = paths.filter((path) => now.get(path) !== this.#seen.get(path));
    for (const path of changed) this.#changed.add(path);
    this.#seen = now;
    if (this.#changed.size === 0) return;
    this.#restless += 1;
    if (changed.length > 0 && this.#restless < MAX_RESTLESS) return;
    const told = [...this.#changed];
    this.#changed.clear();
    this.#restless = 0;
    await this.#onChange(told);
  }

  /** What is looked at already keeps what it was known by. */
  async #look(paths: readonly string[]): Promise<void> {
    const fresh = paths.filter((path) => !this.#seen.has(path));
    const found = await this.#lookAt(fresh);
    const known = paths.map((path) => [path, this.#seen.get(path) ?? found.get(path) ?? ''] as const);
    this.#paths = paths;
    this.#seen = new Map(known);
  }

  #next(): void {
    const look = () =>
      void this.look().finally(() => {
        if (this.#cancel !== undefined) this.#next();
      });
    this.#cancel = this.#host.after(WATCH_INTERVAL, look, false);
  }
}

/** Of the file system. A folder is known by the files in it. */
export async function fingerprints(paths: readonly string[]): Promise<Map<string, Fingerprint>> {
  const found = await Promise.all(paths.map(async (path) => [path, await fingerprint(path)] as const));
  return new Map(found);
}

async function fingerprint(path: string): Promise<Fingerprint> {
  const own = await fingerprintOfFile(path);
  if (!own.startsWith('folder')) return own;
  const names = await readdir(path).catch(() => []);
  const inside = await Promise.all(
    names.sort().map(async (name) => `${name} ${await fingerprintOfFile(join(path, name))}`),
  );
  return [own, ...inside].join('\n');
}

async function fingerprintOfFile(path: string): Promise<Fingerprint> {
  try {
    const found = await stat(path);
    const { dev, ino, size, mtimeMs, ctimeMs } = found;
    return `${found.isDirectory() ? 'folder' : 'file'} ${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return '';
  }
}
