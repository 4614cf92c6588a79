import { Worker } from 'node:worker_threads';
import type { Host } from '../runtime/system/host.js';
import { within } from '../runtime/system/within.js';
import { DatabaseError, type DatabaseErrorCode } from './database-error.js';
import type { FromThread, StoreReply, StoreThread, ThreadCall, ThreadFailure, ToThread } from './messages.js';
import type { StoreClass } from './operation.js';
import type { ArgumentsOf, OperationName, ResultOf } from './operations.js';
import type { Administered, StoreEvents, StorePort } from './port.js';
import { StoreError, type StoreErrorCode } from './records.js';
import type { DutyHolder } from './rows.js';
import { StoreFault } from './store-fault.js';
import type { StoreUse } from './store-lock.js';
import { threadHost } from './thread-host.js';

/** Maximum number of pending calls; further ones are refused at once. */
export const MAX_WAITING = 10_000;

/** How long closing waits for pending calls, in milliseconds. */
const CLOSE_PATIENCE = 4_000;

export interface OpenOptions {
  /** A SQLite file has either one server or several commands. */
  readonly use?: StoreUse;
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
  readonly events?: StoreEvents;
  /** The server that does the duties of the operations; none by default. */
  readonly holder?: DutyHolder | undefined;
  /** Its monotonic clock must be the same in all threads. */
  readonly host?: Host;
  /** The compiled program of the store's thread. Node runs no TypeScript. */
  readonly program?: URL;
}

/** The compiled worker, in the same folder as this file when compiled. */
const THREAD = new URL('./worker.js', import.meta.url);

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The store in its own thread, because SQLite blocks while it waits for the disk, and PostgreSQL's results take time to
 * parse. StoreEngine runs there.
 */
