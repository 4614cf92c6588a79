import type { Worker } from 'node:worker_threads';

/** How long the process's threads may take to end, in milliseconds, and how often they are looked at. */
const THREADS_END = 1_000;
const LOOK_EVERY = 20;

/** Requests that run in a thread: files, and look-ups of names. */
const IN_THREAD = /^(FSReq|GetAddrInfo|GetNameInfo)/;

const workers = new Set<Worker>();
process.on('worker', (worker: Worker) => {
  workers.add(worker);
  worker.once('exit', () => workers.delete(worker));
});

/**
 * Ends the process with this status. `process.exit` waits for each thread, for ever if one is in a system call that does not
 * return (a file on a server that is gone): then the process kills itself.
 */
export async function endProcess(status: number): Promise<never> {
  for (const worker of workers) void worker.terminate();
  for (let waited = 0; isThreadBusy(); waited += LOOK_EVERY) {
    if (waited >= THREADS_END) killProcess();
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
  process.exit(status);
}

function isThreadBusy(): boolean {
  return workers.size > 0 || process.getActiveResourcesInfo().some((name) => IN_THREAD.test(name));
}

/** Ends the process, whatever its threads do. */
export function killProcess(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('unreachable');
}
