import type { Worker } from 'node:worker_threads';
import { systemHost } from './host.js';

/** How long threads may take to end, and how often they are checked, in milliseconds. */
const THREADS_END = 1_000;
const LOOK_EVERY = 20;

/** Requests that run in a thread: file operations and name lookups. */
const IN_THREAD = /^(FSReq|GetAddrInfo|GetNameInfo)/;

const workers = new Set<Worker>();
process.on('worker', (worker: Worker) => {
  workers.add(worker);
  worker.once('exit', () => workers.delete(worker));
});

/**
 * Exits with this status. `process.exit` waits for every thread, forever if one is in a system call that does not
 * return (a file on a dead server). In that case the process kills itself.
 */
export async function endProcess(status: number): Promise<never> {
  for (const worker of workers) void worker.terminate();
  for (let waited = 0; isThreadBusy(); waited += LOOK_EVERY) {
    if (waited >= THREADS_END) killProcess();
    await new Promise<void>((resolve) => systemHost.after(LOOK_EVERY, resolve));
  }
  process.exit(status);
}

function isThreadBusy(): boolean {
  return workers.size > 0 || process.getActiveResourcesInfo().some((name) => IN_THREAD.test(name));
}

/** Ends the process with SIGKILL, regardless of its threads. */
export function killProcess(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('unreachable');
}
