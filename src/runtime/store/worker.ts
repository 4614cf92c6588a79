import { parentPort, workerData } from 'node:worker_threads';
import { type Backend, isPostgresUrl, type Job } from './backend.js';
import { ClockKeeper } from './clock-keeper.js';
import { DatabaseError } from './database-error.js';
import { LENGTHY, PREPARING, READING } from './operation-kinds.js';
import { type OperationName, operations } from './operations.js';
import { StoreError } from './records.js';
import type { Context, Db } from './rows.js';

/** A call of an operation, from the main thread. */
export interface StoreCall {
  readonly id: number;
  readonly operation: OperationName;
  readonly arguments: unknown;
  /** When it was asked for, by the monotonic clock. */
  readonly asked: number;
  /** Whoever changes something by hand: it is written down in the same commit. */
  readonly who?: string | undefined;
}

export interface StoreFailure {
  readonly kind: 'store' | 'database' | 'internal';
  readonly code: string;
  readonly message: string;
}

/** Instead of a call's: it is opened; nobody waits for this. */
const OPENING = 0;
const NOBODY = -1;

export type StoreReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: StoreFailure };

/** Nobody asked: the wall clock has made a step of so many milliseconds, and the store's times with it. */
export interface ClockStepped {
  readonly step: number;
}

type Operation = (db: Db, given: unknown, context: Context) => Promise<unknown>;

async function main(): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('the store worker runs in a worker thread');
  const { store } = workerData as { readonly store: string };
  const backend = await open(store);
  const keeper = await ClockKeeper.start(backend, (step) => port.postMessage({ step } satisfies ClockStepped)).catch(
    async (error: unknown) => {
      await backend.close();
      throw error;
    },
  );
  const job = (call: StoreCall) => jobOf(call, keeper.context(call.asked));
  const waiting: StoreCall[] = [];
  /** Calls beside the writer's. */
  let aside = 0;
  let working = false;
  let closing = false;

  const reply = (replies: readonly StoreReply[]) => port.postMessage(replies);
  const work = async () => {
    working = true;
    while (waiting.length > 0) {
      // Whatever came while the last commit was on its way to the disk goes into the next one.
      const calls = waiting.splice(0, backend.batch);
      const replies = await backend.commit(calls.map(job), keeper.follow).then(
        (outcomes) => outcomes.map((outcome, i) => toReply(calls[i]?.id ?? 0, outcome)),
        (error: unknown) => calls.map(({ id }) => ({ id, failure: toFailure(error) })),
      );
      reply(replies);
    }
    working = false;
    endWhenDone();
  };
  const goAside = async (call: StoreCall, how: 'read' | 'lengthy') => {
    aside += 1;
    const [outcome] = await Promise.allSettled([backend[how](job(call))]);
    reply([toReply(call.id, outcome)]);
    aside -= 1;
    endWhenDone();
  };
  const endWhenDone = () => {
    if (closing && !working && aside === 0) void end();
  };

  const end = async () => {
    await keeper.stop();
    await backend.close();
    process.exit();
  };

  port.on('message', (calls: readonly StoreCall[] | 'close') => {
    if (calls === 'close') {
      closing = true;
      endWhenDone();
      return;
    }
    for (const call of calls) {
      if (backend.concurrent && READING.has(call.operation)) void goAside(call, 'read');
      else if (backend.concurrent && LENGTHY.has(call.operation)) void goAside(call, 'lengthy');
      else waiting.push(call);
    }
    if (!working && waiting.length > 0) void work();
  });
  keeper.watch((error) => reply([{ id: NOBODY, failure: toFailure(error) }]));
  reply([{ id: OPENING, value: 'open' }]);
}

/** PostgreSQL's driver is loaded where it is needed only. */
async function open(store: string): Promise<Backend> {
  if (isPostgresUrl(store)) return (await import('./postgres.js')).PostgresBackend.open(store);
  return (await import('./database.js')).SqliteBackend.open(store);
}

function jobOf({ operation, arguments: given, who }: StoreCall, context: Context): Job {
  return async (db) => {
    const result = await (operations[operation] as unknown as Operation)(db, given, context);
    if (who !== undefined && !READING.has(operation) && !PREPARING.has(operation)) {
      await operations.audit(db, { who, what: operation, detail: JSON.stringify(given) }, context);
    }
    return result;
  };
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
  parentPort?.postMessage([{ id: OPENING, failure: toFailure(error) }] satisfies StoreReply[]),
);
