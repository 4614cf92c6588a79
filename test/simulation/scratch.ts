import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A memory file system if there is one, since a world writes small files. */
const SCRATCH = process.platform === 'linux' ? '/dev/shm' : tmpdir();

/** The name of a world's folder begins with this and the process id of its owner. */
const NAME = /^pana-world-(\d+)-/;

/**
 * How long a folder is kept if no process has the id of its owner, in milliseconds. The owner may run in another PID namespace.
 */
export const KEPT_FOR = 3_600_000;

/** Signals that end a process. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The folders of this process. */
const own = new Set<string>();

/** Makes the folder of a world. It is removed by `removeScratch` or at the end of the process. */
export function makeScratch(): string {
  if (own.size === 0) {
    removeAbandoned(SCRATCH, Date.now());
    process.on('exit', removeOwn);
    for (const signal of ENDING) process.on(signal, end);
  }
  const folder = mkdtempSync(join(SCRATCH, `pana-world-${process.pid}-`));
  own.add(folder);
  return folder;
}

export function removeScratch(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  own.delete(folder);
  if (own.size > 0) return;
  process.off('exit', removeOwn);
  for (const signal of ENDING) process.off(signal, end);
}

function removeOwn(): void {
  for (const folder of own) rmSync(folder, { recursive: true, force: true });
}

/** Removes the folders, and ends the process as the signal would without this handler. */
function end(signal: NodeJS.Signals): void {
  for (const folder of [...own]) removeScratch(folder);
  process.kill(process.pid, signal);
}

/** Removes the folders in `where` of processes that were killed more than an hour before `now` (milliseconds since 1970). */
export function removeAbandoned(where: string, now: number): void {
  for (const name of readdirSync(where)) {
    const owner = NAME.exec(name)?.[1];
    if (owner === undefined || isRunning(Number(owner))) continue;
    const folder = join(where, name);
    const changed = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? now;
    if (now - changed > KEPT_FOR) rmSync(folder, { recursive: true, force: true });
  }
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
