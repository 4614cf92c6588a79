import type { StoreCall, Stored, Token } from './alphabet.js';
import type { Lease } from './records.js';

/** How often leases are looked at whose time may be over, in milliseconds, and how many are freed at a time. */
export const EXPIRY_INTERVAL = 5_000;
const EXPIRY_BATCH = 256;

/** Imports to which nothing was added for so long are forgotten, and how often they are looked for, in milliseconds. */
export const IMPORT_LIFETIME = 3_600_000;

/** How long until the store is asked for a ticket key again that it did not give, in milliseconds. */
export const TICKET_RETRY = 10_000;

export interface UpkeepConfig {
  /** Milliseconds: how long the history of home addresses is kept, and how long one key makes session tickets. */
  readonly history: number;
  readonly ticketKeyLifetime: number;
}

/** Operations of the store that upkeep is made of. */
export interface UpkeepOperations {
  readonly expire: readonly [given: { readonly limit: number }, result: readonly Lease[]];
  readonly forgetHistory: readonly [given: { readonly age: number; readonly limit: number }, result: unknown];
  readonly abandonImport: readonly [given: { readonly age: number }, result: unknown];
  readonly ticketKey: readonly [
    given: { readonly every: number },
    result: { readonly value: string; readonly validFor: number },
  ];
}

export type UpkeepInput =
  | { readonly type: 'start' }
  /** The next ticket key and the next round go by this. */
  | { readonly type: 'configure'; readonly config: UpkeepConfig }
  | { readonly type: 'stored'; readonly token: Token; readonly stored: Stored<UpkeepOperations> };

export type UpkeepOutput =
  | { readonly type: 'store'; readonly token: Token; readonly call: StoreCall<UpkeepOperations> }
  /** Servers that share the store accept each other's session tickets: 48 octets, hexadecimal. */
  | { readonly type: 'ticketKey'; readonly value: string }
  /** The store was asked for its first key and has answered, whatever it said: connections may come. */
  | { readonly type: 'ready' }
  /** Its session has ended long ago, without a word: its home agent's hook runs `down`. */
  | { readonly type: 'expired'; readonly lease: Lease }
  | { readonly type: 'failed'; readonly reason: string };

/** What a round does next; each waits for the one before it. */
type Task = 'expire' | 'forgetHistory' | 'abandonImport' | 'ticketKey';

/**
 * The work that nobody asks for: frees leases whose time is over, forgets old history and imports that were given up, and takes
 * the ticket key that all servers of the store share.
 */
export class Upkeep {
  #config: UpkeepConfig;
  readonly #tasks = new Map<Token, Task>();
  #last = 0;
  #isReady = false;
  /** When the next round begins; undefined while one goes on, and before the start. */
  #roundAt: number | undefined;
  #nextRoundAt = 0;
  /** When the next ticket key is asked for; undefined while it is. */
  #keyAt: number | undefined;
  #importsAt = Number.NEGATIVE_INFINITY;

  constructor(config: UpkeepConfig) {
    this.#config = config;
  }

  get deadline(): number | undefined {
    if (this.#roundAt === undefined || this.#keyAt === undefined) return this.#roundAt ?? this.#keyAt;
    return Math.min(this.#roundAt, this.#keyAt);
  }

  handle(input: UpkeepInput | { readonly type: 'tick' }, now: number): UpkeepOutput[] {
    switch (input.type) {
      case 'start':
        this.#roundAt = now + EXPIRY_INTERVAL;
        return [this.#askForKey()];
      case 'configure':
        this.#config = input.config;
        return [];
      case 'stored':
        return this.#stored(input.token, input.stored, now);
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

  #ask(task: Task, call: StoreCall<UpkeepOperations>): UpkeepOutput {
    this.#last += 1;
    this.#tasks.set(this.#last, task);
    return { type: 'store', token: this.#last, call };
  }

  #stored(token: Token, stored: Stored<UpkeepOperations>, now: number): UpkeepOutput[] {
    const task = this.#tasks.get(token);
    if (!this.#tasks.delete(token) || task === undefined) return [];
    if (task === 'ticketKey') return this.#keyStored(stored, now);
    if (stored.operation === 'failed') return [...this.#end(now), { type: 'failed', reason: stored.reason }];
    switch (task) {
      case 'expire': {
        const leases = stored.operation === 'expire' ? stored.result : [];
        const given = { age: this.#config.history, limit: EXPIRY_BATCH };
        return [
          ...leases.map((lease) => ({ type: 'expired', lease }) as const),
          this.#ask('forgetHistory', { operation: 'forgetHistory', given }),
        ];
      }
      case 'forgetHistory':
        if (now - this.#importsAt < IMPORT_LIFETIME) return this.#end(now);
        // Whoever began them was killed.
        return [this.#ask('abandonImport', { operation: 'abandonImport', given: { age: IMPORT_LIFETIME } })];
      case 'abandonImport':
        this.#importsAt = now;
        return this.#end(now);
    }
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

  /** A round that took longer than the pause is followed by the next one at once. */
  #end(now: number): UpkeepOutput[] {
    this.#roundAt = Math.max(now, this.#nextRoundAt);
    return [];
  }
}
