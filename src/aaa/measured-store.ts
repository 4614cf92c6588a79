import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import type { InternalName, OperationName } from '../store/operations.js';
import type { StorePort } from '../store/port.js';
import { StoreError } from '../store/records.js';

/** The store functions that other parts of the server use. */
export type StoreCalls = Pick<StorePort, 'run' | 'administer' | 'close'>;

/** Classes of store operations, named after the activity that waits for them. */
export const STORE_CLASSES = ['authentication', 'bootstrap', 'session', 'upkeep', 'administration'] as const;
type StoreClass = (typeof STORE_CLASSES)[number];

/**
 * The class of each internal operation, and of administrative ones that the server runs itself; others are of the class
 * `administration`. The operations themselves are loaded only in the store's thread, because they need the database
 * library.
 */
const CLASSES: Readonly<Record<InternalName, StoreClass> & Partial<Record<OperationName, StoreClass>>> = {
  findSubscriber: 'authentication',
  originOfSession: 'authentication',
  bootstrap: 'bootstrap',
  endSession: 'session',
  endSessionsOf: 'session',
  expire: 'upkeep',
  duties: 'upkeep',
  forgetHistory: 'upkeep',
  ticketKey: 'upkeep',
  probedHomeAgent: 'upkeep',
  listHomeAgents: 'upkeep',
  statistics: 'upkeep',
};

/** Wraps a store to measure its response times and count its failures. */
export function measured(store: StorePort, metrics: Metrics, host: Host): StoreCalls {
  const watched = <T>(kind: StoreClass, answer: Promise<T>): Promise<T> => {
    const started = host.monotonic();
    const took = () => metrics.time('store', host.monotonic() - started, { class: kind });
    answer.then(took, (error: unknown) => {
      took();
      // A refused operator request is a valid answer, not a failure of the store.
      if (!(error instanceof StoreError)) metrics.count('store_failures', { class: kind });
    });
    return answer;
  };
  return {
    close: () => store.close(),
    run: (operation, given, who) => {
      const { [operation]: kind = 'administration' }: Partial<Record<OperationName, StoreClass>> = CLASSES;
      return watched(kind, store.run(operation, given, who));
    },
    administer: (operation, given, who) => watched('administration', store.administer(operation, given, who)),
  };
}
