import type { Logger } from '../runtime/log/events.js';
import type { Barrier } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { StoreEvents } from '../store/port.js';

/** Logs and counts the events of the store, and remembers whether it works. */
export class StoreReporter {
  #works = true;
  #end: () => void = () => undefined;
  /** Resolves when the store's thread ends without having been closed. */
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve;
  });
  readonly events: StoreEvents;

  constructor(log: Logger, metrics: Metrics, barrier: Barrier) {
    this.events = {
      state: (works, reason) => {
        this.#works = works;
        if (works) log.warn('store available');
        else log.error({ reason }, 'store unavailable');
      },
      overload: (overloaded, reason) => {
        if (overloaded) log.warn({ reason }, 'store overloaded');
        else log.info('store overload ended');
      },
      ended: (reason) => {
        log.error({ reason }, 'store terminated');
        this.#end();
      },
      fault: (_where, fault) => barrier.fault('store', fault),
      warning: (reason) => log.warn({ reason }, 'store warning'),
      clockStep: (milliseconds) => {
        metrics.count('clock_steps');
        log.warn({ step: milliseconds }, 'clock stepped');
      },
    };
  }

  /** Whether the database worked when last reported. */
  get works(): boolean {
    return this.#works;
  }
}
