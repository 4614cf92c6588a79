import type { Logger } from '../log/events.js';
import { explainFailure } from '../system/failure.js';
import { each, type MetricDescriptions, type Metrics } from './metrics.js';

/**
 * Where something from outside enters a daemon: datagrams, Diameter messages, events of a TLS engine, control requests, output
 * and ends of hooks, timers; `store` is an operation of the AAA server's store; `process` is whatever none of these was around.
 */
export const FAULT_PLACES = ['datagram', 'diameter', 'tls', 'control', 'hook', 'timer', 'store', 'process'] as const;
export type FaultPlace = (typeof FAULT_PLACES)[number];

/** A fault at one place is logged once in this time, in milliseconds. */
export const FAULT_LOG_INTERVAL = 60_000;

/** Faults that no place was around, in a minute, after which the daemon ends: its state is not known any more. */
export const MAX_PROCESS_FAULTS = 10;

/** What stands between an entry point and the rest of a daemon. */
export interface Guard {
  /** What `action` returns; undefined if it threw, and then `end` ends what it was for. */
  run<T>(where: FaultPlace, action: () => T, end?: (error: unknown) => void): T | undefined;
  /** The same for what goes on in the background. Never rejects. */
  settle(where: FaultPlace, going: Promise<unknown>, end?: (error: unknown) => void): Promise<void>;
  /** Counts and logs an error that was caught at this place. */
  fault(where: FaultPlace, error: unknown): void;
}

/** No barrier: errors go on to the caller. For parts that are used by themselves. */
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
 * The barrier behind every entry point of a daemon: an exception there is a fault of ours. It is counted, logged with its
 * stack at most once a minute for each place, and costs the message, conversation or session that it belongs to, and nothing
 * else. It is a net: what can be wrong with input is refused by a value where it is read.
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
   * Takes what no place was around, until the returned function is called; too much of it in a minute ends the process by
   * `exit`.
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

/** Whether an error is a fault of ours, not something that people are told in words. */
export function isFault(error: unknown): boolean {
  return explainFailure(error) === undefined;
}

/** What the barrier counts. */
export const FAULT_COUNTERS: NonNullable<MetricDescriptions['counters']> = {
  faults: {
    help: 'Faults of this program that were contained, by where they came in: each is worth a report',
    series: each('where', FAULT_PLACES),
  },
};
