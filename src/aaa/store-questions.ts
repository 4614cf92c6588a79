import type { StoreCall, Stored, StoreResult } from '../protocol/home/alphabet.js';
import { DatabaseError } from '../store/database-error.js';
import type { OperationName, OperationTypes } from '../store/operations.js';
import type { StoreCalls } from './measured-store.js';

/**
 * Runs a store operation for a machine. Resolves with an answer also after a failure. Never rejects. The compiler
 * compares what the machine states about its operations with the operations of the store.
 */
export async function askStore<N extends OperationName>(
  store: StoreCalls,
  { operation, given }: StoreCall<OperationTypes, N>,
): Promise<Stored<OperationTypes, N>> {
  try {
    const result: StoreResult<OperationTypes, N> = { operation, result: await store.run(operation, given) };
    return result;
  } catch (error) {
    const full = error instanceof DatabaseError && error.code === 'ERR_STORE_FULL';
    return { operation: 'failed', reason: error instanceof Error ? error.message : String(error), full };
  }
}
