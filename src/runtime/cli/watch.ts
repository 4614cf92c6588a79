import type { FeedEvent } from '../log/feed.js';
import { followDaemon } from '../service/control.js';
import { OperatorError } from '../system/failure.js';
import { type CancelTimer, type Host, systemHost } from '../system/host.js';
import { visible, visibleLines } from '../system/terminal.js';
import { durationText } from './duration-text.js';
import { Screen, type Terminal } from './screen.js';

/** How often the state is read at most and at least, and the shortest time between two frames, in milliseconds. */
const READ_AT_MOST = 1_000;
const READ_AT_LEAST = 5_000;
const FRAME = 100;

/** How long to wait before a daemon that is gone is looked for again, in milliseconds. */
const RETRY = 1_000;

/** Maximum number of events that a view keeps. */
export const KEPT = 200;

/** Share of the screen, in lines of ten, for the state above the events. */
const STATE_SHARE = 0.6;

/** Names of the levels, with equal widths. */
const LEVEL_NAMES: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info ',
  40: 'warn ',
  50: 'error',
  60: 'fatal',
};

/** What is watched. */
export interface Watched {
  /** The name of the daemon, and its control socket. */
  readonly name: string;
  readonly socket: string;
  /** The events to follow: `level=info`. */
  readonly query: string;
  /** Reads the state, as lines that may have been chosen by strangers. */
  readonly read: () => Promise<string>;
  /** The lower part of the screen, whose first line is a heading. `width`: columns. Default: a line for each event. */
  readonly lower?: (events: readonly FeedEvent[], width: number) => string[];
}

/** The process that watches. */
export interface Watcher {
  readonly out: Terminal & { readonly isTTY?: boolean };
  readonly host: Host;
  /** Aborts at the end. */
  readonly signal: AbortSignal;
}

/**
 * Shows the state and the events of a running daemon until the end: on a terminal as frames in place, else as plain lines. A
 * daemon that stops or restarts is waited for. Rejects with NoDaemonError if none runs at the beginning.
 */
export async function watchDaemon(watched: Watched, { out, host, signal }: Watcher): Promise<void> {
  const view: View = out.isTTY === true ? new FrameView(watched, out, host) : new LineView(out);
  let isFirst = true;
  try {
    while (!signal.aborted) {
      try {
        view.state(await watched.read());
        isFirst = false;
        await followed(watched, view, host, signal);
      } catch (error) {
        // A daemon that is starting refuses some requests.
        if (isFirst || error instanceof OperatorError) throw error;
      }
      if (signal.aborted) break;
      view.lost(new Date(host.wall()));
      await pause(host, RETRY, signal);
    }
  } finally {
    view.close?.();
  }
}

/** Waits this many milliseconds, or until the signal aborts. */
function pause(host: Host, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = host.after(milliseconds, resolve);
    signal.addEventListener('abort', () => {
      cancel();
      resolve();
    });
  });
}

/** Follows the events, and reads the state now and then, until the daemon is gone or the signal aborts. */
async function followed({ socket, query, read }: Watched, view: View, host: Host, signal: AbortSignal): Promise<void> {
  let isStale = true;
  let isReading = false;
  let readAt = host.monotonic();
  const look = () => {
    const age = host.monotonic() - readAt;
    if (isReading || age < (isStale ? READ_AT_MOST : READ_AT_LEAST)) return;
    isReading = true;
    isStale = false;
    readAt = host.monotonic();
    // If the daemon is gone, its stream of events ends too.
    read()
      .then((text) => view.state(text))
      .catch(() => undefined)
      .finally(() => {
        isReading = false;
      });
  };
  let cancel: CancelTimer = () => undefined;
  const tick = () => {
    look();
    view.draw?.();
    cancel = host.after(FRAME, tick);
  };
  tick();
  try {
    await followDaemon(
      socket,
      `/events?${query}`,
      (line) => {
        isStale = true;
        view.event(line as FeedEvent);
      },
      signal,
    );
  } finally {
    cancel();
  }
}

interface View {
  state(text: string): void;
  event(event: FeedEvent): void;
  lost(at: Date): void;
  draw?(): void;
  close?(): void;
}

