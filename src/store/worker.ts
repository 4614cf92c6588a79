import { parentPort, workerData } from 'node:worker_threads';
import { type Backend, isPostgresUrl, type Job } from './backend.js';
import { ClockKeeper } from './clock-keeper.js';
import { DatabaseError } from './database-error.js';
import { LENGTHY, PREPARING, READING } from './operation-kinds.js';
import { type OperationName, operations } from './operations.js';
import { StoreError } from './records.js';
import type { Context, Db } from './rows.js';
import { rewriteSecret } from './secret.js';
import type { StoreUse } from './store-lock.js';

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

/** What the thread is started with. */
export interface StoreThread {
  readonly store: string;
  readonly use: StoreUse;
}

/** `store`: what was asked for cannot be. `database`: it cannot be used. `fault`: an error of ours, with where it is. */
export interface StoreFailure {
  readonly kind: 'store' | 'database' | 'fault';
  readonly code: string;
  readonly message: string;
  readonly stack?: string | undefined;
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

/** Nobody asked: what an operator should know of the database, or what its driver says. */
export interface StoreWarned {
  readonly warning: string;
}

/** How often a database is looked at that is not asked, in milliseconds. */
const CHECK_INTERVAL = 2_000;

type Operation = (db: Db, given: unknown, context: Context) => Promise<unknown>;

async function main(): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('the store worker runs in a worker thread');
  // A driver's warning is no matter of a terminal.
  const warn = (warning: string) => port.postMessage({ warning } satisfies StoreWarned);
  process.removeAllListeners('warning');
  process.on('warning', ({ message }) => warn(message));
  const backend = await open(workerData as StoreThread);
  const keeper = await ClockKeeper.start(backend, (step) => port.postMessage({ step } satisfies ClockStepped)).catch(
    async (error: unknown) => {
      await backend.close();
      throw error;
    },
  );
  /** Since a write found the disk full, and until one does not. */
  let full = false;
  const job = (call: StoreCall) => jobOf(call, keeper.context(call.asked), full);
  const waiting: StoreCall[] = [];
  /** Calls beside the writer's. */
  let aside = 0;
  let working = false;
  let closing = false;

  const reply = (replies: readonly StoreReply[]) => port.postMessage(replies);
  const tried = ({ id, operation }: StoreCall, outcome: PromiseSettledResult<unknown> | undefined) => {
    if (!READING.has(operation)) full = isFull(outcome);
    return toReply(id, outcome);
  };
  const commit = async (calls: readonly StoreCall[]): Promise<PromiseSettledResult<unknown>[]> => {
    try {
      return await backend.commit(calls.map(job), keeper.follow);
    } catch (reason) {
      const failed = { status: 'rejected', reason } as const;
      // A full disk is no reason not to read.
      const reads = isFull(failed) ? calls.filter(({ operation }) => READING.has(operation)) : [];
      if (reads.length === 0 || reads.length === calls.length) return calls.map(() => failed);
      const outcomes = await commit(reads);
      return calls.map((call) => outcomes[reads.indexOf(call)] ?? failed);
    }
  };
  const work = async () => {
    working = true;
    while (waiting.length > 0) {
      // Whatever came while the last commit was on its way to the disk goes into the next one.
      const calls = waiting.splice(0, backend.batch);
      const outcomes = await commit(calls);
      reply(calls.map((call, i) => tried(call, outcomes[i])));
    }
    working = false;
    endWhenDone();
  };
  const goAside = async (call: StoreCall, how: 'read' | 'lengthy') => {
    aside += 1;
    const [outcome] = await Promise.allSettled([backend[how](job(call))]);
    reply([tried(call, outcome)]);
    aside -= 1;
    endWhenDone();
  };
  const endWhenDone = () => {
    if (closing && !working && aside === 0) void end();
  };

  const check = setInterval(() => {
    try {
      backend.check?.();
    } catch (error) {
      reply([{ id: NOBODY, failure: toFailure(error) }]);
    }
  }, CHECK_INTERVAL);

  const end = async () => {
    clearInterval(check);
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
  for (const warning of backend.warnings ?? []) warn(warning);
}

/** PostgreSQL's driver is loaded where it is needed only. */
async function open({ store, use }: StoreThread): Promise<Backend> {
  if (isPostgresUrl(store)) return (await import('./postgres.js')).PostgresBackend.open(store);
  return (await import('./database.js')).SqliteBackend.open(store, use);
}

/** `full`: it is tried first whether anything can be written: what happens to write nothing says nothing about the disk. */
function jobOf({ operation, arguments: given, who }: StoreCall, context: Context, full: boolean): Job {
  return async (db) => {
    if (full && !READING.has(operation)) await rewriteSecret(db);
    const result = await (operations[operation] as unknown as Operation)(db, given, context);
    if (who !== undefined && !READING.has(operation) && !PREPARING.has(operation)) {
      await operations.audit(db, { who, what: operation, detail: JSON.stringify(given) }, context);
    }
    return result;
  };
}

function isFull(outcome: PromiseSettledResult<unknown> | undefined): boolean {
  return (
    outcome?.status === 'rejected' &&
    outcome.reason instanceof DatabaseError &&
    outcome.reason.code === 'ERR_STORE_FULL'
  );
}

function toReply(id: number, outcome: PromiseSettledResult<unknown> | undefined): StoreReply {
  if (outcome?.status === 'fulfilled') return { id, value: outcome.value };
  return { id, failure: toFailure(outcome?.reason ?? new Error('an operation without an outcome')) };
}

function toFailure(error: unknown): StoreFailure {
  if (error instanceof StoreError) return { kind: 'store', code: error.code, message: error.message };
  if (error instanceof DatabaseError) return { kind: 'database', code: error.code, message: error.message };
  const fault: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error));
  const { code, message, stack } = fault;
  return { kind: 'fault', code: code ?? 'ERR_STORE_FAULT', message, stack };
}

main().catch((error: unknown) =>
  parentPort?.postMessage([{ id: OPENING, failure: toFailure(error) }] satisfies StoreReply[]),
);
