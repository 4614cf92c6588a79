import type { HookEvent } from '../protocol/hooks/contract.js';
import type { AdmittedClient, EnforcementInput, EnforcementOutput } from '../protocol/hooks/enforcement-alphabet.js';
import { EnforcementPoint } from '../protocol/hooks/enforcement-point.js';
import type { HookData, HookLane, HookRunner } from '../runtime/hooks/runner.js';
import type { CancelTimer, Host } from '../runtime/system/host.js';

export interface EnforcementOptions {
  readonly program: string;
  /** Whether the program accepts several events in one run. */
  readonly batch: boolean;
  readonly interface: string;
  /** Milliseconds between two runs of `check`; 0: never. */
  readonly checkInterval: number;
}

/** What became of the last `start`. */
export type Condition = 'set up' | 'not set up' | 'being set up';

/** Events that are never part of a batch. */
const SINGLE: readonly HookEvent[] = ['start', 'check', 'stop'];

/**
 * Drives the enforcement point machine and runs its hook. `start` and `stop` return promises, because the daemon waits
 * for them when it starts and stops.
 */
export class EnforcementRunner {
  readonly #options: EnforcementOptions;
  readonly #runner: HookRunner;
  readonly #host: Host;
  readonly #machine: EnforcementPoint;
  readonly #lane: HookLane | undefined;
  /** Tokens of the hook runner, by job of the machine. */
  readonly #jobs = new Map<number, number>();
  readonly #waiting = new Map<number, (ok: boolean) => void>();
  #lastToken = 0;
  #cancelTimer: CancelTimer = () => undefined;
  #condition: Condition = 'being set up';

  constructor(options: EnforcementOptions, runner: HookRunner, host: Host) {
    this.#options = options;
    this.#runner = runner;
    this.#host = host;
    this.#machine = new EnforcementPoint(options.interface, options.checkInterval);
    this.#lane = options.batch ? { name: 'ep', variables: { interface: options.interface } } : undefined;
  }

  /** The state of the enforcement point, for display. */
  get state(): EnforcementPoint['state'] {
    return this.#machine.state;
  }

  /**
   * Resets the enforcement point, and passes the permitted clients on the hook's standard input. No other event is
   * passed until this has succeeded. Resolves after the first try, with true if it succeeded.
   */
  start(): Promise<boolean> {
    return new Promise((resolve) => this.#ask((token) => ({ type: 'start', token }), resolve));
  }

  /** Runs the hook `stop` after the pending jobs. Resolves after its first try, with true if it succeeded. */
  stop(): Promise<boolean> {
    return new Promise((resolve) => this.#ask((token) => ({ type: 'stop', token }), resolve));
  }

  /** Whether the last `start` has succeeded, for `status`. */
  get condition(): Condition {
    return this.#condition;
  }

  /** Lets no client pass after a failed `start`, if the hook can. Resolves after one try. */
  shut(): Promise<boolean> {
    const { program, interface: access } = this.#options;
    return new Promise((resolve) => {
      this.#runner.queue(
        {
          program,
          role: 'ep',
          event: 'close',
          subject: 'ep-close',
          variables: () => ({ variables: { interface: access } }),
          after: [],
          lane: undefined,
        },
        { firstResult: ({ ok }) => resolve(ok), done: ({ ok }) => resolve(ok) },
      );
    });
  }

  /** Ends the checks, of a daemon that could not start. */
  close(): void {
    this.#cancelTimer();
  }

  /** Permits a client. `onResult` is called after the first try; `ok`: it succeeded. */
  permit(admission: AdmittedClient, onResult: (ok: boolean) => void = () => undefined): void {
    this.#ask((token) => ({ type: 'permit', token, admission }), onResult);
  }

  move(session: string, address: string): void {
    this.#step({ type: 'move', session, address });
  }

  revoke(session: string): void {
    this.#step({ type: 'revoke', session });
  }

  #ask(input: (token: number) => EnforcementInput, onResult: (ok: boolean) => void): void {
    this.#lastToken += 1;
    this.#waiting.set(this.#lastToken, onResult);
    this.#step(input(this.#lastToken));
  }

  #step(input: EnforcementInput): void {
    for (const output of this.#machine.handle(input, this.#host.monotonic())) this.#perform(output);
    this.#arm();
  }

  #arm(): void {
    this.#cancelTimer();
    const { deadline } = this.#machine;
    if (deadline === undefined) return;
    const wait = Math.max(0, deadline - this.#host.monotonic());
    this.#cancelTimer = this.#host.after(wait, () => this.#step({ type: 'tick' }));
  }

  #perform(output: EnforcementOutput): void {
    if (output.type === 'job') {
      this.#queue(output);
    } else if (output.type === 'firstResult') {
      const onResult = this.#waiting.get(output.token);
      this.#waiting.delete(output.token);
      onResult?.(output.ok);
    }
  }

  #queue({ job, event, subject, after }: Extract<EnforcementOutput, { type: 'job' }>): void {
    const { program } = this.#options;
    const token = this.#runner.queue(
      {
        program,
        role: 'ep',
        event,
        subject,
        variables: () => this.#dataFor(job),
        after: after.flatMap((earlier) => this.#jobs.get(earlier) ?? []),
        lane: SINGLE.includes(event) ? undefined : this.#lane,
      },
      {
        firstResult: ({ ok }) => {
          this.#noteState(event, ok);
          this.#step({ type: 'firstResult', job, ok });
        },
        done: ({ ok }) => {
          this.#noteState(event, ok);
          this.#jobs.delete(job);
          this.#step({ type: 'done', job, ok });
        },
      },
    );
    this.#jobs.set(job, token);
  }

  #noteState(event: HookEvent, ok: boolean): void {
    if (event === 'start') this.#condition = ok ? 'set up' : 'not set up';
    else if (event === 'check' && !ok) this.#condition = 'not set up';
  }

  #dataFor(job: number): HookData | undefined {
    let data: HookData | undefined;
    for (const output of this.#machine.handle({ type: 'run', job }, this.#host.monotonic())) {
      if (output.type === 'data') data = output;
      else this.#perform(output);
    }
    return data;
  }
}