/** Lines, for a reader that is no terminal: the state once, and each event. */
class LineView implements View {
  readonly #out: Terminal;
  #isLost: boolean | undefined;

  constructor(out: Terminal) {
    this.#out = out;
  }

  state(text: string): void {
    if (this.#isLost === undefined) this.#out.write(`${visibleLines(text)}\n`);
    if (this.#isLost === true) this.#out.write('The daemon answers again.\n');
    this.#isLost = false;
  }

  event(event: FeedEvent): void {
    this.#out.write(`${eventLine(event)}\n`);
  }

  lost(): void {
    if (this.#isLost === false) this.#out.write('The daemon does not answer any more; waiting for it.\n');
    this.#isLost = true;
  }
}

/** Frames: a head line, the state, and the events below it, all bounded by the size of the terminal. */
class FrameView implements View {
  readonly #watched: Watched;
  readonly #screen: Screen;
  readonly #host: Host;
  #state: readonly string[] = [];
  readonly #events: FeedEvent[] = [];
  #lostAt: Date | undefined;

  constructor(watched: Watched, out: Terminal, host: Host) {
    this.#watched = watched;
    this.#screen = new Screen(out);
    this.#host = host;
  }

  state(text: string): void {
    this.#screen.enter();
    this.#lostAt = undefined;
    this.#state = visibleLines(text).replaceAll('\t', ' ').split('\n');
    this.draw();
  }

  event(event: FeedEvent): void {
    this.#events.push(event);
    if (this.#events.length > KEPT) this.#events.shift();
  }

  lost(at: Date): void {
    this.#lostAt ??= at;
    this.draw();
  }

  draw(): void {
    const { name, lower = (events) => events.map(eventLine) } = this.#watched;
    const { rows, columns } = this.#screen;
    const now = new Date(this.#host.wall());
    const health = this.#lostAt ? `not answering since ${clock(this.#lostAt)}; waiting for it` : clock(now);
    const room = Math.max(0, rows - 3);
    const below = lower(this.#events, columns);
    const above = Math.max(room - below.length, Math.floor(room * STATE_SHARE));
    const state = this.#state.length <= above ? this.#state : this.#state.slice(0, Math.max(0, above - 1));
    const hidden = this.#state.length - state.length;
    const more = hidden > 0 ? [`… ${hidden} more lines`] : [];
    const left = room - state.length - more.length;
    const head = this.#watched.lower ? below.slice(0, 1) : [];
    const newest = left > head.length ? below.slice(head.length).slice(head.length - left) : [];
    const shown = newest.length > 0 ? [...head, ...newest] : [];
    this.#screen.draw([`${name}  ${health}`, '', ...state, ...more, '', ...shown]);
  }

  close(): void {
    this.#screen.leave();
  }
}

/** Hours, minutes and seconds of the local time. */
function clock(at: Date): string {
  return at.toLocaleTimeString('en-GB');
}

/** An event as a line: time, level, message, fields. */
export function eventLine({ level, name, time, at, msg, ...fields }: FeedEvent): string {
  const words = Object.entries(fields).flatMap(([field, value]) => {
    if (value === undefined) return [];
    const text = visible(fieldText(field, value));
    return [`${visible(field)}=${/[\s"]/.test(text) ? JSON.stringify(text) : text}`];
  });
  const when = time === undefined ? '' : `${visible(time).slice(11, 23)} `;
  return `${when}${LEVEL_NAMES[level] ?? ''} ${visible(msg)}${words.length > 0 ? `  ${words.join(' ')}` : ''}`;
}

/** Log fields that are times, and their unit in milliseconds. */
const TIMES: Readonly<Record<string, number>> = { duration: 1, lifetime: 1_000 };

function fieldText(field: string, value: unknown): string {
  const unit = TIMES[field];
  if (unit !== undefined && typeof value === 'number') return durationText(value * unit);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Watches until SIGINT, SIGTERM or SIGHUP; the terminal is then as it was. */
export async function watchUntilSignal(watched: Watched): Promise<void> {
  const ending = new AbortController();
  const end = () => ending.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  try {
    await watchDaemon(watched, { out: process.stdout, host: systemHost, signal: ending.signal });
  } finally {
    for (const signal of signals) process.off(signal, end);
  }
}
