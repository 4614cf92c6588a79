import { hookEnvironment } from '../runtime/hooks/environment.js';
import type { HookOutcome } from '../runtime/hooks/process.js';
import type { HookGround } from '../runtime/hooks/reporter.js';
import type { Logger } from '../runtime/log/log.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { CancelTimer } from '../runtime/system/host.js';
import type { HomeAgent } from '../store/records.js';
import type { StoreCalls } from './measured-store.js';

/** How many home agents are asked at a time. */
const PARALLEL = 16;

/** Another server's word counts for so many intervals. */
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
  /** A home agent does not answer any more. */
  readonly onDead: (agent: HomeAgent) => void;
}

/** Asks the operator's `probe` hook about each home agent, again and again, and tells the store. */
export class Probes {
  readonly #options: ProbeOptions;
  readonly #parts: ProbeParts;
  readonly #failures = new Map<string, number>();
  #cancel: CancelTimer | undefined;
  readonly #end = new AbortController();

  constructor(options: ProbeOptions, parts: ProbeParts) {
    this.#options = options;
    this.#parts = parts;
  }

  start(): void {
    void this.#round();
  }

  stop(): void {
    this.#end.abort();
    this.#cancel?.();
  }

  get #stopped(): boolean {
    return this.#end.signal.aborted;
  }

  async #round(): Promise<void> {
    const { host } = this.#parts.ground;
    const started = host.monotonic();
    try {
      const agents = (await this.#parts.store.run('listHomeAgents', {})).filter(({ state }) => state !== 'down');
      const known = new Set(agents.map(({ name }) => name));
      for (const name of this.#failures.keys()) if (!known.has(name)) this.#failures.delete(name);
      const waiting = [...agents];
      const worker = async () => {
        for (let agent = waiting.shift(); agent && !this.#stopped; agent = waiting.shift()) {
          // What becomes of one says nothing of the others.
          await this.#probe(agent).catch((error: Error) => this.#storeFailed(error));
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, worker));
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

  async #ask({ name, address, host, target, prefix }: HomeAgent): Promise<HookOutcome> {
    const { program, timeout, stateDir } = this.#options;
    try {
      const variables = {
        homeAgent: address,
        homeAgentHost: host,
        homeAgentId: name,
        homeAgentTarget: target,
        prefix: prefix.split('/', 1)[0],
        prefixLength: 64,
      };
      const environment = hookEnvironment('probe', 'ha', variables, { stateDir, pskFile: undefined });
      const onLine = (line: string) => this.#parts.log.debug({ homeAgent: name, line }, 'probe');
      return await this.#parts.ground.runHook({
        program,
        event: 'probe',
        environment,
        timeout,
        secret: undefined,
        onLine,
        end: this.#end.signal,
      });
    } catch (error) {
      return { ok: false, milliseconds: 0, reason: (error as Error).message };
    }
  }
}

/** Takes back what this server's probes said when it had any: nobody else would. */
export async function withdrawProbes(store: StoreCalls, host: string): Promise<void> {
  for (const { name, failedBy } of await store.run('listHomeAgents', {})) {
    if (failedBy === host) await store.run('probedHomeAgent', { name, alive: true, by: host, trust: 0 });
  }
}
