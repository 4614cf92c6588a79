import { type Surroundings, systemSurroundings } from '../runtime/surroundings/surroundings.js';
import { Store } from '../store/store.js';

/** What the AAA server stands on. */
export interface AaaSurroundings extends Surroundings {
  readonly openStore: typeof Store.open;
}

export const systemAaaSurroundings: AaaSurroundings = { ...systemSurroundings, openStore: Store.open };
