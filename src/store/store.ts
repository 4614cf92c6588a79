import { Worker } from 'node:worker_threads';
import { within } from '../runtime/system/within.js';
import { DatabaseError } from './database-error.js';
import { monotonic } from './monotonic.js';
import { argumentsOf } from './operation-arguments.js';
import { LENGTHY, READING } from './operation-kinds.js';
import type { OperationName, operations } from './operations.js';
import { StoreError, type StoreErrorCode } from './records.js';
import type { StoreUse } from './store-lock.js';
import type { ClockStepped, StoreCall, StoreFailure, StoreReply, StoreThread, StoreWarned } from './worker.js';

export type { OperationName };

type Operations = typeof operations;
export type ArgumentsOf<N extends OperationName> = Parameters<Operations[N]>[1];
export type ResultOf<N extends OperationName> = Awaited<ReturnType<Operations[N]>>;

/** Calls that may wait for the writer; more are refused at once. */
export const MAX_WAITING = 10_000;

/**
 * A full disk has room for a small write now and then: the store works again when what failed works, or when nothing failed
 * for so long, in milliseconds.
 */
const FULL_QUIET = 15_000;

/** How long what was begun may take until a store is closed, in milliseconds. */
const CLOSE_PATIENCE = 4_000;

export interface OpenOptions {
  /** A SQLite file has one server, and no commands beside it. */
  readonly use?: StoreUse;
  /** Gives the opening up at once. */
  readonly signal?: AbortSignal | undefined;
}

/** An operation has failed by a fault of ours; it says nothing about the database. */
export class StoreFault extends Error {
  override readonly name = 'StoreFault';
  readonly code: string;

  constructor({ code, message, stack }: StoreFailure) {
    super(message);
    this.code = code;
    if (stack !== undefined) this.stack = stack;
  }
}

interface Waiting {
  readonly operation: OperationName;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The compiled worker: Node 20 runs no TypeScript, so sources under test use the one of the last build. */
function workerUrl(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith('.ts') ? '../../dist/store/worker.js' : './worker.js', here);
}

/**
 * The AAA server's store. It lives in a thread of its own, since SQLite waits for the disk and PostgreSQL's answers cost
 * time: calls of a moment share one commit, and a call's promise resolves when its commit is on disk.
 */
