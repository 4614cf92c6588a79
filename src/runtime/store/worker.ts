import { parentPort, workerData } from 'node:worker_threads';
import { inOneCommit, openSqlite, storeSecret } from './database.js';
import { DatabaseError } from './database-error.js';
import { contextOf, operations, StoreError } from './operations.js';

/** A call of an operation, from the main thread. */
export interface StoreCall {
  readonly id: number;
  readonly operation: keyof typeof operations;
  readonly arguments: unknown;
}

export interface StoreFailure {
  readonly kind: 'store' | 'database' | 'internal';
  readonly code: string;
  readonly message: string;
}

export type StoreReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: StoreFailure };

/** The most calls in one commit: the first ones should not wait for the last. */
const MAX_BATCH = 256;

type Operation = (db: unknown, given: unknown, context: unknown) => Promise<unknown>;

async function main(): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('the store worker runs in a worker thread');
  const { path } = workerData as { readonly path: string };
  const db = await openSqlite(path);
  const context = contextOf(await storeSecret(db));
  const waiting: StoreCall[] = [];
  let working = false;
  let closing = false;

  const work = async () => {
    working = true;
    while (waiting.length > 0) {
      // Whatever came while the last commit was on its way to the disk goes into the next one.
      const calls = waiting.splice(0, MAX_BATCH);
      const jobs = calls.map((call) => (connection: unknown) => run(connection, call, context));
      const replies = await inOneCommit(db, jobs).then(
        (outcomes) => outcomes.map((outcome, i) => toReply(calls[i]?.id ?? 0, outcome)),
        (error: unknown) => calls.map(({ id }) => ({ id, failure: toFailure(error) })),
      );
      port.postMessage(replies);
    }
    working = false;
    if (closing) end();
  };
  const end = () => void db.destroy().then(() => port.close());

  port.on('message', (calls: readonly StoreCall[] | 'close') => {
    if (calls === 'close') {
      closing = true;
      if (!working) end();
      return;
    }
    waiting.push(...calls);
    if (!working) void work();
  });
  port.postMessage([{ id: 0, value: 'open' }] satisfies StoreReply[]);
}

function run(db: unknown, call: StoreCall, context: unknown): Promise<unknown> {
  return (operations[call.operation] as unknown as Operation)(db, call.arguments, context);
}

function toReply(id: number, outcome: PromiseSettledResult<unknown>): StoreReply {
  return outcome.status === 'fulfilled' ? { id, value: outcome.value } : { id, failure: toFailure(outcome.reason) };
}

function toFailure(error: unknown): StoreFailure {
  if (error instanceof StoreError) return { kind: 'store', code: error.code, message: error.message };
  if (error instanceof DatabaseError) return { kind: 'database', code: error.code, message: error.message };
  const { code, message } = error as NodeJS.ErrnoException;
  return { kind: 'internal', code: code ?? 'ERR_STORE', message };
}

main().catch((error: unknown) =>
  parentPort?.postMessage([{ id: 0, failure: toFailure(error) }] satisfies StoreReply[]),
);
