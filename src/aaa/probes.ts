import type { HookOutcome } from '../protocol/hooks/queue.js';
import type { HookGround } from '../runtime/hooks/reporter.js';
import { type HookReport, HookRunner } from '../runtime/hooks/runner.js';
import type { Logger } from '../runtime/log/log.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { CancelTimer } from '../runtime/system/host.js';
import type { HomeAgent } from '../store/records.js';
import type { StoreCalls } from './measured-store.js';

/** How many home agents are probed at a time. */
const PARALLEL = 16;

/** The result of another server's probe counts for so many intervals. */
const TRUST = 3;

export interface ProbeOptions {
  readonly program: string;
  /** Milliseconds: between two probes of a home agent, and for one of them. */
  readonly interval: number;
  readonly timeout: number;
  /** Failures in a row until a home agent is taken for dead. */
  readonly failures: number;
  readonly stateDir: string;
  /** Name of this server. */
  readonly host: string;
}

export interface ProbeParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly store: StoreCalls;
  readonly ground: HookGround;
  readonly guard: Guard;
  /** A home agent does not answer any more. */
  readonly onDead: (agent: HomeAgent) => void;
}

/** Asks the operator's `probe` hook about each home agent, again and again, and tells the store. */
export class Probes {
  readonly #options: ProbeOptions;
  readonly #parts: ProbeParts;
  readonly #failures = new Map<string, number>();
  #cancel: CancelTimer | undefined;
  readonly #hooks: HookRunner;
  #stopped = false;

  constructor(options: ProbeOptions, parts: ProbeParts) {
    this.#options = options;
    this.#parts = parts;
    const { stateDir, timeout } = options;
    const { host, hookProcesses: processes } = parts.ground;
    const onEvent = (report: HookReport) => this.#said(report);
    this.#hooks = new HookRunner({
      stateDir,
      timeout,
      maxParallel: PARALLEL,
      onEvent,
      host,
      processes,
      guard: parts.guard,
    });
  }

  start(): void {
    void this.#round();
  }

  stop(): void {
    this.#stopped = true;
    void this.#hooks.stop(0);
    this.#cancel?.();
  }

  async #round(): Promise<void> {
    const { host } = this.#parts.ground;
    const started = host.monotonic();
    try {
      const agents = (await this.#parts.store.run('listHomeAgents', {})).filter(({ state }) => state !== 'down');
      const known = new Set(agents.map(({ name }) => name));
      for (const name of this.#failures.keys()) if (!known.has(name)) this.#failures.delete(name);
      // A failure of one says nothing about the others.
      const probed = agents.map((agent) => this.#probe(agent).catch((error: Error) => this.#storeFailed(error)));
      await Promise.all(probed);
    } catch (error) {
      this.#storeFailed(error as Error);
    }
    if (this.#stopped) return;
    const pause = Math.max(0, this.#options.interval - (host.monotonic() - started));
    this.#cancel = host.after(pause, () => void this.#round());
  }

  #storeFailed({ message: reason }: Error): void {
    if (!this.#stopped) this.#parts.log.error({ reason }, 'store failed');
  }

  async #probe(agent: HomeAgent): Promise<void> {
    const { log, metrics, store, onDead } = this.#parts;
    const { interval, failures, host } = this.#options;
    const { name } = agent;
    const outcome = await this.#ask(agent);
    if (this.#stopped) return;
    metrics.count('probes', { result: outcome.ok ? 'alive' : 'failed' });
    const failed = outcome.ok ? 0 : (this.#failures.get(name) ?? 0) + 1;
    this.#failures.set(name, failed);
    if (!outcome.ok) log.debug({ homeAgent: name, reason: outcome.reason, failed }, 'probe failed');
    if (!outcome.ok && failed < failures) return;
    const changed = await store.run('probedHomeAgent', { name, alive: outcome.ok, by: host, trust: TRUST * interval });
    if (!changed) return;
    if (outcome.ok) {
      log.warn({ homeAgent: name }, 'home agent answers again');
      return;
    }
    log.error({ homeAgent: name, reason: outcome.reason, failed }, 'home agent does not answer');
    onDead(changed);
  }

  #ask({ name, address, host, target, prefix }: HomeAgent): Promise<HookOutcome> {
    return this.#hooks.run({
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
  }

  #said(report: HookReport): void {
    const { subject: homeAgent } = report;
    if (report.type === 'line') this.#parts.log.debug({ homeAgent, line: report.line }, 'probe');
    if (report.type === 'refused') this.#parts.log.debug({ homeAgent, reason: report.error.message }, 'probe');
  }
}

/** Takes back what this server's probes said when it had any: nobody else would. */
export async function withdrawProbes(store: StoreCalls, host: string): Promise<void> {
  for (const { name, failedBy } of await store.run('listHomeAgents', {})) {
    if (failedBy === host) await store.run('probedHomeAgent', { name, alive: true, by: host, trust: 0 });
  }
}
