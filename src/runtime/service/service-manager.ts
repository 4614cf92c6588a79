import { execFile } from 'node:child_process';
import { visible } from '../system/terminal.js';

/** How long systemd may take to hear us, in milliseconds: systemd-notify waits 5 s for it. */
const NOTIFY_TIMEOUT = 10_000;

/** Tries to tell it: without READY=1 it would take us for a daemon that never came up, and end us. */
const TRIES = 2;

/** Octets of a status line. */
const MAX_STATUS = 200;

/** What the service manager wants to be told, by sd_notify(3) and sd_watchdog_enabled(3). */
export interface ManagerWishes {
  /** It takes us for dead when nothing is heard for so long, in milliseconds; undefined: never. */
  readonly watchdog: number | undefined;
}

/** What there is to tell. */
export type News =
  | { readonly type: 'ready' }
  /** `at`: microseconds of the monotonic clock. */
  | { readonly type: 'reloading'; readonly at: bigint }
  | { readonly type: 'stopping' }
  | { readonly type: 'alive' }
  | { readonly type: 'status'; readonly text: string };

/** What this process is asked for by its environment; undefined: it runs under no service manager. */
export function wishesOf(environment: Readonly<Record<string, string | undefined>>, pid: number) {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: microseconds, WATCHDOG_PID: of } = environment;
  if (!socket) return undefined;
  const isOurs = of === undefined || of === String(pid);
  const watchdog = isOurs && Number(microseconds) > 0 ? Number(microseconds) / 1000 : undefined;
  return { watchdog } satisfies ManagerWishes;
}

/** The assignments that say these news. */
export function assignmentsOf(news: readonly News[]): string[] {
  return news.flatMap(assignmentsOfOne);
}

function assignmentsOfOne(news: News): readonly string[] {
  switch (news.type) {
    case 'ready':
      return ['READY=1'];
    case 'reloading':
      return ['RELOADING=1', `MONOTONIC_USEC=${news.at}`];
    case 'stopping':
      return ['STOPPING=1'];
    case 'alive':
      return ['WATCHDOG=1'];
    case 'status':
      return [`STATUS=${visible(news.text.replaceAll(/\s+/g, ' ')).slice(0, MAX_STATUS)}`];
  }
}

/**
 * systemd, told by its own program: Node has no UNIX datagram sockets. The message is then not of the main process, which
 * takes NotifyAccess=all in the unit; systemd-notify stays until systemd has read it (sd_notify_barrier, since 246), so
 * that systemd still finds out whose process it was.
 */
export class ServiceManager {
  readonly #onProblem: (reason: string) => void;
  #last: Promise<void> = Promise.resolve();
  #failing = false;

  /** `onProblem`: systemd cannot be told; once, until it can again. */
  constructor(onProblem: (reason: string) => void) {
    this.#onProblem = onProblem;
  }

  /** Tells it, after all that was told before. Never rejects. */
  tell(...news: readonly News[]): Promise<void> {
    this.#last = this.#last.then(() => this.#send(assignmentsOf(news)));
    return this.#last;
  }

  async #send(assignments: readonly string[]): Promise<void> {
    let problem: string | undefined;
    for (let tries = 0; tries < TRIES; tries += 1) {
      problem = await notify(assignments);
      if (problem === undefined) break;
    }
    if (problem !== undefined && !this.#failing) this.#onProblem(problem);
    this.#failing = problem !== undefined;
  }
}

/** Resolves with what went wrong, or undefined. */
function notify(assignments: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('systemd-notify', assignments, { timeout: NOTIFY_TIMEOUT }, (error, _stdout, stderr) =>
      resolve(error ? stderr.trim() || error.message : undefined),
    );
  });
}
