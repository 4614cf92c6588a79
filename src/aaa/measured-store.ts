import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import { StoreError } from '../store/records.js';
import type { OperationName, Store } from '../store/store.js';

/** What the parts of the server want of the store. */
export type StoreCalls = Pick<Store, 'run' | 'close'>;

/** What waits for an operation: a node for some, nobody for others. */
export const STORE_CLASSES = ['authentication', 'bootstrap', 'session', 'upkeep', 'administration'] as const;
type StoreClass = (typeof STORE_CLASSES)[number];

const CLASSES: Partial<Record<OperationName, StoreClass>> = {
  findSubscriber: 'authentication',
  originOfSession: 'authentication',
  bootstrap: 'bootstrap',
  endSession: 'session',
  endSessionsOf: 'session',
  expire: 'upkeep',
  forgetHistory: 'upkeep',
  ticketKey: 'upkeep',
  probedHomeAgent: 'upkeep',
  listHomeAgents: 'upkeep',
  statistics: 'upkeep',
};

/** A store whose answers are timed, and whose failures are counted. */
export function measured(store: Store, metrics: Metrics, host: Host): StoreCalls {
  return {
    close: () => store.close(),
    run: (operation, given, who) => {
      const kind = CLASSES[operation] ?? 'administration';
      const started = host.monotonic();
      const took = () => metrics.time('store', host.monotonic() - started, { class: kind });
      const answer = store.run(operation, given, who);
      answer.then(took, (error: unknown) => {
        took();
        // What an operator asked for and cannot have is an answer.
        if (!(error instanceof StoreError)) metrics.count('store_failures', { class: kind });
      });
      return answer;
    },
  };
}
