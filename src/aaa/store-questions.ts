import type { HomeOperations, StoreCall, Stored } from '../protocol/home/alphabet.js';
import { DatabaseError } from '../store/database-error.js';
import type { StoreCalls } from './measured-store.js';

/** Runs a store operation for a machine. Resolves with an answer also after a failure. Never rejects. */
export async function askStore<O = HomeOperations>(store: StoreCalls, call: StoreCall<O>): Promise<Stored<O>> {
  const { operation, given } = call as StoreCall<{ readonly [N in string]: readonly [unknown, unknown] }>;
  try {
    return { operation, result: await store.run(operation as never, given as never) } as unknown as Stored<O>;
  } catch (error) {
    const full = error instanceof DatabaseError && error.code === 'ERR_STORE_FULL';
    return { operation: 'failed', reason: error instanceof Error ? error.message : String(error), full };
  }
}
