import type { Logger } from '../log/events.js';
import { explainFailure } from '../system/failure.js';
import { type CancelTimer, every, type Host, systemHost } from '../system/host.js';
import { killProcess } from '../system/process-end.js';
import { within } from '../system/within.js';
import type { Barrier } from './barrier.js';
import { type Notification, notifyOptionsOf, ServiceManager } from './service-manager.js';

/** The interface of a daemon to its process. */
export interface Service<O = never> {
  /** Stops the daemon cleanly. Waits for peers and hooks only for a limited time. */
  stop(): Promise<void>;
  /** How long an orderly stop may take now, in milliseconds, if that can be more than `STOP_DEADLINE`. */
  stopLimit?(): number;
  /** Applies other options completely or not at all, and reads the files that they name again. */
  reload(options: O): Promise<void>;
  /** What the daemon does at the moment, in a few words. */
  summary(): string;
  /**
   * Whether the daemon works. If this does not resolve with true, the watchdog is not fed and systemd restarts the
   * daemon.
   */
  works?(): Promise<boolean>;
  /** Handles the daemon's faults. */
  readonly barrier?: Barrier;
  /** Resolves with an exit status when the daemon ends by itself. */
  readonly finished?: Promise<number>;
}

/**
 * How long an orderly stop may take, in milliseconds, unless the service needs more: a little less than the documented
 * 10 s.
 */
const STOP_DEADLINE = 9_000;

/** How long a daemon that must stop during its start may take to finish starting and to stop, in milliseconds. */
const START_GRACE = 3_000;

/** How often a changed status is sent to the service manager, in milliseconds. */
const STATUS_INTERVAL = 5_000;

/** How long an unresponsive service manager may delay the end, in milliseconds. */
const NOTIFY_AT_END = 1_000;

/** Messages per watchdog interval, so that one may be lost. */
const WATCHDOG_MESSAGES = 3;

/**
 * Handles signals from before the daemon has started, so that none is lost or ends the daemon without an orderly stop.
 */
export class Signals {
  /**
   * Resolves on SIGTERM or SIGINT. The process then ends within `STOP_DEADLINE` unless `forceAfter` is called, or at once
   * on a second signal.
   */
  readonly end: Promise<NodeJS.Signals>;
  readonly #log: Logger;
  readonly #host: Host;
  #onHangUp: (() => void) | undefined;
  #isHungUp = false;
  #cancelDeadline: CancelTimer | undefined;

  constructor(log: Logger, host: Host = systemHost) {
    this.#log = log;
    this.#host = host;
    this.end = new Promise((resolve) => {
      let stopping = false;
      const onSignal = (signal: NodeJS.Signals) => {
        if (stopping) endAtOnce(log, { signal });
        stopping = true;
        this.forceAfter(STOP_DEADLINE);
        resolve(signal);
      };
      process.on('SIGTERM', onSignal);
      process.on('SIGINT', onSignal);
    });
    for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
      process.on(signal, () => log.debug({ signal }, 'signal ignored'));
    }
    process.on('SIGHUP', () => {
      if (this.#onHangUp) this.#onHangUp();
      else this.#isHungUp = true;
    });
  }

  /** Ends the process without an orderly stop after so many milliseconds from now; replaces an earlier call. */
  forceAfter(duration: number): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#host.after(duration, () => endAtOnce(this.#log, { duration }));
  }

  /** Sets the SIGHUP listener. Calls it at once if SIGHUP came earlier. */
  onHangUp(listener: () => void): void {
    this.#onHangUp = listener;
    if (this.#isHungUp) listener();
  }
}

/** Kills the process without an orderly stop, which may be blocked by a system call that does not return. */
function endAtOnce(log: Logger, why: { readonly signal: NodeJS.Signals } | { readonly duration: number }): never {
  log.error(why, 'killed');
  killProcess();
}

/**
 * Resolves with the daemon when it has started. If a signal requests the end before that, stops the daemon and resolves
 * with undefined. Rejects if the start rejects.
 */
export async function startService<S extends Pick<Service, 'stop'>>(
  start: Promise<S>,
  log: Logger,
  signals: Signals,
): Promise<S | undefined> {
  const first = await Promise.race([start, signals.end]);
  if (typeof first !== 'string') return first;
  log.info({ signal: first }, 'stopping');
  const stopped = start.then(
    (service) => service.stop(),
    (error: unknown) => log.info({ reason: explainFailure(error) ?? String(error) }, 'start failed'),
  );
  await within(stopped, START_GRACE);
  log.info('stopped');
  return undefined;
}

/**
 * Runs a daemon until SIGTERM or SIGINT, or until it ends by itself. A second signal or the deadline ends it at once.
 * `reload` handles SIGHUP. Resolves with the exit status.
 */
