import type { StoreCall, Stored, Token } from './alphabet.js';
import type { Duty, DutyInput, DutyOperation } from './duties.js';
import { DutyBook } from './duty-book.js';
import type { Lease } from './records.js';

/** Interval between checks for expired leases in milliseconds, and the number of leases that are freed at a time. */
export const EXPIRY_INTERVAL = 5_000;
const EXPIRY_BATCH = 256;

/** Number of entries of the history, and of the audit trail, that are deleted at a time. */
const HISTORY_BATCH = 1_000;

/**
 * Imports without additions for this time are abandoned; also the interval between checks for them, in milliseconds.
 */
export const IMPORT_LIFETIME = 3_600_000;

/** Delay before the request for a ticket key is repeated after a failure, in milliseconds. */
export const TICKET_RETRY = 10_000;

export interface UpkeepConfig {
  /** How long the history of home addresses and the audit trail are kept, and how long a key issues session tickets, in milliseconds. */
  readonly history: number;
  readonly ticketKeyLifetime: number;
}

/** Store operations for maintenance. */
export interface UpkeepOperations {
  readonly expire: readonly [given: { readonly limit: number }, result: readonly Lease[]];
  readonly forgetHistory: readonly [
    given: { readonly age: number; readonly limit: number },
    /** Number of deleted entries; at least `limit`: there may be more. */
    result: number,
  ];
  readonly abandonImport: readonly [given: { readonly age: number }, result: unknown];
  readonly ticketKey: readonly [
    given: { readonly every: number },
    /** The key in 96 hexadecimal digits, and its remaining lifetime in milliseconds. */
    result: { readonly value: string; readonly validFor: number },
  ];
  readonly duties: DutyOperation;
}

export type UpkeepInput =
  | { readonly type: 'start' }
  /** Applies to the next ticket key and the next round. */
  | { readonly type: 'configure'; readonly config: UpkeepConfig }
  | { readonly type: 'stored'; readonly token: Token; readonly stored: Stored<UpkeepOperations> }
  | DutyInput
  /** The server stops: no more rounds. */
  | { readonly type: 'stop' }
  /** After `stop`: hand unfinished duties to other servers. Answered by `left`. */
  | { readonly type: 'leave' }
  | { readonly type: 'tick' };

export type UpkeepOutput =
  | { readonly type: 'store'; readonly token: Token; readonly call: StoreCall<UpkeepOperations> }
  /** Servers that share the store accept each other's session tickets. 48 octets, hexadecimal. */
  | { readonly type: 'ticketKey'; readonly value: string }
  /** The store has answered the request for the first key, with or without success: connections may be accepted. */
  | { readonly type: 'ready' }
  /** The lease has expired because its session ended without a message. The hook of its home agent runs `down`. */
  | { readonly type: 'expired'; readonly lease: Lease }
  /** A duty of a server that ended, or of this server's previous run. */
  | { readonly type: 'duty'; readonly duty: Duty }
  /** Another server has taken the duty with this mark, or it no longer exists: it must no longer be done. */
  | { readonly type: 'lost'; readonly mark: string }
  /** Other servers have the unfinished duties, unless the store failed. */
  | { readonly type: 'left' }
  | { readonly type: 'failed'; readonly reason: string };

/** The tasks of a round, which run one after another. */
type Task = 'expire' | 'duties' | 'forgetHistory' | 'abandonImport';

/** The purpose of a store operation. */
type StoreTask = Task | 'ticketKey' | 'firstDuties' | 'leave';

/**
 * Periodic maintenance: frees expired leases, deletes old history and abandoned imports, fetches the ticket key that
 * all servers of the store share, and keeps this server's duties in the store up to date.
 */
export class Upkeep {
  #config: UpkeepConfig;
  readonly #tasks = new Map<Token, StoreTask>();
  readonly #duties = new DutyBook();
  #last = 0;
  #isReady = false;
  /** When the next round starts; undefined during a round and before the start. */
  #roundAt: number | undefined;
  #nextRoundAt = 0;
  /** When the next ticket key is requested; undefined during the request. */
  #keyAt: number | undefined;
  #importsAt = Number.NEGATIVE_INFINITY;

  constructor(config: UpkeepConfig) {
    this.#config = config;
  }

