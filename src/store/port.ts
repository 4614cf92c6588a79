import type { ArgumentsOf, OperationName, ResultOf } from './operations.js';
import type { StoreFault } from './store-fault.js';

/** What an operator's request led to. */
export interface Administered {
  readonly result: unknown;
  /** Whether it changed what an operator answers for: it is in the audit trail. */
  readonly changed: boolean;
}

/** The AAA server's store as its users see it, wherever its database is. */
export interface StorePort {
  /**
   * Runs an operation for this program's own code; resolves when what it changed is on disk. With `who` it is an operator's
   * change, and goes to the audit trail. Rejects with StoreError for a request that cannot be granted, with DatabaseError when
   * the database cannot be used, and with StoreFault.
   */
  run<N extends OperationName>(operation: N, given: ArgumentsOf<N>, who?: string): Promise<ResultOf<N>>;
  /** Runs an administrative operation whose name and arguments came from outside, and are checked. Rejects as `run`. */
  administer(operation: string, given: unknown, who: string): Promise<Administered>;
  /** Whether the store can be asked at all, whatever the database says. */
  answers(): Promise<boolean>;
  /** Ends what was begun; later calls are rejected. */
  close(): Promise<void>;
}

/** What a store reports without being asked. It must not throw. */
export interface StoreEvents {
  /** The database was lost, or answers again. */
  readonly state?: (works: boolean, reason: string) => void;
  /** The store ended though nobody closed it: it answers nothing any more. */
  readonly ended?: (reason: string) => void;
  /** The wall clock made a step of so many milliseconds, and the store's times with it. */
  readonly clockStep?: (milliseconds: number) => void;
  /** An operation failed by a fault of ours. */
  readonly fault?: (where: string, fault: StoreFault) => void;
  /** What an operator should know of the database. */
  readonly warning?: (text: string) => void;
}