export class Store {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  readonly #calls: StoreCall[] = [];
  #last = 0;
  #broken: Error | undefined;
  #works = true;
  /** What has found the disk full, and when something last did. */
  readonly #full = new Set<OperationName>();
  #fullAt = 0;
  #closing = false;
  /** Says when the database is lost, and when it answers again. */
  onState: (works: boolean, reason: string) => void = () => undefined;
  /** Says that its thread has ended, which nobody asked for: nothing is answered any more. */
  onEnd: (reason: string) => void = () => undefined;
  /** Says that the wall clock has made a step, in milliseconds, and that the store's times have made it too. */
  onClockStep: (milliseconds: number) => void = () => undefined;
  /** Says that an operation has failed by a fault of ours. */
  onFault: (operation: OperationName, fault: StoreFault) => void = () => undefined;
  /** Says what an operator should know of the database. */
  onWarning: (warning: string) => void = () => undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: readonly StoreReply[] | ClockStepped | StoreWarned) => {
      if ('step' in message) this.onClockStep(message.step);
      else if ('warning' in message) this.onWarning(message.warning);
      else for (const reply of message) this.#reply(reply);
    });
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.once('error', (error) => this.#break(error));
    worker.once('exit', () => this.#break(closed()));
  }

  /**
   * Opens a SQLite file, or `postgres://…`. Rejects with DatabaseError, also when the signal comes: its thread has ended then,
   * or does.
   */
  static async open(where: string, { use = 'command', signal }: OpenOptions = {}): Promise<Store> {
    if (signal?.aborted) throw aborted();
    const worker = new Worker(workerUrl(), { workerData: { store: where, use } satisfies StoreThread });
    const store = new Store(worker);
    const abort = () => store.#break(aborted());
    signal?.addEventListener('abort', abort, { once: true });
    store.#closing = true;
    try {
      await new Promise((resolve, reject) => store.#waiting.set(0, { resolve, reject, operation: 'statistics' }));
      store.#closing = false;
      return store;
    } catch (error) {
      // What it has begun, such as a connection, would hold up the end of the process.
      store.#end();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Runs an operation; resolves when what it changed is on disk. Rejects with StoreError for what cannot be, arguments that
   * are none among it; with DatabaseError when the database cannot be used; and with StoreFault. With `who` it is an
   * administrative change, and is written down.
   */
  run<N extends OperationName>(operation: N, given: ArgumentsOf<N>, who?: string): Promise<ResultOf<N>> {
    if (this.#broken) return Promise.reject(this.#broken);
    if (this.#waiting.size >= MAX_WAITING)
      return Promise.reject(new DatabaseError('ERR_STORE_BUSY', 'too many calls wait for the store'));
    let checked: unknown;
    try {
      checked = argumentsOf(operation, given);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, operation });
      this.#call({ id, operation, arguments: checked, asked: monotonic(), who });
    });
  }

  /**
   * Whether its thread lives, whatever the database says. It does when it has more to do than it can, or something that takes
   * minutes: with SQLite nothing else is answered meanwhile.
   */
  async answers(): Promise<boolean> {
    if (
      this.#waiting.size >= MAX_WAITING ||
      [...this.#waiting.values()].some(({ operation }) => LENGTHY.has(operation))
    )
      return true;
    await this.run('listHomeAgents', {}).catch(() => undefined);
    return this.#broken === undefined;
  }

  /** Ends what was begun, but does not wait for it longer than `patience` milliseconds: then its calls are rejected. */
  async close(patience = CLOSE_PATIENCE): Promise<void> {
    this.#closing = true;
    this.#flush();
    if (this.#broken) return;
    this.#worker.postMessage('close');
    await within(this.#exited, patience);
    this.#end();
  }

  /** Ends its thread whatever it does. One that waits for a disk ends with the process. */
  #end(): void {
    this.#break(closed());
    this.#worker.unref();
    void this.#worker.terminate();
  }

  /** Calls of one turn go over together: waking the other thread costs more than most calls. */
  #call(call: StoreCall): void {
    this.#calls.push(call);
    if (this.#calls.length > 1) return;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#calls.length > 0) this.#worker.postMessage(this.#calls.splice(0));
  }

  #reply(reply: StoreReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('failure' in reply) {
      const { kind, code, message } = reply.failure;
      if (code === 'ERR_STORE_FULL' && waiting) {
        this.#full.add(waiting.operation);
        this.#fullAt = monotonic();
      }
      if (kind === 'database') this.#lost(message);
      const error = toError(reply.failure);
      if (waiting && error instanceof StoreFault) this.onFault(waiting.operation, error);
      waiting?.reject(error);
    } else {
      this.#worked(waiting?.operation);
      waiting?.resolve(reply.value);
    }
  }

  #lost(reason: string): void {
    if (!this.#works) return;
    this.#works = false;
    this.onState(false, reason);
  }

  #worked(operation: OperationName | undefined): void {
    if (this.#works || (this.#full.size > 0 && !this.#hasRoom(operation))) return;
    this.#works = true;
    this.#full.clear();
    this.onState(true, '');
  }

  #hasRoom(worked: OperationName | undefined): boolean {
    if (worked === undefined || READING.has(worked)) return false;
    return this.#full.has(worked) || monotonic() - this.#fullAt >= FULL_QUIET;
  }

  #break(error: Error): void {
    if (this.#broken) return;
    this.#broken = error;
    if (!this.#closing) this.onEnd(error.message);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function toError(failure: StoreFailure): Error {
  const { kind, code, message } = failure;
  if (kind === 'store') return new StoreError(code as StoreErrorCode, message);
  if (kind === 'database') return new DatabaseError(code as DatabaseError['code'], message);
  return new StoreFault(failure);
}

function aborted(): DatabaseError {
  return new DatabaseError('ERR_STORE_OPEN', 'the store is not opened: it was given up');
}

function closed(): DatabaseError {
  return new DatabaseError('ERR_STORE_OPEN', 'the store is closed');
}
