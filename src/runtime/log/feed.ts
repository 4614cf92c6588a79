import type { Host } from '../system/host.js';
import type { LogEvent, LogFields, Logger } from './events.js';
import { boundFields } from './log-bounds.js';

/** An event as a listener gets it, and as a line of the log in JSON has it. */
export interface FeedEvent extends LogFields {
  /** A number of LEVELS. */
  readonly level: number;
  /** The name of the daemon. */
  readonly name: string;
  /** UTC; `at` is the same time in milliseconds since 1970. */
  readonly time: string;
  readonly at: number;
  readonly msg: LogEvent;
}

/** The levels of events and their numbers, lowest first. */
export const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const;
export type Level = keyof typeof LEVELS;

/** Above all levels: nobody listens. */
const NONE = Number.POSITIVE_INFINITY;

/** The wall clock was set if it differs by more than this many milliseconds from what the monotonic clock tells. */
const STEP = 20;

interface Listener {
  readonly least: number;
  readonly take: (event: FeedEvent) => void;
}

/**
 * Passes a daemon's events to listeners within the process, beside the log: also events of levels that are not logged.
 * Without a listener, an event costs one comparison more than without the feed.
 */
export class EventFeed {
  readonly name: string;
  /** The logger whose events listeners get. */
  readonly log: Logger;
  readonly #host: Host;
  readonly #listeners = new Set<Listener>();
  #least = NONE;
  /** The wall clock minus the monotonic one, which has fractions of milliseconds. */
  #offset = 0;

  /** `log`: where events are logged. */
  constructor(name: string, log: Logger, host: Host) {
    this.name = name;
    this.#host = host;
    this.log = this.#tapped(log);
  }

  /** The number of listeners. */
  get size(): number {
    return this.#listeners.size;
  }

  /**
   * Calls `take` for each event of this and higher levels, until the returned function is called. `take` must not throw
   * and must not log.
   */
  listen(level: Level, take: (event: FeedEvent) => void): () => void {
    const listener = { least: LEVELS[level], take };
    this.#listeners.add(listener);
    this.#findLeast();
    return () => {
      this.#listeners.delete(listener);
      this.#findLeast();
    };
  }

  #findLeast(): void {
    this.#least = Math.min(NONE, ...[...this.#listeners].map(({ least }) => least));
  }

  #tapped(log: Logger): Logger {
    const call =
      (level: Level) =>
      (...given: [LogEvent] | [LogFields, LogEvent]): void => {
        if (given.length === 1) log[level](given[0]);
        else log[level](given[0], given[1]);
        if (LEVELS[level] < this.#least) return;
        if (given.length === 1) this.#pass(LEVELS[level], {}, given[0]);
        else this.#pass(LEVELS[level], given[0], given[1]);
      };
    return {
      get level() {
        return log.level;
      },
      set level(level) {
        log.level = level;
      },
      isLevelEnabled: (level) => (LEVELS[level as Level] ?? 0) >= this.#least || log.isLevelEnabled(level),
      trace: call('trace'),
      debug: call('debug'),
      info: call('info'),
      warn: call('warn'),
      error: call('error'),
      fatal: call('fatal'),
    };
  }

  #pass(level: number, fields: LogFields, msg: LogEvent): void {
    const at = this.#now();
    const event = { level, name: this.name, time: new Date(at).toISOString(), at, msg, ...boundFields({ ...fields }) };
    for (const { least, take } of this.#listeners) if (level >= least) take(event);
  }

  #now(): number {
    const [wall, monotonic] = [this.#host.wall(), this.#host.monotonic()];
    if (Math.abs(this.#offset + monotonic - wall) > STEP) this.#offset = wall - monotonic;
    return Math.round((this.#offset + monotonic) * 1000) / 1000;
  }
}