export class Store implements StorePort {
  readonly #worker: Worker;
  readonly #events: StoreEvents;
  readonly #host: Host;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  readonly #calls: ThreadCall[] = [];
  #last = 0;
  #broken: Error | undefined;
  #isOpen = false;
  #classes: Readonly<Partial<Record<OperationName, StoreClass>>> = {};
  #closing = false;
  /** Whether the thread is running an operation that may take minutes, and the callbacks to call when it starts one. */
  #busy = false;
  readonly #whenBusy = new Set<() => void>();
  #opened: () => void = () => undefined;
  #refused: (error: Error) => void = () => undefined;
  readonly #opening = new Promise<void>((resolve, reject) => {
    this.#opened = resolve;
    this.#refused = reject;
  });

  private constructor(worker: Worker, events: StoreEvents, host: Host) {
    this.#worker = worker;
    this.#events = events;
    this.#host = host;
    worker.on('message', (message: FromThread) => this.#hear(message));
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.once('error', (error) => this.#break(error));
    worker.once('exit', () => this.#break(closed()));
  }

  /**
   * Opens a SQLite file or `postgres://…`. Rejects with DatabaseError, also when the signal aborts; the thread then
   * ends.
   */
  static async open(
    where: string,
    { use = 'command', signal, events = {}, holder, host = threadHost, program = THREAD }: OpenOptions = {},
  ): Promise<Store> {
    if (signal?.aborted) throw aborted();
    const worker = new Worker(program, { workerData: { store: where, use, holder } satisfies StoreThread });
    const store = new Store(worker, events, host);
    const abort = () => store.#break(aborted());
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await store.#opening;
      return store;
    } catch (error) {
      // End the thread, which would otherwise delay the end of the process, for example by an open connection.
      store.#closing = true;
      store.#end();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  run<N extends OperationName>(operation: N, given: ArgumentsOf<N>, who?: string): Promise<ResultOf<N>> {
    return this.#ask(operation, given, who, false) as Promise<ResultOf<N>>;
  }

  administer(operation: string, given: unknown, who: string): Promise<Administered> {
    return this.#ask(operation, given, who, true) as Promise<Administered>;
  }

  classOf(operation: OperationName): StoreClass {
    return this.#classes[operation] ?? 'administration';
  }

  /**
   * Whether the thread is alive, whatever the state of the database. It counts as alive when it is overloaded or runs
   * an operation that takes minutes, because SQLite answers nothing else meanwhile.
   */
  async answers(): Promise<boolean> {
    if (this.#waiting.size >= MAX_WAITING || this.#busy) return true;
    let heard: () => void = () => undefined;
    const busy = new Promise<void>((resolve) => {
      heard = resolve;
    });
    this.#whenBusy.add(heard);
    await Promise.race([this.run('listHomeAgents', {}).catch(() => undefined), busy]);
    this.#whenBusy.delete(heard);
    return this.#broken === undefined;
  }

  /** Completes pending calls and closes the store. After `patience` milliseconds the remaining calls are rejected. */
  async close(patience = CLOSE_PATIENCE): Promise<void> {
    this.#closing = true;
    this.#flush();
    if (this.#broken) return;
    this.#post('close');
    await within(this.#exited, patience, this.#host);
    this.#end();
  }

  /** Terminates the thread. If it is blocked by the disk, it ends with the process. */
  #end(): void {
    this.#break(closed());
    this.#worker.unref();
    void this.#worker.terminate();
  }

  #ask(operation: string, given: unknown, who: string | undefined, outside: boolean): Promise<unknown> {
    if (this.#broken) return Promise.reject(this.#broken);
    if (this.#waiting.size >= MAX_WAITING)
      return Promise.reject(new DatabaseError('ERR_STORE_BUSY', 'too many pending store calls'));
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#call({ id, operation, arguments: given, asked: this.#host.monotonic(), who, outside });
    });
  }

  /** Calls of one turn are sent together, because waking the other thread costs more than most calls. */
  #call(call: ThreadCall): void {
    this.#calls.push(call);
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#calls.length === 0) return;
    const calls = this.#calls.splice(0);
    try {
      this.#post(calls);
    } catch {
      // The arguments of one of these calls cannot be copied, for example because they are nested too deeply.
      for (const call of calls) this.#postAlone(call);
    }
  }

  #postAlone(call: ThreadCall): void {
    try {
      this.#post([call]);
    } catch (error) {
      const { id, operation } = call;
      const reason = error instanceof Error ? error.message : String(error);
      const message = `${operation}: the arguments cannot be passed on: ${reason}`;
      this.#reply({ id, failure: { kind: 'store', code: 'ERR_STORE_VALUE', message } });
    }
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #hear(message: FromThread): void {
    const events = this.#events;
    switch (message.type) {
      case 'opened':
        this.#isOpen = true;
        this.#classes = message.classes;
        this.#opened();
        break;
      case 'refused':
        this.#refused(toError(message.failure));
        break;
      case 'replies':
        for (const reply of message.replies) this.#reply(reply);
        break;
      case 'state':
        events.state?.(message.works, message.reason);
        break;
      case 'overload':
        events.overload?.(message.overloaded, message.reason);
        break;
      case 'clockStep':
        events.clockStep?.(message.milliseconds);
        break;
      case 'fault':
        events.fault?.(message.where, toFault(message.failure));
        break;
      case 'warning':
        events.warning?.(message.text);
        break;
      case 'busy':
        this.#busy = message.busy;
        if (message.busy) for (const heard of this.#whenBusy) heard();
    }
  }

  #reply(reply: StoreReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('failure' in reply) waiting?.reject(toError(reply.failure));
    else waiting?.resolve(reply.value);
  }

  #break(error: Error): void {
    if (this.#broken) return;
    this.#broken = error;
    this.#refused(error);
    if (this.#isOpen && !this.#closing) this.#events.ended?.(error.message);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function toError(failure: ThreadFailure): Error {
  const { kind, code, message } = failure;
  if (kind === 'store') return new StoreError(code as StoreErrorCode, message);
  if (kind === 'database') return new DatabaseError(code as DatabaseErrorCode, message);
  return toFault(failure);
}

function toFault({ message, stack = message }: ThreadFailure): StoreFault {
  return new StoreFault(message, stack);
}

function aborted(): DatabaseError {
  return new DatabaseError('ERR_STORE_OPEN', 'opening the store was aborted');
}

function closed(): DatabaseError {
  return new DatabaseError('ERR_STORE_OPEN', 'the store is closed');
}
