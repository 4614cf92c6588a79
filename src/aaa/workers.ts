import { availableParallelism } from 'node:os';
import type { EngineConfig } from '../protocol/home/alphabet.js';
import type { EngineThreadEvent } from '../runtime/eap/threaded-engine.js';
import type { Logger } from '../runtime/log/events.js';
import type { Metrics } from '../runtime/service/metrics.js';

/**
 * Maximum number of flights that one engine processes at the same time. In the main thread, more would not be faster. A
 * thread needs some in advance, so that it works while the main thread is busy.
 */
const PARALLEL_IN_MAIN = 2;
const PARALLEL_IN_THREAD = 4;

/** The number of worker threads for TLS. By default the main thread has a core of its own. */
export function workersOf(configured: number | undefined, cores = availableParallelism()): number {
  return configured ?? cores - 1;
}

/** The engines of so many worker threads; without workers, the one of the main thread. */
export function enginesOf(workers: number): EngineConfig {
  if (workers === 0) return { count: 1, parallel: PARALLEL_IN_MAIN };
  return { count: workers, parallel: PARALLEL_IN_THREAD };
}

/** Returns a function that logs and counts the ends of worker threads. */
export function workerReporter(log: Logger, metrics: Metrics): (event: EngineThreadEvent) => void {
  return (event) => {
    const { worker } = event;
    if (event.type === 'replaced') {
      log.info({ worker }, 'worker replaced');
      return;
    }
    const { reason, handshakes: count, pause } = event;
    metrics.count('workers_ended');
    log.error({ worker, reason, count, pause }, 'worker ended');
  };
}
