import {
  PARALLEL,
  type ProbeOutcome,
  Probes,
  type ProbesConfig,
  type ProbesInput,
  type ProbesOutput,
} from '../protocol/home/probes.js';
import type { HomeAgent } from '../protocol/home/records.js';
import type { HookSurroundings } from '../runtime/hooks/reporter.js';
import { type HookReport, HookRunner } from '../runtime/hooks/runner.js';
import type { LogFields, Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import { Driver } from '../runtime/system/driver.js';
import type { AaaOptions } from './config/options.js';
import type { StoreCalls } from './measured-store.js';
import { askStore } from './store-questions.js';

export interface ProbeOptions extends ProbesConfig {
  readonly program: string;
  readonly stateDir: string;
}

export interface ProbeParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly guard: Guard;
  readonly store: StoreCalls;
  readonly surroundings: HookSurroundings;
  /** Called when a home agent no longer responds. */
  readonly onDead: (agent: HomeAgent) => void;
}

/** Runs the operator's `probe` hook for the Probes machine, which checks the home agents. */
export class ProbeRunner {
  readonly #options: ProbeOptions;
  readonly #parts: ProbeParts;
  readonly #driver: Driver<ProbesInput, ProbesOutput>;
  readonly #hooks: HookRunner;

  constructor(options: ProbeOptions, parts: ProbeParts) {
    this.#options = options;
    this.#parts = parts;
    const { host, hookProcesses: processes } = parts.surroundings;
    this.#hooks = new HookRunner({
      stateDir: options.stateDir,
      timeout: options.timeout,
      maxParallel: PARALLEL,
      onEvent: (report) => this.#onReport(report),
      host,
      processes,
      guard: parts.guard,
    });
    this.#driver = new Driver<ProbesInput, ProbesOutput>(
      new Probes(options),
      (output) => this.#perform(output),
      parts.surroundings.host,
      (error) => parts.guard.fault('timer', error),
    );
  }

  start(): void {
    this.#driver.feed({ type: 'start' });
  }

  stop(): void {
    this.#driver.stop();
    void this.#hooks.stop(0);
  }

  #perform(output: ProbesOutput): void {
    const { log, metrics, store, onDead } = this.#parts;
    switch (output.type) {
      case 'store': {
        const { token, call } = output;
        void askStore(store, call).then((stored) => this.#driver.feed({ type: 'stored', token, stored }));
        break;
      }
      case 'probe': {
        const { token, agent } = output;
        void this.#probe(agent).then((outcome) => this.#driver.feed({ type: 'probed', token, outcome }));
        break;
      }
      case 'result': {
        const { agent, outcome, failed } = output;
        metrics.count('probes', { result: outcome.ok ? 'alive' : 'failed' });
        if (!outcome.ok) log.debug({ ...fieldsOf(agent), reason: outcome.reason, count: failed }, 'probe failed');
        break;
      }
      case 'alive':
        log.warn(fieldsOf(output.agent), 'home agent responding again');
        break;
      case 'dead': {
        const { agent, reason, failed } = output;
        log.error({ ...fieldsOf(agent), reason, count: failed }, 'home agent not responding');
        onDead(agent);
        break;
      }
      case 'failed':
        log.error({ reason: output.reason }, 'store operation failed');
    }
  }

  async #probe({ name, address, host, target, prefix }: HomeAgent): Promise<ProbeOutcome> {
    const outcome = await this.#hooks.run({
      program: this.#options.program,
      role: 'ha',
      event: 'probe',
      subject: name,
      variables: {
        homeAgent: address,
        homeAgentHost: host,
        homeAgentId: name,
        homeAgentTarget: target,
        prefix: prefix.split('/', 1)[0],
        prefixLength: 64,
      },
    });
    return outcome.ok
      ? { ok: true }
      : { ok: false, reason: outcome.reason, milliseconds: outcome.limit ?? outcome.milliseconds };
  }

  #onReport(report: HookReport): void {
    if (report.type === 'limit') {
      this.#parts.log.info({ event: report.event, timeLimit: report.milliseconds }, 'hook time limit changed');
      return;
    }
    const { subject: homeAgentName } = report;
    if (report.type === 'line') this.#parts.log.debug({ homeAgentName, line: report.line }, 'probe output');
    if (report.type === 'refused')
      this.#parts.log.debug({ homeAgentName, reason: report.error.message }, 'probe refused');
  }
}

function fieldsOf({ name, address }: HomeAgent): LogFields {
  return { homeAgent: address, homeAgentName: name };
}

/** Withdraws earlier probe results of this server when it no longer probes, because no other server would. */
export async function withdrawProbes(store: StoreCalls, host: string): Promise<void> {
  for (const { name, failedBy } of await store.run('listHomeAgents', {})) {
    if (failedBy === host) await store.run('probedHomeAgent', { name, alive: true, by: host, trust: 0 });
  }
}

/** The probes that the section `hooks` configures. `host`: the name of this server. */
export function probeOptions(hooks: AaaOptions['hooks'], program: string, host: string): ProbeOptions {
  const { 'probe-interval': interval, 'probe-failures': failures, 'state-dir': stateDir } = hooks;
  return { program, interval, timeout: Math.min(hooks.timeout, interval), failures, stateDir, host };
}
