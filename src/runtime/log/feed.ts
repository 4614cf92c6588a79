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

/**
 * Events below `info` that listeners get within a second. Strangers cause such events, and preparing one costs more than
 * the message that it is about.
 */
const MAX_DETAILS = 2_000;

interface Listener {
  readonly least: number;
  readonly take: (event: FeedEvent) => void;
}

/**
 * Passes a daemon's events to listeners within the process, beside the log: also events of levels that are not logged, of
 * these at most MAX_DETAILS a second. Without a listener, an event costs one comparison more than without the feed.
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
  /** The current second, and the events below `info` in it. */
  #second = 0;
  #details = 0;

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
        if (!this.#takes(LEVELS[level])) return;
        if (LEVELS[level] < LEVELS.info) this.#details += 1;
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
      isLevelEnabled: (level) => log.isLevelEnabled(level) || this.#takes(LEVELS[level as Level] ?? 0),
      trace: call('trace'),
      debug: call('debug'),
      info: call('info'),
      warn: call('warn'),
      error: call('error'),
      fatal: call('fatal'),
    };
  }

  #takes(level: number): boolean {
    if (level < this.#least) return false;
    if (level >= LEVELS.info) return true;
    const second = Math.floor(this.#host.monotonic() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#details = 0;
    }
    return this.#details < MAX_DETAILS;
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
