import { unguarded } from '../service/barrier.js';
import { systemHost } from '../system/host.js';
import { HookValueError, hookEnvironment, hookLine } from './environment.js';
import type { HookOutcome } from './process.js';
import type { HookJob, HookOptions, HookRunner, HookView } from './runner.js';

/** Events that one run of a hook gets at most. */
export const MAX_BATCH = 1_000;

/** Whose hook it is, and what of the environment does not depend on the event. */
export type BatchTarget = Pick<HookJob, 'program' | 'role'> & { readonly interface: string };

interface Waiting {
  readonly job: HookJob;
  readonly settle: (ok: boolean) => void;
}

/**
 * Runs a hook once for all events of a moment: what comes while it runs goes into its next run, in order, one event a
 * line on its standard input. After a run that failed each of its events is tried by itself, as the runner does it.
 */
export class HookBatch {
  readonly #target: BatchTarget;
  readonly #options: HookOptions;
  readonly #runner: HookRunner;
  #waiting: Waiting[] = [];
  #running: readonly Waiting[] = [];
  #drained: Promise<void> | undefined;

  constructor(target: BatchTarget, options: HookOptions, runner: HookRunner) {
    this.#target = target;
    this.#options = options;
    this.#runner = runner;
  }

  #now(): number {
    return (this.#options.host ?? systemHost).monotonic();
  }

  /** Resolves with whether its first try worked. */
  run(job: HookJob): Promise<boolean> {
    return new Promise((settle) => {
      this.#waiting.push({ job, settle });
      this.#drained ??= this.#drain().finally(() => {
        this.#drained = undefined;
      });
    });
  }

  /** Resolves when nothing waits any more. */
  async drained(): Promise<void> {
    await this.#drained;
  }

  /** Events that wait or run; those of a run that failed are the runner's. */
  status(): HookView[] {
    return [...this.#running, ...this.#waiting].map(({ job: { subject, event, role } }) => ({
      ...{ subject, event, role },
      tries: 0,
      problem: undefined,
    }));
  }

  async #drain(): Promise<void> {
    // What comes in the same turn of the event loop goes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      this.#running = this.#waiting.slice(0, MAX_BATCH);
      this.#waiting = this.#waiting.slice(MAX_BATCH);
      const batch = this.#running;
      const { guard = unguarded } = this.#options;
      await guard.settle('hook', this.#runOnce(batch), () => {
        for (const { settle } of batch) settle(false);
      });
      this.#running = [];
    }
  }

  async #runOnce(batch: readonly Waiting[]): Promise<void> {
    const lines: string[] = [];
    const going: Waiting[] = [];
    for (const waiting of batch) {
      // Whose earlier event is being tried again goes on after it.
      if (this.#runner.has(waiting.job.subject)) {
        void this.#runner.run(waiting.job).then(waiting.settle);
        continue;
      }
      const line = this.#line(waiting);
      if (line === undefined) continue;
      lines.push(line);
      going.push(waiting);
    }
    if (lines.length === 0) return;
    const began = this.#now();
    const outcome = await this.#process(lines);
    const sinceEvent = this.#now() - began;
    for (const { job, settle } of going) {
      const { subject, event, role } = job;
      this.#options.onEvent({ type: 'finished', subject, event, role, try: 1, outcome, sinceEvent });
      if (outcome.ok) settle(true);
      else void this.#runner.run({ ...job, triedBefore: 1 }).then(settle);
    }
  }

  /** Undefined, and settled, where there is nothing to run. */
  #line({ job, settle }: Waiting): string | undefined {
    const { subject, event, role } = job;
    const variables = typeof job.variables === 'function' ? job.variables() : job.variables;
    try {
      if (variables) return hookLine(event, variables);
      settle(true);
    } catch (error) {
      if (!(error instanceof HookValueError)) throw error;
      this.#options.onEvent({ type: 'refused', subject, event, role, error });
      settle(false);
    }
    return undefined;
  }

  async #process(lines: readonly string[]): Promise<HookOutcome> {
    const { program, role } = this.#target;
    const { stateDir, timeout, onEvent } = this.#options;
    const event = 'batch';
    const began = this.#now();
    try {
      const places = { stateDir, pskFile: undefined };
      const environment = hookEnvironment(event, role, { interface: this.#target.interface }, places);
      const onLine = (line: string) =>
        onEvent({ type: 'line', subject: role, event, role, line, sinceEvent: this.#now() - began });
      const input = `${lines.join('\n')}\n`;
      return await this.#runner.process({ program, event, environment, timeout, input, secret: undefined, onLine });
    } catch (error) {
      return { ok: false, milliseconds: 0, reason: (error as Error).message };
    }
  }
}
