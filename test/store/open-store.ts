import { type OpenOptions, Store } from '../../src/store/store.js';

/** The thread of a store is compiled code, even when tests run from source. */
const PROGRAM = new URL('../../dist/store/worker.js', import.meta.url);

/** Opens a store as `Store.open` does. */
export function openStore(where: string, options: OpenOptions = {}): Promise<Store> {
  return Store.open(where, { program: PROGRAM, ...options });
}
