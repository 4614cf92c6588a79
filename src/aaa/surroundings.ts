import { type Surroundings, systemSurroundings } from '../runtime/surroundings/surroundings.js';
import type { StorePort } from '../store/port.js';
import { type OpenOptions, Store } from '../store/store.js';

/** What the AAA server stands on. */
export interface AaaSurroundings extends Surroundings {
  readonly openStore: (where: string, options: OpenOptions) => Promise<StorePort>;
}

export const systemAaaSurroundings: AaaSurroundings = { ...systemSurroundings, openStore: Store.open };
