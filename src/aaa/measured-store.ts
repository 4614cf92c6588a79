import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import { DatabaseError } from '../store/database-error.js';
import type { StoreClass } from '../store/operation.js';
import type { StorePort } from '../store/port.js';
import { StoreError } from '../store/records.js';

/** The store functions that other parts of the server use. */
export type StoreCalls = Pick<StorePort, 'run' | 'administer' | 'close'>;

/** Wraps a store to measure its response times and count its failures. */
export function measured(store: StorePort, metrics: Metrics, host: Host): StoreCalls {
  const watched = <T>(kind: StoreClass, answer: Promise<T>): Promise<T> => {
    const started = host.monotonic();
    const took = () => metrics.time('store', host.monotonic() - started, { class: kind });
    answer.then(took, (error: unknown) => {
      took();
      // A refused operator request is a valid answer, not a failure of the store.
      if (!(error instanceof StoreError)) metrics.count('store_failures', { class: kind });
      if (error instanceof DatabaseError && error.code === 'ERR_STORE_BUSY')
        metrics.count('store_refused', { class: kind });
    });
    return answer;
  };
  return {
    close: () => store.close(),
    run: (operation, given, who) => watched(store.classOf(operation), store.run(operation, given, who)),
    administer: (operation, given, who) => watched('administration', store.administer(operation, given, who)),
  };
}
