import { type CancelTimer, every, type Host } from '../runtime/system/host.js';
import { writeAudit } from './audit.js';
import type { Backend, DatabaseJob, Urgency } from './backend.js';
import { ClockKeeper } from './clock-keeper.js';
import { DatabaseError } from './database-error.js';
import type { Operation, StoreClass } from './operation.js';
import { type ArgumentsOf, type OperationName, operationClasses, operations, type ResultOf } from './operations.js';
import type { Administered, StoreEvents, StorePort } from './port.js';
import { StoreError } from './records.js';
import type { DutyHolder } from './rows.js';
import { rewriteSecret } from './secret.js';
import { StoreFault } from './store-fault.js';
import { checkTexts } from './text-checks.js';
import { isTooLate, tooLate } from './turns.js';
import { administrativeOperation, validated } from './validation.js';

/** Interval of health checks of an idle database, in milliseconds. */
const CHECK_INTERVAL = 2_000;

/**
 * A small write may succeed on a full disk. The store counts as working again when the failed operation succeeds, or
 * after this time without a failure, in milliseconds.
 */
const FULL_QUIET = 15_000;

/** The store counts as overloaded until it has refused no call for this time, in milliseconds. */
const OVERLOAD_QUIET = 10_000;

/** Number of tries of a call while the clock of the store steps. */
const CLOCK_TRIES = 5;

export interface EngineEvents extends StoreEvents {
  /** Whether an operation that may take minutes waits or runs. */
  readonly busy?: (busy: boolean) => void;
}

interface Call {
  readonly operation: OperationName;
  readonly given: unknown;
  /** Time of the request, by the monotonic clock. */
  readonly asked: number;
  readonly who: string | undefined;
  readonly holder: DutyHolder | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Outcome = PromiseSettledResult<unknown>;

/**
 * Runs the operations of the store on one database, in the thread that creates it. Concurrent calls share one commit;
 * the promise of a call resolves when its commit is on disk. The engine keeps the clock of the store and monitors the
 * database. The caller owns the database and closes it afterwards.
 */
export class StoreEngine implements StorePort {
  readonly #backend: Backend;
  readonly #host: Host;
  readonly #events: EngineEvents;
  readonly #keeper: ClockKeeper;
  readonly #waiting: Call[] = [];
  /** Number of running calls outside of the writing transaction. */
  #aside = 0;
  #working = false;
  #lengthy = 0;
  readonly #cancelCheck: CancelTimer;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  #works = true;
  /** When a call was last refused because of overload; undefined: not lately. */
  #refusedAt: number | undefined;
  /** Whether the last write found the disk full. */
  #isFull = false;
  /** The operations that found the disk full, and when the last of them did. */
  readonly #full = new Set<OperationName>();
  #fullAt = 0;

