import type { QueueInput } from '../../../src/protocol/hooks/alphabet.js';
import { type HookVariables, hookLine } from '../../../src/protocol/hooks/contract.js';
import type { EnforcementInput, EnforcementOutput } from '../../../src/protocol/hooks/enforcement-alphabet.js';
import { EnforcementPoint } from '../../../src/protocol/hooks/enforcement-point.js';
import { HookQueue } from '../../../src/protocol/hooks/queue.js';

export const HOUR = 3_600_000;
export const A = '2001:db8:a::a';
export const B = '2001:db8:a::b';

/** A run of the hook with its events. */
export interface EnforcementRun {
  readonly run: number;
  readonly calls: readonly HookCall[];
}

export interface HookCall {
  readonly event: string;
  readonly variables: HookVariables;
  /** For `start`: a line for each admitted session. */
  readonly input: string | undefined;
}

/** The machines of the enforcement point and of the queue that runs its hook, in virtual time. */
export class EnforcementRig {
  readonly point: EnforcementPoint;
  readonly queue = new HookQueue({ timeout: 30_000, parallel: 8 });
  readonly runs: EnforcementRun[] = [];
  /** Outcome of each request, by token. */
  readonly firstResults = new Map<number, boolean>();
  readonly #events = new Map<number, string>();
  readonly #batch: boolean;
  now = 0;
  #last = 0;

  constructor(batch = false, checkInterval = 0) {
    this.#batch = batch;
    this.point = new EnforcementPoint('access0', checkInterval);
  }

  /** A rig whose `start` has succeeded. */
  static ready(batch = false, checkInterval = 0): EnforcementRig {
    const rig = new EnforcementRig(batch, checkInterval);
    rig.start();
    rig.end();
    return rig;
  }

  start(): number {
    return this.#ask((token) => ({ type: 'start', token }));
  }

  stop(): number {
    return this.#ask((token) => ({ type: 'stop', token }));
  }

  /** `lifetime` in milliseconds; infinity means no limit. */
  permit(session: string, address: string, lifetime = HOUR): number {
    const limit = Number.isFinite(lifetime) ? lifetime : undefined;
    const admission = { session, userName: `${session}@home.example`, address, lifetime: limit };
    return this.#ask((token) => ({ type: 'permit', token, admission }));
  }

  move(session: string, address: string): void {
    this.#point({ type: 'move', session, address });
  }

  revoke(session: string): void {
    this.#point({ type: 'revoke', session });
  }

  /** Ends a run, by default the first one. Without a reason it has succeeded. */
  end(reason?: string, run = this.runs[0]): EnforcementRun {
    if (!run) throw new Error('no hook runs');
    this.runs.splice(this.runs.indexOf(run), 1);
    const outcome =
      reason === undefined
        ? ({ ok: true, milliseconds: 1 } as const)
        : ({ ok: false, milliseconds: 1, reason } as const);
    this.#queue({ type: 'ended', run: run.run, outcome });
    return run;
  }

  advance(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let at = this.#deadline; at <= end; at = this.#deadline) {
      this.now = Math.max(this.now, at);
      if ((this.point.deadline ?? Number.POSITIVE_INFINITY) <= this.now) this.#point({ type: 'tick' });
      else this.#queue({ type: 'tick' });
    }
    this.now = end;
  }

  get #deadline(): number {
    const { queue, point } = this;
    return Math.min(queue.deadline ?? Number.POSITIVE_INFINITY, point.deadline ?? Number.POSITIVE_INFINITY);
  }

  /** Lets all hooks succeed until none runs. Returns their events. */
  settle(): string[] {
    const calls: string[] = [];
    for (this.advance(0); this.runs.length > 0; this.advance(0)) calls.push(...this.end().calls.map(textOf));
    return calls;
  }

  /** The events of the hooks that run now, such as `move A from B`. */
  get running(): string[] {
    return this.runs.flatMap(({ calls }) => calls.map(textOf));
  }

  #ask(input: (token: number) => EnforcementInput): number {
    this.#last += 1;
    this.#point(input(this.#last));
    return this.#last;
  }

  #point(input: EnforcementInput): void {
    for (const output of this.point.handle(input, this.now)) this.#perform(output);
  }

  #perform(output: EnforcementOutput): void {
    if (output.type === 'firstResult') {
      this.firstResults.set(output.token, output.ok);
    } else if (output.type === 'job') {
      const { job: token, event, subject, after } = output;
      this.#events.set(token, event);
      const lane = this.#batch && !['start', 'check', 'stop'].includes(event) ? 'ep' : undefined;
      this.#queue({ type: 'job', token, job: { event, subject, after, lane } });
    }
  }

  #queue(input: QueueInput): void {
    for (const output of this.queue.handle(input, this.now)) {
      if (output.type === 'run') this.#run(output.run, output.tokens);
      else if (output.type === 'firstResult')
        this.#point({ type: 'firstResult', job: output.token, ok: output.outcome.ok });
      else if (output.type === 'done') this.#point({ type: 'done', job: output.token, ok: output.ok });
    }
  }

  #run(run: number, jobs: readonly number[]): void {
    const calls: HookCall[] = [];
    const exempt = new Map<number, 'nothing'>();
    for (const job of jobs) {
      const event = this.#events.get(job) ?? '?';
      for (const output of this.point.handle({ type: 'run', job }, this.now)) {
        if (output.type === 'data') calls.push({ event, variables: output.variables, input: output.input });
        else if (output.type === 'nothing') exempt.set(job, 'nothing');
        else this.#perform(output);
      }
    }
    if (calls.length === 0) this.#queue({ type: 'ended', run, outcome: undefined, exempt });
    else this.runs.push({ run, calls });
  }
}

function textOf({ event, variables, input }: HookCall): string {
  // As for a real hook: this throws if a value is refused.
  hookLine('permit', variables);
  const { careOfAddress = '-', formerAddress } = variables;
  if (event === 'start' || event === 'check' || event === 'stop') {
    const lines = (input ?? '').split('\n').filter((line) => line !== '');
    return [event, ...lines.map((line) => / MIP6_COA=(\S+)/.exec(line)?.[1] ?? line)].join(' ');
  }
  return `${event} ${careOfAddress}${formerAddress === undefined ? '' : ` from ${formerAddress}`}`;
}
