import type { Logger } from '../log/events.js';
import type { Guard } from '../service/barrier.js';
import type { Metrics } from '../service/metrics.js';
import { makeFolder } from '../system/folder.js';
import type { Host } from '../system/host.js';
import type { HookProcessRunner } from './process.js';
import { type HookOptions, type HookReport, HookRunner, type HookView } from './runner.js';

/** The section `hooks` of a daemon's configuration. */
interface HookSection {
  readonly 'state-dir': string;
  readonly timeout: number;
  readonly parallel: number;
}

/** The part of the surroundings that hooks need. */
export interface HookSurroundings {
  readonly host: Host;
  readonly hookProcesses: HookProcessRunner;
}

/** Creates a hook runner that logs and counts its events. */
export function makeHookRunner(
  hooks: HookSection,
  log: Logger,
  metrics: Metrics,
  guard: Guard,
  { host, hookProcesses: processes }: HookSurroundings,
): HookRunner {
  const { 'state-dir': stateDir, timeout, parallel: maxParallel } = hooks;
  const options: HookOptions = {
    stateDir,
    timeout,
    maxParallel,
    onEvent: hookReporter(log, metrics),
    host,
    processes,
    guard,
  };
  return new HookRunner(options);
}

/**
 * Creates the folder for hooks and removes key files that an earlier run left there. Call before the first hook runs.
 * Rejects with the system's error if the folder cannot be created.
 */
export async function prepareHookFolder(
  { 'state-dir': stateDir }: HookSection,
  log: Logger,
  { hookProcesses }: HookSurroundings,
): Promise<void> {
  await makeFolder(stateDir, 0o700);
  await hookProcesses.removeLeftovers(stateDir).catch(({ message: reason }: Error) => {
    log.warn({ reason }, 'old key files not removed');
  });
}

/** Registers gauges of unfinished hooks. */
export function hookGauges(metrics: Metrics, hooks: () => readonly HookView[]): void {
  metrics.gauge('hooks_waiting', 'Unfinished hooks: waiting, running, or to be retried', () => hooks().length);
  metrics.gauge(
    'hooks_failing',
    'Hooks that have failed and will be retried',
    () => hooks().filter(({ problem }) => problem !== undefined).length,
  );
}

function hookReporter(log: Logger, metrics: Metrics): (report: HookReport) => void {
  return (report) => {
    if (report.type === 'limit') {
      log.info({ event: report.event, timeLimit: report.milliseconds }, 'hook time limit changed');
      return;
    }
    const { subject, role, event } = report;
    const fields = { subject, role, event };
    // Time since the event, earlier tries included.
    const since = 'sinceEvent' in report ? { sinceEvent: Math.round(report.sinceEvent) } : {};
    switch (report.type) {
      case 'line':
        log.info({ ...fields, line: report.line, ...since }, 'hook output');
        break;
      case 'refused':
        metrics.count('hook_runs', { event, result: 'refused' });
        log.error({ ...fields, reason: report.error.message }, 'hook refused');
        break;
      case 'tried': {
        const { outcome } = report;
        const duration = Math.round(outcome.milliseconds);
        metrics.count('hook_runs', { event, result: outcome.ok ? 'ok' : 'failed' });
        // A successful check is no news.
        if (outcome.ok)
          log[event === 'check' ? 'debug' : 'info']({ ...fields, try: report.try, duration, ...since }, 'hook done');
        else log.warn({ ...fields, try: report.try, duration, ...since, reason: outcome.reason }, 'hook failed');
      }
    }
  };
}