  get deadline(): number | undefined {
    if (this.#roundAt === undefined || this.#keyAt === undefined) return this.#roundAt ?? this.#keyAt;
    return Math.min(this.#roundAt, this.#keyAt);
  }

  handle(input: UpkeepInput, now: number): UpkeepOutput[] {
    switch (input.type) {
      case 'start':
        this.#roundAt = now + EXPIRY_INTERVAL;
        // Fetch pending duties before the first round.
        return [this.#askForKey(), this.#askForDuties('firstDuties')];
      case 'configure':
        this.#config = input.config;
        return [];
      case 'stored':
        return this.#stored(input.token, input.stored, now);
      case 'dutyBegun':
        this.#duties.begin(input.duty);
        return [];
      case 'dutyEnded':
        this.#duties.end(input.duty);
        return [];
      case 'stop':
        // Later answers of the store are ignored, and no tick is due, so nothing starts another task.
        this.#tasks.clear();
        this.#roundAt = undefined;
        this.#keyAt = undefined;
        return [];
      case 'leave': {
        if (!this.#duties.isUsed) return [{ type: 'left' }];
        const given = { ...this.#duties.report(), leaving: true };
        return [this.#ask('leave', { operation: 'duties', given })];
      }
      case 'tick': {
        const outputs: UpkeepOutput[] = [];
        if (this.#keyAt !== undefined && this.#keyAt <= now) outputs.push(this.#askForKey());
        if (this.#roundAt !== undefined && this.#roundAt <= now) outputs.push(this.#begin(now));
        return outputs;
      }
    }
  }

  #askForKey(): UpkeepOutput {
    this.#keyAt = undefined;
    return this.#ask('ticketKey', { operation: 'ticketKey', given: { every: this.#config.ticketKeyLifetime } });
  }

  #begin(now: number): UpkeepOutput {
    this.#roundAt = undefined;
    this.#nextRoundAt = now + EXPIRY_INTERVAL;
    return this.#ask('expire', { operation: 'expire', given: { limit: EXPIRY_BATCH } });
  }

  #askForDuties(task: 'duties' | 'firstDuties'): UpkeepOutput {
    return this.#ask(task, { operation: 'duties', given: this.#duties.report() });
  }

  #forget(): UpkeepOutput {
    return this.#ask('forgetHistory', {
      operation: 'forgetHistory',
      given: { age: this.#config.history, limit: HISTORY_BATCH },
    });
  }

  #ask(task: StoreTask, call: StoreCall<UpkeepOperations>): UpkeepOutput {
    this.#last += 1;
    this.#tasks.set(this.#last, task);
    return { type: 'store', token: this.#last, call };
  }

  #stored(token: Token, stored: Stored<UpkeepOperations>, now: number): UpkeepOutput[] {
    const task = this.#tasks.get(token);
    if (!this.#tasks.delete(token) || task === undefined) return [];
    if (task === 'ticketKey') return this.#keyStored(stored, now);
    if (task === 'leave') return [{ type: 'left' }];
    const duties = task === 'duties' || task === 'firstDuties' ? this.#dutiesStored(stored, now) : [];
    if (task === 'firstDuties') {
      return stored.operation === 'failed' ? [{ type: 'failed', reason: stored.reason }] : duties;
    }
    if (stored.operation === 'failed') return [...this.#end(now), { type: 'failed', reason: stored.reason }];
    switch (task) {
      case 'expire': {
        const leases = stored.operation === 'expire' ? stored.result : [];
        // There may be more: the next round starts at once.
        if (leases.length >= EXPIRY_BATCH) this.#nextRoundAt = now;
        return [
          ...leases.map((lease) => ({ type: 'expired', lease }) as const),
          this.#duties.isDue(now) ? this.#askForDuties('duties') : this.#forget(),
        ];
      }
      case 'duties':
        return [...duties, this.#forget()];
      case 'forgetHistory':
        if (stored.operation === 'forgetHistory' && stored.result >= HISTORY_BATCH) this.#nextRoundAt = now;
        if (now - this.#importsAt < IMPORT_LIFETIME) return this.#end(now);
        // The process of an import that has been idle for IMPORT_LIFETIME was killed.
        return [this.#ask('abandonImport', { operation: 'abandonImport', given: { age: IMPORT_LIFETIME } })];
      case 'abandonImport':
        this.#importsAt = now;
        return this.#end(now);
    }
  }

  #dutiesStored(stored: Stored<UpkeepOperations>, now: number): UpkeepOutput[] {
    if (stored.operation !== 'duties') {
      this.#duties.failed();
      return [];
    }
    return [
      ...this.#duties.reported(stored.result, now).map((mark) => ({ type: 'lost', mark }) as const),
      ...stored.result.taken.map((duty) => ({ type: 'duty', duty }) as const),
    ];
  }

  #keyStored(stored: Stored<UpkeepOperations>, now: number): UpkeepOutput[] {
    const outputs: UpkeepOutput[] = [];
    if (stored.operation === 'ticketKey') {
      const { value, validFor } = stored.result;
      this.#keyAt = now + validFor + 1;
      outputs.push({ type: 'ticketKey', value });
    } else {
      this.#keyAt = now + TICKET_RETRY;
      if (stored.operation === 'failed') outputs.push({ type: 'failed', reason: stored.reason });
    }
    if (!this.#isReady) outputs.push({ type: 'ready' });
    this.#isReady = true;
    return outputs;
  }

  /** Ends a round. If it took longer than the interval, the next one starts immediately. */
  #end(now: number): UpkeepOutput[] {
    this.#roundAt = Math.max(now, this.#nextRoundAt);
    return [];
  }
}
