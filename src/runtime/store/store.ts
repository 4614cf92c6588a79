import { Worker } from 'node:worker_threads';
import { DatabaseError } from './database-error.js';
import { monotonic } from './monotonic.js';
import { LENGTHY } from './operation-kinds.js';
import type { OperationName, operations } from './operations.js';
import { StoreError, type StoreErrorCode } from './records.js';
import type { ClockStepped, StoreCall, StoreFailure, StoreReply } from './worker.js';

export type { OperationName };

type Operations = typeof operations;
export type ArgumentsOf<N extends OperationName> = Parameters<Operations[N]>[1];
export type ResultOf<N extends OperationName> = Awaited<ReturnType<Operations[N]>>;

/** Calls that may wait for the writer; more are refused at once. */
export const MAX_WAITING = 10_000;

interface Waiting {
  readonly isLengthy: boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The compiled worker: Node 20 runs no TypeScript, so sources under test use the one of the last build. */
function workerUrl(): URL {
  const here = import.meta.url;
  return new URL(here.endsWith('.ts') ? '../../../dist/runtime/store/worker.js' : './worker.js', here);
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
  #closing = false;
  /** Says when the database is lost, and when it answers again. */
  onState: (works: boolean, reason: string) => void = () => undefined;
  /** Says that its thread has ended, which nobody asked for: nothing is answered any more. */
  onEnd: (reason: string) => void = () => undefined;
  /** Says that the wall clock has made a step, in milliseconds, and that the store's times have made it too. */
  onClockStep: (milliseconds: number) => void = () => undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (message: readonly StoreReply[] | ClockStepped) => {
      if ('step' in message) this.onClockStep(message.step);
      else for (const reply of message) this.#reply(reply);
    });
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.once('error', (error) => this.#break(error));
    worker.once('exit', () => this.#break(new DatabaseError('ERR_STORE_OPEN', 'the store is closed')));
  }

  /** Opens a SQLite file, or `postgres://…`. Rejects with DatabaseError. */
  static async open(where: string): Promise<Store> {
    const worker = new Worker(workerUrl(), { workerData: { store: where } });
    const store = new Store(worker);
    await new Promise((resolve, reject) => store.#waiting.set(0, { resolve, reject, isLengthy: false }));
    return store;
  }

  /**
   * Runs an operation; resolves when what it changed is on disk. Rejects with StoreError for what cannot be. With `who` it is
   * an administrative change, and is written down.
   */
  run<N extends OperationName>(operation: N, given: ArgumentsOf<N>, who?: string): Promise<ResultOf<N>> {
    if (this.#broken) return Promise.reject(this.#broken);
    if (this.#waiting.size >= MAX_WAITING)
      return Promise.reject(new DatabaseError('ERR_STORE_BUSY', 'too many calls wait for the store'));
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      const isLengthy = LENGTHY.has(operation);
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, isLengthy });
      this.#call({ id, operation, arguments: given, asked: monotonic(), who });
    });
  }

  /**
   * Whether its thread lives, whatever the database says. It does when it has more to do than it can, or something that takes
   * minutes: with SQLite nothing else is answered meanwhile.
   */
  async answers(): Promise<boolean> {
    if (this.#waiting.size >= MAX_WAITING || [...this.#waiting.values()].some(({ isLengthy }) => isLengthy))
      return true;
    await this.run('listHomeAgents', {}).catch(() => undefined);
    return this.#broken === undefined;
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#flush();
    if (!this.#broken) this.#worker.postMessage('close');
    await this.#exited;
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
      if (reply.failure.kind !== 'store') this.#changed(false, reply.failure.message);
      waiting?.reject(toError(reply.failure));
    } else {
      this.#changed(true, '');
      waiting?.resolve(reply.value);
    }
  }

  #changed(works: boolean, reason: string): void {
    if (works === this.#works) return;
    this.#works = works;
    this.onState(works, reason);
  }

  #break(error: Error): void {
    if (this.#broken) return;
    this.#broken = error;
    if (!this.#closing) this.onEnd(error.message);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function toError({ kind, code, message }: StoreFailure): Error {
  if (kind === 'store') return new StoreError(code as StoreErrorCode, message);
  if (kind === 'database') return new DatabaseError(code as DatabaseError['code'], message);
  return Object.assign(new Error(message), { code });
}
