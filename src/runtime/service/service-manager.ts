import { execFile } from 'node:child_process';
import { visible } from '../system/terminal.js';

/** How long systemd may take to receive a message, in milliseconds. systemd-notify itself waits 5 s. */
const NOTIFY_TIMEOUT = 10_000;

/** Attempts to send a message. If READY=1 were lost, systemd would end the daemon as not started. */
const TRIES = 2;

/** How much later than the daemon itself systemd should force a stop, in milliseconds. */
const EXTENSION = 5_000;

/** Maximum length of a status line. */
const MAX_STATUS = 200;

/** What the service manager expects, according to sd_notify(3) and sd_watchdog_enabled(3). */
export interface NotifyOptions {
  /**
   * Watchdog interval in milliseconds: systemd restarts the daemon after this time without a message. Undefined: no
   * watchdog.
   */
  readonly watchdog: number | undefined;
}

/** A message to the service manager. */
export type Notification =
  | { readonly type: 'ready' }
  /** `at`: microseconds of the monotonic clock. */
  | { readonly type: 'reloading'; readonly at: bigint }
  /** `within`: how long the stop may take, in milliseconds, if that is longer than usual. */
  | { readonly type: 'stopping'; readonly within?: number | undefined }
  | { readonly type: 'alive' }
  | { readonly type: 'status'; readonly text: string };

/** Reads what the service manager expects from the environment. Undefined: there is no service manager. */
export function notifyOptionsOf(environment: Readonly<Record<string, string | undefined>>, pid: number) {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: microseconds, WATCHDOG_PID: of } = environment;
  if (!socket) return undefined;
  const isOurs = of === undefined || of === String(pid);
  const watchdog = isOurs && Number(microseconds) > 0 ? Number(microseconds) / 1000 : undefined;
  return { watchdog } satisfies NotifyOptions;
}

/** Converts messages to sd_notify assignments. */
export function assignmentsOf(notifications: readonly Notification[]): string[] {
  return notifications.flatMap(assignmentsOfOne);
}

function assignmentsOfOne(notification: Notification): readonly string[] {
  switch (notification.type) {
    case 'ready':
      return ['READY=1'];
    case 'reloading':
      return ['RELOADING=1', `MONOTONIC_USEC=${notification.at}`];
    case 'stopping':
      return ['STOPPING=1', ...extensionOf(notification.within)];
    case 'alive':
      return ['WATCHDOG=1'];
    case 'status':
      return [`STATUS=${visible(notification.text.replaceAll(/\s+/g, ' ')).slice(0, MAX_STATUS)}`];
  }
}

/** Asks systemd not to end the daemon before its stop has taken so long, in milliseconds. */
function extensionOf(within: number | undefined): string[] {
  return within === undefined ? [] : [`EXTEND_TIMEOUT_USEC=${(within + EXTENSION) * 1000}`];
}

/**
 * Sends messages to systemd with systemd-notify, because Node has no UNIX datagram sockets. The messages do not come
 * from the main process, so the unit needs NotifyAccess=all. systemd-notify runs until systemd has read the message
 * (sd_notify_barrier, since 246), so that systemd can still find the process it came from.
 */
export class ServiceManager {
  readonly #onProblem: (reason: string) => void;
  #last: Promise<void> = Promise.resolve();
  #failing = false;

  /**
   * `onProblem` is called when systemd cannot be reached; it is called again only after systemd was reachable in
   * between.
   */
  constructor(onProblem: (reason: string) => void) {
    this.#onProblem = onProblem;
  }

  /** Sends messages, after all earlier ones. Never rejects. */
  notify(...notifications: readonly Notification[]): Promise<void> {
    this.#last = this.#last.then(() => this.#send(assignmentsOf(notifications)));
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

/** Resolves with the reason of a failure, or undefined. */
function notify(assignments: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile('systemd-notify', assignments, { timeout: NOTIFY_TIMEOUT }, (error, _stdout, stderr) =>
      resolve(error ? stderr.trim() || error.message : undefined),
    );
  });
}