export async function runService(
  service: Pick<Service, 'stop' | 'stopLimit' | 'summary' | 'works' | 'finished'>,
  log: Logger,
  signals: Signals,
  reload: () => Promise<void>,
  host: Host = systemHost,
): Promise<number> {
  const reporter = Reporter.start(service, log, host);
  let reloaded: Promise<void> = Promise.resolve();
  signals.onHangUp(() => {
    // Reloads run one after another; the last one wins.
    reloaded = reloaded.then(async () => {
      reporter?.reloading();
      const problem = await reload().then(
        () => undefined,
        (error: unknown) => explainFailure(error) ?? String(error),
      );
      if (problem === undefined) log.info('configuration reloaded');
      else log.error({ reason: problem }, 'reload failed');
      reporter?.reloaded(problem === undefined);
    });
  });
  const finished: Promise<number> = service.finished ?? new Promise(() => undefined);
  const end = await Promise.race([signals.end, finished]);
  log.info(typeof end === 'string' ? { signal: end } : {}, 'stopping');
  const limit = Math.max(service.stopLimit?.() ?? 0, STOP_DEADLINE);
  signals.forceAfter(limit);
  const notified = reporter?.stop(limit > STOP_DEADLINE ? limit : undefined);
  await service.stop();
  if (notified) await within(notified, NOTIFY_AT_END);
  log.info('stopped');
  return typeof end === 'number' ? end : 0;
}

/** Tells the service manager why the daemon does not start, and waits a limited time for that. */
export async function notifyFailure(reason: string, log: Logger, host: Host = systemHost): Promise<void> {
  if (!notifyOptionsOf(process.env, process.pid)) return;
  const manager = new ServiceManager((problem) => log.warn({ reason: problem }, 'service manager not notified'));
  await within(manager.notify({ type: 'status', text: `not started: ${reason}` }), NOTIFY_AT_END, host);
}

/** Reports the daemon's state to the service manager. */
class Reporter {
  readonly #service: Pick<Service, 'summary' | 'works'>;
  readonly #manager: ServiceManager;
  readonly #timers: CancelTimer[] = [];
  #lastStatus = '';
  #reloadFailed = false;
  #asking = false;
  #notifying = false;

  private constructor(service: Pick<Service, 'summary' | 'works'>, manager: ServiceManager) {
    this.#service = service;
    this.#manager = manager;
  }

  /** Reports that the daemon is ready. Returns undefined if there is no service manager. */
  static start(service: Pick<Service, 'summary' | 'works'>, log: Logger, host: Host): Reporter | undefined {
    const options = notifyOptionsOf(process.env, process.pid);
    if (!options) return undefined;
    const manager = new ServiceManager((reason) => log.warn({ reason }, 'service manager not notified'));
    const reporter = new Reporter(service, manager);
    void manager.notify({ type: 'ready' }, reporter.#status());
    reporter.#timers.push(every(host, STATUS_INTERVAL, () => void reporter.#notifyStatus()));
    if (options.watchdog !== undefined) {
      reporter.#timers.push(every(host, options.watchdog / WATCHDOG_MESSAGES, () => void reporter.#watch()));
      void reporter.#watch();
    }
    return reporter;
  }

  reloading(): void {
    // systemd compares this with its own CLOCK_MONOTONIC, which Host does not promise to be.
    void this.#manager.notify({ type: 'reloading', at: process.hrtime.bigint() / 1000n });
  }

  /** Sends READY=1, which systemd expects after RELOADING=1 even if the reload failed. */
  reloaded(isGood: boolean): void {
    this.#reloadFailed = !isGood;
    void this.#manager.notify({ type: 'ready' }, this.#status());
  }

  /** `within`: how long the stop may take, in milliseconds, if it is longer than usual. */
  stop(within: number | undefined): Promise<void> {
    for (const cancel of this.#timers) cancel();
    return this.#manager.notify({ type: 'stopping', within });
  }

  #status(): Notification {
    this.#lastStatus = this.#service.summary() + (this.#reloadFailed ? '; the last reload failed' : '');
    return { type: 'status', text: this.#lastStatus };
  }

  /** Sends the status if it changed and the last one has been sent. */
  async #notifyStatus(): Promise<void> {
    if (this.#notifying) return;
    const before = this.#lastStatus;
    const status = this.#status();
    if (this.#lastStatus === before) return;
    this.#notifying = true;
    await this.#manager.notify(status);
    this.#notifying = false;
  }

  /** Feeds the watchdog if the daemon works. If this timer fires, the event loop is running. */
  async #watch(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const works = (await this.#service.works?.()) ?? true;
    this.#asking = false;
    if (works) void this.#manager.notify({ type: 'alive' });
  }
}