  private constructor(backend: Backend, host: Host, keeper: ClockKeeper, events: EngineEvents) {
    this.#backend = backend;
    this.#host = host;
    this.#events = events;
    this.#keeper = keeper;
    this.#cancelCheck = every(host, CHECK_INTERVAL, () => this.#check());
    keeper.watch((error) => this.#failed('clock', error));
    for (const warning of backend.warnings ?? []) events.warning?.(warning);
  }

  /** Rejects with DatabaseError. */
  static async open(backend: Backend, host: Host, events: EngineEvents = {}): Promise<StoreEngine> {
    const keeper = await ClockKeeper.start(backend, host, (step) => events.clockStep?.(step));
    return new StoreEngine(backend, host, keeper, events);
  }

  /**
   * `asked`: time of the request, by the monotonic clock of the host. `holder`: the server that takes the resulting
   * duties.
   */
  async run<N extends OperationName>(
    operation: N,
    given: ArgumentsOf<N>,
    who?: string,
    asked = this.#host.monotonic(),
    holder?: DutyHolder,
  ): Promise<ResultOf<N>> {
    checkTexts(operation, given);
    return (await this.#enqueue({ operation, given, who, asked, holder })) as ResultOf<N>;
  }

  async administer(
    name: string,
    given: unknown,
    who: string,
    asked = this.#host.monotonic(),
    holder?: DutyHolder,
  ): Promise<Administered> {
    const operation = administrativeOperation(name);
    const checked = await validated(operation, given);
    const result = await this.#enqueue({ operation, given: checked, who, asked, holder });
    return { result, changed: operations[operation].audited };
  }

  classOf(operation: OperationName): StoreClass {
    return operationClasses[operation];
  }

  answers(): Promise<boolean> {
    return Promise.resolve(this.#closing === undefined);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#cancelCheck();
    if (this.#working || this.#aside > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await this.#keeper.stop();
  }

  #enqueue(asked: Omit<Call, 'resolve' | 'reject'>): Promise<unknown> {
    if (this.#closing) return Promise.reject(new DatabaseError('ERR_STORE_OPEN', 'the store is closed'));
    const { kind } = operations[asked.operation];
    if (kind === 'lengthy') this.#count(1);
    return new Promise((resolve, reject) => {
      const call = { ...asked, resolve, reject };
      if (this.#isStored(call)) {
        void this.#settleAside(call, this.#runStored(call));
        return;
      }
      if (this.#backend.concurrent && kind !== 'write') {
        void this.#settleAside(call, this.#runAside(call, kind));
        return;
      }
      this.#waiting.push(call);
      if (this.#working) return;
      this.#working = true;
      // Calls of one turn of the event loop share the first commit.
      queueMicrotask(() => void this.#work());
    });
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Calls that arrive during a commit go into the next one.
      const calls = this.#inTime(this.#waiting.splice(0, this.#backend.batch));
      if (calls.length === 0) continue;
      const outcomes = await this.#commit(calls);
      for (const [i, call] of calls.entries()) this.#settle(call, outcomes[i]);
    }
    this.#working = false;
    this.#endWhenIdle();
  }

  /** Refuses the calls whose turn has come too late. */
  #inTime(calls: Call[]): Call[] {
    const now = this.#host.monotonic();
    return calls.filter((call) => {
      const isLate = isTooLate(urgencyOf(call), now - call.asked);
      if (isLate) this.#settle(call, { status: 'rejected', reason: tooLate() });
      return !isLate;
    });
  }

  #runAside(call: Call, kind: 'read' | 'shared' | 'lengthy'): Promise<unknown> {
    const job = this.#jobOf(call);
    switch (kind) {
      case 'read':
        return this.#backend.read(job, urgencyOf(call));
      case 'shared':
        return this.#backend.shared(job, this.#keeper.follow);
      case 'lengthy':
        return this.#backend.lengthy(job);
    }
  }

  async #settleAside(call: Call, running: Promise<unknown>): Promise<void> {
    this.#aside += 1;
    const [outcome] = await Promise.allSettled([running]);
    this.#aside -= 1;
    this.#settle(call, outcome);
    this.#endWhenIdle();
  }

  /**
   * Whether a call runs as a function of the database. Not while the disk is full, since its success does not show that
   * there is room.
   */
  #isStored({ operation, who }: Call): boolean {
    const { stored } = operations[operation] as unknown as Operation<unknown, unknown>;
    return this.#backend.call !== undefined && stored !== undefined && who === undefined && !this.#isFull;
  }

  async #runStored(call: Call): Promise<unknown> {
    const { operation, given, asked, holder } = call;
    const { stored } = operations[operation] as unknown as Operation<unknown, unknown>;
    if (!stored) throw new TypeError(`${operation} is not a function of the database`);
    for (let attempt = 1; attempt <= CLOCK_TRIES; attempt += 1) {
      const { moved } = this.#keeper;
      const request = () => ({
        ...stored.request(given, this.#keeper.context(asked, holder)),
        moved: this.#keeper.moved,
      });
      const answer = await this.#backend.call?.(stored.function, request, urgencyOf(call));
      if (answer !== null) return stored.result(answer, given);
      if (moved === this.#keeper.moved) await this.#backend.commit([], this.#keeper.follow);
    }
    throw new DatabaseError('ERR_STORE_DOWN', 'the clock of the database steps all the time');
  }

  #endWhenIdle(): void {
    if (!this.#working && this.#aside === 0) this.#idle?.();
  }

  async #commit(calls: readonly Call[]): Promise<Outcome[]> {
    try {
      if (this.#backend.reads && calls.every(({ operation }) => isRead(operation)))
        return await this.#backend.reads(calls.map((call) => this.#jobOf(call)));
      return await this.#backend.commit(
        calls.map((call) => this.#jobOf(call)),
        this.#keeper.follow,
      );
    } catch (reason) {
      const failed = { status: 'rejected', reason } as const;
      // The database can be read while the disk is full.
      const reads = isFull(reason) ? calls.filter(({ operation }) => isRead(operation)) : [];
      if (reads.length === 0 || reads.length === calls.length) return calls.map(() => failed);
      const outcomes = await this.#commit(reads);
      return calls.map((call) => outcomes[reads.indexOf(call)] ?? failed);
    }
  }

  #jobOf({ operation, given, asked, who, holder }: Call): DatabaseJob {
    const { kind, audited, run } = operations[operation] as unknown as Operation<unknown, unknown>;
    const context = this.#keeper.context(asked, holder);
    return async (db) => {
      // The disk is full: success of an operation that writes nothing does not show that it has room again.
      if (this.#isFull && kind !== 'read') await rewriteSecret(db);
      const result = await run(db, given, context);
      if (who !== undefined && audited) {
        await writeAudit(db, { who, what: operation, detail: JSON.stringify(given) }, context);
      }
      return result;
    };
  }

  #settle({ operation, resolve, reject }: Call, outcome: Outcome | undefined): void {
    const { kind } = operations[operation];
    if (kind === 'lengthy') this.#count(-1);
    if (outcome?.status === 'fulfilled') {
      if (kind !== 'read') this.#isFull = false;
      this.#succeeded(operation);
      resolve(outcome.value);
      return;
    }
    const reason: unknown = outcome?.reason ?? new Error('an operation without an outcome');
    if (kind !== 'read' && !isBusy(reason)) this.#isFull = isFull(reason);
    if (isFull(reason)) {
      this.#full.add(operation);
      this.#fullAt = this.#host.monotonic();
    }
    reject(this.#failed(operation, reason));
  }

  #count(change: 1 | -1): void {
    const before = this.#lengthy;
    this.#lengthy += change;
    if (before === 0 || this.#lengthy === 0) this.#events.busy?.(this.#lengthy > 0);
  }

  #check(): void {
    try {
      this.#backend.check?.();
    } catch (error) {
      this.#failed('check', error);
    }
  }

  /** Reports a failure of the database or an internal error. Returns the error for the caller. */
  #failed(where: string, reason: unknown): Error {
    if (reason instanceof StoreError) return reason;
    // An overloaded database works.
    if (isBusy(reason)) {
      if (this.#refusedAt === undefined) this.#events.overload?.(true, reason.message);
      this.#refusedAt = this.#host.monotonic();
      return reason;
    }
    if (reason instanceof DatabaseError) {
      this.#lost(reason.message);
      return reason;
    }
    const fault = StoreFault.of(reason);
    this.#events.fault?.(where, fault);
    return fault;
  }

  #lost(reason: string): void {
    if (!this.#works) return;
    this.#works = false;
    this.#events.state?.(false, reason);
  }

  #succeeded(operation: OperationName): void {
    if (this.#refusedAt !== undefined && this.#host.monotonic() - this.#refusedAt >= OVERLOAD_QUIET) {
      this.#refusedAt = undefined;
      this.#events.overload?.(false, '');
    }
    if (this.#works || (this.#full.size > 0 && !this.#hasRoom(operation))) return;
    this.#works = true;
    this.#full.clear();
    this.#events.state?.(true, '');
  }

  /** Whether the success of this operation shows that a full disk has room again. */
  #hasRoom(operation: OperationName): boolean {
    if (isRead(operation)) return false;
    return this.#full.has(operation) || this.#host.monotonic() - this.#fullAt >= FULL_QUIET;
  }
}

/** Nodes wait for authentications and bootstraps. What ends sessions or keeps the store in order is not given up. */
function urgencyOf({ operation, who }: Call): Urgency {
  const kind = operationClasses[operation];
  return who === undefined && (kind === 'authentication' || kind === 'bootstrap') ? 'timely' : 'patient';
}

function isRead(operation: OperationName): boolean {
  return operations[operation].kind === 'read';
}

function isBusy(reason: unknown): reason is DatabaseError {
  return reason instanceof DatabaseError && reason.code === 'ERR_STORE_BUSY';
}

function isFull(reason: unknown): boolean {
  return reason instanceof DatabaseError && reason.code === 'ERR_STORE_FULL';
}
