import type { StoreClass } from './operation.js';
import type { OperationName } from './operations.js';
import type { DutyHolder } from './rows.js';
import type { StoreUse } from './store-lock.js';

/** Start parameters of the store thread. */
export interface StoreThread {
  readonly store: string;
  readonly use: StoreUse;
  readonly holder: DutyHolder | undefined;
}

/** A call of an operation, from the main thread. */
export interface ThreadCall {
  readonly id: number;
  readonly operation: string;
  readonly arguments: unknown;
  /** Time of the request, by the monotonic clock that all threads share. */
  readonly asked: number;
  readonly who: string | undefined;
  /** Name and arguments came from outside and must be checked. */
  readonly outside: boolean;
}

/**
 * `store`: the request is invalid. `database`: the database is unusable. `fault`: an internal error, with its stack.
 */
export interface ThreadFailure {
  readonly kind: 'store' | 'database' | 'fault';
  readonly code: string;
  readonly message: string;
  readonly stack?: string | undefined;
}

export type StoreReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: ThreadFailure };

export type ToThread = readonly ThreadCall[] | 'close';

export type FromThread =
  /** The store is open. The operations are loaded only in the thread, because they need the database library. */
  | { readonly type: 'opened'; readonly classes: Readonly<Record<OperationName, StoreClass>> }
  | { readonly type: 'refused'; readonly failure: ThreadFailure }
  | { readonly type: 'replies'; readonly replies: readonly StoreReply[] }
  /** Events, as in StoreEvents and EngineEvents. */
  | { readonly type: 'state'; readonly works: boolean; readonly reason: string }
  | { readonly type: 'overload'; readonly overloaded: boolean; readonly reason: string }
  | { readonly type: 'clockStep'; readonly milliseconds: number }
  | { readonly type: 'fault'; readonly where: string; readonly failure: ThreadFailure }
  | { readonly type: 'warning'; readonly text: string }
  | { readonly type: 'busy'; readonly busy: boolean };
