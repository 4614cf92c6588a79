import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CancelTimer, Host } from './host.js';

/** Polling interval in milliseconds. */
const WATCH_INTERVAL = 1_000;

/** After this many polls a change is reported even if the files still change. */
const MAX_RESTLESS = 5;

/** Identifies the state of a file; empty if the file does not exist. */
export type Fingerprint = string;

/** Returns the fingerprints of files and folders. */
export type LookAtFiles = (paths: readonly string[]) => Promise<ReadonlyMap<string, Fingerprint>>;

/**
 * Reports when files have changed. Files are polled, since they may be replaced or be on a network file system. A
 * change is reported when the next poll finds no further change, because a certificate and its key are two files.
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
   * Replaces the watched paths by these files, and the files in these folders. `read` reads them; a change during the
   * read is reported later. If `read` rejects, this rejects and the earlier paths remain watched.
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

  /** Starts polling. `onChange` receives the changed paths and must not reject. */
  start(onChange: (paths: readonly string[]) => Promise<void>): void {
    this.#onChange = onChange;
    if (this.#cancel === undefined) this.#next();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#paths = [];
  }

  /** Polls once. */
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
    const reported = [...this.#changed];
    this.#changed.clear();
    this.#restless = 0;
    await this.#onChange(reported);
  }

  /** Sets the watched paths. Paths that were watched before keep their fingerprints. */
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

/** Reads fingerprints from the file system. The fingerprint of a folder covers the files in it. */
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
