import type { Logger } from '../log/events.js';
import { explainFailure } from '../system/failure.js';
import { each, type MetricDescriptions } from './metric-descriptions.js';
import type { Metrics } from './metrics.js';

/**
 * The entry points of a daemon: datagrams, Diameter messages, TLS engine events, control requests, hook output and
 * exits, timers, and operations of the AAA server's store. `process`: exceptions outside of all these.
 */
export const FAULT_PLACES = ['datagram', 'diameter', 'tls', 'control', 'hook', 'timer', 'store', 'process'] as const;
export type FaultPlace = (typeof FAULT_PLACES)[number];

/** Minimum time between two log lines about faults at one entry point, in milliseconds. */
export const FAULT_LOG_INTERVAL = 60_000;

/** Limit of uncaught exceptions per minute. Beyond it the daemon exits, because its state is unknown. */
export const MAX_PROCESS_FAULTS = 10;

/** Keeps a fault at an entry point from affecting the rest of a daemon. */
export interface Guard {
  /**
   * Returns the result of `action`. If it throws, calls `end`, which releases what the action was for, and returns
   * undefined.
   */
  run<T>(where: FaultPlace, action: () => T, end?: (error: unknown) => void): T | undefined;
  /** Like `run`, for a promise. Never rejects. */
  settle(where: FaultPlace, going: Promise<unknown>, end?: (error: unknown) => void): Promise<void>;
  /** Counts and logs an error that was caught at this entry point. */
  fault(where: FaultPlace, error: unknown): void;
}

/** A guard that lets errors propagate to the caller, for parts that are used alone. */
export const unguarded: Guard = {
  run: (_where, action) => action(),
  settle: async (_where, going) => {
    await going;
  },
  fault: () => undefined,
};

interface Place {
  loggedAt: number;
  unlogged: number;
}

/**
 * The guard behind every entry point of a daemon. An exception there is a fault of this program. It is counted, logged
 * with its stack at most once a minute for each entry point, and ends only the message, conversation or session that it
 * belongs to. This is a safety net: invalid input is refused with a value where it is parsed.
 */
export class Barrier implements Guard {
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #clock: () => number;
  readonly #places = new Map<FaultPlace, Place>();

  /** `clock`: milliseconds, monotonic. */
  constructor(log: Logger, metrics: Metrics, clock: () => number) {
    this.#log = log;
    this.#metrics = metrics;
    this.#clock = clock;
  }

  run<T>(where: FaultPlace, action: () => T, end?: (error: unknown) => void): T | undefined {
    try {
      return action();
    } catch (error) {
      this.#caught(where, error, end);
      return undefined;
    }
  }

  async settle(where: FaultPlace, going: Promise<unknown>, end?: (error: unknown) => void): Promise<void> {
    try {
      await going;
    } catch (error) {
      this.#caught(where, error, end);
    }
  }

  fault(where: FaultPlace, error: unknown): void {
    this.#metrics.count('faults', { where });
    const now = this.#clock();
    const place = this.#places.get(where) ?? { loggedAt: Number.NEGATIVE_INFINITY, unlogged: 0 };
    this.#places.set(where, place);
    if (now - place.loggedAt < FAULT_LOG_INTERVAL) {
      place.unlogged += 1;
      return;
    }
    const { message: reason, stack } = error instanceof Error ? error : new Error(String(error));
    this.#log.error({ where, reason, stack, unlogged: place.unlogged }, 'fault contained');
    place.loggedAt = now;
    place.unlogged = 0;
  }

  /**
   * Catches uncaught exceptions and rejections until the returned function is called. If there are more than
   * MAX_PROCESS_FAULTS in a minute, calls `exit`.
   */
  guardProcess(exit: (status: number) => void = process.exit): () => void {
    let since = this.#clock();
    let count = 0;
    const take = (error: unknown) => {
      this.fault('process', error);
      const now = this.#clock();
      if (now - since >= FAULT_LOG_INTERVAL) {
        since = now;
        count = 0;
      }
      count += 1;
      if (count <= MAX_PROCESS_FAULTS) return;
      this.#log.fatal({ count }, 'too many faults');
      exit(1);
    };
    process.on('uncaughtException', take);
    process.on('unhandledRejection', take);
    return () => {
      process.off('uncaughtException', take);
      process.off('unhandledRejection', take);
    };
  }

  #caught(where: FaultPlace, error: unknown, end: ((error: unknown) => void) | undefined): void {
    this.fault(where, error);
    if (!end) return;
    try {
      end(error);
    } catch (another) {
      this.fault(where, another);
    }
  }
}

/** Whether an error is a fault of this program, and not an error that can be explained to the operator. */
export function isFault(error: unknown): boolean {
  return explainFailure(error) === undefined;
}

/** The counter of faults. */
export const FAULT_COUNTERS: NonNullable<MetricDescriptions['counters']> = {
  faults: {
    help: 'Contained faults of this program, by entry point; please report each',
    series: each('where', FAULT_PLACES),
  },
};
