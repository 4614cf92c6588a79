import { parentPort, workerData } from 'node:worker_threads';
import { type Backend, isPostgresUrl } from './backend.js';
import { DatabaseError } from './database-error.js';
import { StoreEngine } from './engine.js';
import type { FromThread, StoreReply, StoreThread, ThreadCall, ThreadFailure, ToThread } from './messages.js';
import { operationClasses } from './operations.js';
import { StoreError } from './records.js';
import { StoreFault } from './store-fault.js';
import { threadHost } from './thread-host.js';

/** Runs the store engine in this thread, and converts between messages and the engine's promises and events. */
async function main(): Promise<void> {
  // Report driver warnings to the main thread instead of the terminal.
  process.removeAllListeners('warning');
  process.on('warning', ({ message }) => post({ type: 'warning', text: message }));
  const thread = workerData as StoreThread;
  const { holder } = thread;
  const backend = await open(thread);
  const engine = await StoreEngine.open(backend, threadHost, {
    state: (works, reason) => post({ type: 'state', works, reason }),
    overload: (overloaded, reason) => post({ type: 'overload', overloaded, reason }),
    clockStep: (milliseconds) => post({ type: 'clockStep', milliseconds }),
    fault: (where, fault) => post({ type: 'fault', where, failure: toFailure(fault) }),
    warning: (text) => post({ type: 'warning', text }),
    busy: (busy) => post({ type: 'busy', busy }),
  }).catch(async (error: unknown) => {
    await backend.close();
    throw error;
  });

  const replies: StoreReply[] = [];
  /** Replies of one commit are sent together, because waking the other thread costs more than most operations. */
  const reply = (one: StoreReply) => {
    replies.push(one);
    if (replies.length === 1) queueMicrotask(() => post({ type: 'replies', replies: replies.splice(0) }));
  };
  const run = (call: ThreadCall): Promise<unknown> => {
    const { operation, arguments: given, who, asked, outside } = call;
    if (outside) return engine.administer(operation, given, who ?? '', asked, holder);
    return engine.run(operation as never, given as never, who, asked, holder);
  };

  parentPort?.on('message', (message: ToThread) => {
    if (message === 'close') {
      void engine.close().then(async () => {
        await backend.close();
        process.exit();
      });
      return;
    }
    for (const call of message) {
      const { id } = call;
      run(call).then(
        (value) => reply({ id, value }),
        (error: unknown) => reply({ id, failure: toFailure(error) }),
      );
    }
  });
  post({ type: 'opened', classes: operationClasses });
}

function post(message: FromThread): void {
  parentPort?.postMessage(message);
}

/** PostgreSQL's driver is loaded only if needed. */
async function open({ store, use }: StoreThread): Promise<Backend> {
  if (isPostgresUrl(store)) return (await import('./postgres.js')).PostgresBackend.open(store, threadHost);
  return (await import('./database.js')).SqliteBackend.open(store, use);
}

function toFailure(error: unknown): ThreadFailure {
  if (error instanceof StoreError) return { kind: 'store', code: error.code, message: error.message };
  if (error instanceof DatabaseError) return { kind: 'database', code: error.code, message: error.message };
  const { code, message, stack } = StoreFault.of(error);
  return { kind: 'fault', code, message, stack };
}

main().catch((error: unknown) => post({ type: 'refused', failure: toFailure(error) }));
