import type { Logger } from '../log/events.js';
import { explainFailure } from '../system/failure.js';
import { killProcess } from '../system/process-end.js';
import { within } from '../system/within.js';
import type { Barrier } from './barrier.js';
import { type News, ServiceManager, wishesOf } from './service-manager.js';

/** What a daemon is to the process around it. */
export interface Service<O = never> {
  /** Ends in order; what waits for others is given up in time. */
  stop(): Promise<void>;
  /** Takes other options, whole or not at all, and reads again the files that they name. */
  reload(options: O): Promise<void>;
  /** What it does at the moment, in a few words. */
  summary(): string;
  /** Whether it does its work: it is started again when this stays without a yes. */
  works?(): Promise<boolean>;
  /** What contains faults. */
  readonly barrier?: Barrier;
  /** Resolves with an exit status when the daemon ends by itself. */
  readonly finished?: Promise<number>;
}

/** How long an orderly stop may take, in milliseconds: a little less than the 10 s that are promised. */
export const STOP_DEADLINE = 9_000;

/** How long a daemon that is told to stop while it starts may go on with that, in milliseconds. */
const START_GRACE = 3_000;

/** How often the service manager is told what we do, if it is something else, in milliseconds. */
const STATUS_INTERVAL = 5_000;

/** How much longer than the rest a service manager that does not listen may hold up the end, in milliseconds. */
const TOLD_AT_END = 1_000;

/** How often within the time of a watchdog it hears of us: one of these may be lost. */
const SIGNS_OF_LIFE = 3;

/** Signals from before a daemon has started on: none of them ends it out of order, or is lost. */
export class Signals {
  /** SIGTERM or SIGINT. From then on the process ends within `STOP_DEADLINE`, and at once with a second one. */
  readonly end: Promise<NodeJS.Signals>;
  #onHangUp: (() => void) | undefined;
  #isHungUp = false;

  constructor(log: Logger) {
    this.end = new Promise((resolve) => {
      let stopping = false;
      const onSignal = (signal: NodeJS.Signals) => {
        if (stopping) endAtOnce(log, { signal });
        stopping = true;
        startDeadline(log);
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

  /** What SIGHUP asks for, also one that has come already. */
  onHangUp(listener: () => void): void {
    this.#onHangUp = listener;
    if (this.#isHungUp) listener();
  }
}

/** No end in order: what holds it up may be a system call that does not return. */
function endAtOnce(log: Logger, why: { readonly signal: NodeJS.Signals } | { readonly duration: number }): never {
  log.error(why, 'killed');
  killProcess();
}

function startDeadline(log: Logger): NodeJS.Timeout {
  return setTimeout(() => endAtOnce(log, { duration: STOP_DEADLINE }), STOP_DEADLINE);
}

/**
 * The daemon once it has started; undefined: it was told to stop before that, and has not started or has stopped again. Rejects
 * with what the start rejects with.
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
 * Runs a daemon until SIGTERM or SIGINT, or until it ends by itself; a second signal, or the deadline, ends it at once.
 * `reload` is what SIGHUP asks for. Resolves with the exit status.
 */
export async function runService(
  service: Pick<Service, 'stop' | 'summary' | 'works' | 'finished'>,
  log: Logger,
  signals: Signals,
  reload: () => Promise<void>,
): Promise<number> {
  const reporter = Reporter.start(service, log);
  let reloaded: Promise<void> = Promise.resolve();
  signals.onHangUp(() => {
    // One after another: the last one counts.
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
  if (typeof end === 'number') startDeadline(log);
  const told = reporter?.stop();
  await service.stop();
  if (told) await within(told, TOLD_AT_END);
  log.info('stopped');
  return typeof end === 'number' ? end : 0;
}

/** Tells the service manager how the daemon is. */
class Reporter {
  readonly #service: Pick<Service, 'summary' | 'works'>;
  readonly #manager: ServiceManager;
  readonly #timers: NodeJS.Timeout[] = [];
  #said = '';
  #reloadFailed = false;
  #asking = false;
  #telling = false;

  private constructor(service: Pick<Service, 'summary' | 'works'>, manager: ServiceManager) {
    this.#service = service;
    this.#manager = manager;
  }

  /** Says that it is ready; undefined where there is no service manager. */
  static start(service: Pick<Service, 'summary' | 'works'>, log: Logger): Reporter | undefined {
    const wishes = wishesOf(process.env, process.pid);
    if (!wishes) return undefined;
    const manager = new ServiceManager((reason) => log.warn({ reason }, 'service manager not notified'));
    const reporter = new Reporter(service, manager);
    void manager.tell({ type: 'ready' }, reporter.#status());
    reporter.#timers.push(setInterval(() => void reporter.#tellStatus(), STATUS_INTERVAL));
    if (wishes.watchdog !== undefined) {
      reporter.#timers.push(setInterval(() => void reporter.#watch(), wishes.watchdog / SIGNS_OF_LIFE));
      void reporter.#watch();
    }
    return reporter;
  }

  reloading(): void {
    void this.#manager.tell({ type: 'reloading', at: process.hrtime.bigint() / 1000n });
  }

  /** systemd takes a daemon that reloads for busy until it is ready again, whatever became of it. */
  reloaded(isGood: boolean): void {
    this.#reloadFailed = !isGood;
    void this.#manager.tell({ type: 'ready' }, this.#status());
  }

  stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    return this.#manager.tell({ type: 'stopping' });
  }

  #status(): News {
    this.#said = this.#service.summary() + (this.#reloadFailed ? '; the last reload failed' : '');
    return { type: 'status', text: this.#said };
  }

  /** What is news, unless the last of it is still being told. */
  async #tellStatus(): Promise<void> {
    if (this.#telling) return;
    const before = this.#said;
    const status = this.#status();
    if (this.#said === before) return;
    this.#telling = true;
    await this.#manager.tell(status);
    this.#telling = false;
  }

  /** That this runs shows that the event loop turns. */
  async #watch(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const works = (await this.#service.works?.()) ?? true;
    this.#asking = false;
    if (works) void this.#manager.tell({ type: 'alive' });
  }
}
