import { explainFailure } from './failure.js';
import type { Logger } from './log.js';

/** What a daemon is to the process around it. */
export interface Service {
  /** Ends in order; what waits for others is given up in time. */
  stop(): Promise<void>;
  /** Reads again what SIGHUP asks for. Rejects and keeps the old. */
  reload?(): Promise<void>;
  /** Resolves with an exit status when the daemon ends by itself. */
  readonly finished?: Promise<number>;
}

/** How long an orderly stop may take, in milliseconds. */
export const STOP_DEADLINE = 10_000;

/**
 * Runs a daemon until SIGTERM or SIGINT, or until it ends by itself; a second signal, or the deadline, ends it at once.
 * Resolves with the exit status.
 */
export async function runService(service: Service, log: Logger): Promise<number> {
  const signalled = new Promise<NodeJS.Signals>((resolve) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (stopping) {
        log.warn({ signal }, 'ended at once');
        process.exit(1);
      }
      stopping = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
  process.on('SIGHUP', () => {
    if (!service.reload) return;
    service.reload().then(
      () => log.info('reloaded'),
      (error: unknown) => log.error({ reason: explainFailure(error) ?? String(error) }, 'reload failed'),
    );
  });
  const finished: Promise<number> = service.finished ?? new Promise(() => undefined);
  const end = await Promise.race([signalled, finished]);
  log.info(typeof end === 'string' ? { signal: end } : {}, 'stopping');
  const deadline = setTimeout(() => {
    log.error({ deadline: STOP_DEADLINE }, 'ended at once');
    process.exit(1);
  }, STOP_DEADLINE);
  await service.stop();
  clearTimeout(deadline);
  log.info('stopped');
  return typeof end === 'number' ? end : 0;
}
