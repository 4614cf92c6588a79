import type { Metrics } from '../runtime/service/metrics.js';
import type { Host } from '../runtime/system/host.js';
import type { OperationName } from '../store/operations.js';
import type { StorePort } from '../store/port.js';
import { StoreError } from '../store/records.js';

/** What the parts of the server want of the store. */
export type StoreCalls = Pick<StorePort, 'run' | 'administer' | 'close'>;

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
export function measured(store: StorePort, metrics: Metrics, host: Host): StoreCalls {
  const watched = <T>(kind: StoreClass, answer: Promise<T>): Promise<T> => {
    const started = host.monotonic();
    const took = () => metrics.time('store', host.monotonic() - started, { class: kind });
    answer.then(took, (error: unknown) => {
      took();
      // A request of an operator's that cannot be granted is an answer.
      if (!(error instanceof StoreError)) metrics.count('store_failures', { class: kind });
    });
    return answer;
  };
  return {
    close: () => store.close(),
    run: (operation, given, who) => watched(CLASSES[operation] ?? 'administration', store.run(operation, given, who)),
    administer: (operation, given, who) => watched('administration', store.administer(operation, given, who)),
  };
}
