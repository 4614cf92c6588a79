import type { StoreClass } from './operation.js';
import type { ArgumentsOf, OperationName, ResultOf } from './operations.js';
import type { StoreFault } from './store-fault.js';

/** The result of an operator request. */
export interface Administered {
  readonly result: unknown;
  /** Whether it was an administrative change, which is in the audit trail. */
  readonly changed: boolean;
}

/** Interface of the store, independent of its database. */
export interface StorePort {
  /**
   * Runs an operation for internal code. Resolves when its changes are on disk. With `who` it is recorded in the audit
   * trail as a change of that operator. Rejects with StoreError for an invalid request, with DatabaseError if the
   * database is unusable, and with StoreFault for an internal error.
   */
  run<N extends OperationName>(operation: N, given: ArgumentsOf<N>, who?: string): Promise<ResultOf<N>>;
  /** Runs an administrative operation; checks its name and arguments, which come from outside. Rejects like `run`. */
  administer(operation: string, given: unknown, who: string): Promise<Administered>;
  /** The class of an operation that the server itself runs, for measurements. */
  classOf(operation: OperationName): StoreClass;
  /** Whether the store thread responds, whatever the state of the database. */
  answers(): Promise<boolean>;
  /** Completes pending calls; later calls are rejected. */
  close(): Promise<void>;
}

/** Events of a store. The callbacks must not throw. */
export interface StoreEvents {
  /** The database has failed, or works again. */
  readonly state?: (works: boolean, reason: string) => void;
  /** The store began to refuse calls because it is overloaded, or has refused none for a while. */
  readonly overload?: (overloaded: boolean, reason: string) => void;
  /** The store ended unexpectedly and answers no more calls. */
  readonly ended?: (reason: string) => void;
  /** The wall clock stepped by this many milliseconds, and the times in the store were shifted. */
  readonly clockStep?: (milliseconds: number) => void;
  /** An operation failed with an internal error. */
  readonly fault?: (where: string, fault: StoreFault) => void;
  /** A warning about the database for the operator. */
  readonly warning?: (text: string) => void;
}
