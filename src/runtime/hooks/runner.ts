import { homedir } from 'node:os';
import type { Secret } from '../../protocol/bytes/secret.js';
import {
  type Exempt,
  type HookOutcome,
  MAX_TRIES,
  type QueueInput,
  type QueueOutput,
} from '../../protocol/hooks/alphabet.js';
import {
  type HookEvent,
  type HookRole,
  HookValueError,
  type HookVariables,
  hookEnvironment,
  hookLine,
} from '../../protocol/hooks/contract.js';
import { HookQueue } from '../../protocol/hooks/queue.js';
import { type Guard, unguarded } from '../service/barrier.js';
import { Driver } from '../system/driver.js';
import type { Host } from '../system/host.js';
import type { HookCall, HookProcess, HookProcessRunner } from './process.js';

export interface HookOptions {
  readonly stateDir: string;
  /** Milliseconds. */
  readonly timeout: number;
  readonly maxParallel: number;
  readonly onEvent: (event: HookReport) => void;
  readonly host: Host;
  readonly processes: HookProcessRunner;
  readonly guard?: Guard | undefined;
}

/** The variables and input of a hook. */
export interface HookData {
  readonly variables: HookVariables;
  /** Standard input. */
  readonly input?: string | undefined;
}

/** Jobs of one lane share a run of the hook, which reads one event per line of standard input. */
export interface HookLane {
  readonly name: string;
  /** Variables of the hook in addition to those of each event. */
  readonly variables: HookVariables;
}

export interface HookJob {
  readonly program: string;
  readonly role: HookRole;
  readonly event: HookEvent;
  /** The mobile node or client. Jobs of one subject run one after another, in order. */
  readonly subject: string;
  /** The variables of the hook. A function is called at each try; it returns undefined if the job is obsolete. */
  readonly variables: HookVariables | (() => HookData | undefined);
  /** The runner keeps a copy and wipes it when the job ends. */
  readonly psk?: Secret | undefined;
  /** Jobs, by the token that `queue` returned, that must have had their first try before this job's first try. */
  readonly after?: readonly number[];
  readonly lane?: HookLane | undefined;
}

/** How a job ended. */
export interface HookEnd {
  readonly ok: boolean;
  readonly tries: number;
  /**
   * True if the job succeeded, used up its tries, or can never succeed. False if it was replaced, or the daemon stops.
   */
  readonly isFinal: boolean;
}

/** Receives the progress of a job. */
export interface HookListener {
  /** The first try has ended, the hook has printed `ready`, or there will be no try. Called once. */
  firstResult(outcome: HookOutcome): void;
  /** The job is done: it has succeeded or is given up. Called once, last. */
  done?(ended: HookEnd): void;
}

interface ReportOf {
  readonly subject: string;
  readonly event: HookEvent;
  readonly role: HookRole;
}

export type HookReport =
  /** `sinceEvent`: milliseconds since the job was queued, earlier tries included. */
  | (ReportOf & { readonly type: 'line'; readonly line: string; readonly sinceEvent: number })
  | (ReportOf & {
      readonly type: 'tried';
      readonly try: number;
      readonly outcome: HookOutcome;
      readonly sinceEvent: number;
    })
  | (ReportOf & { readonly type: 'refused'; readonly error: HookValueError })
  /** Runs of this event now have another time limit, in milliseconds. */
  | { readonly type: 'limit'; readonly event: HookEvent; readonly milliseconds: number };

/** An unfinished job, for status output. */
export interface HookView extends ReportOf {
  readonly tries: number;
  readonly problem: string | undefined;
}

/** A hook prints this line when it has done what callers wait for. The rest of its work then continues. */
const READY_LINE = 'ready';

interface Queued {
  readonly job: HookJob;
  readonly psk: Secret | undefined;
  readonly listener: HookListener;
  readonly queuedAt: number;
  tries: number;
  /** A value was refused, or an internal error occurred. */
  isHopeless: boolean;
}

/** Runs the operator's hooks in the order that the queue machine decides, and reports their progress. */
export class HookRunner {
  readonly #options: HookOptions;
  readonly #guard: Guard;
  readonly #queue: HookQueue;
  readonly #driver: Driver<QueueInput, QueueOutput>;
  readonly #jobs = new Map<number, Queued>();
  readonly #processes = new Map<number, HookProcess>();
  readonly #stopping: (() => void)[] = [];
  #lastToken = 0;

  constructor(options: HookOptions) {
    const { timeout, maxParallel: parallel, host, guard = unguarded } = options;
    this.#options = options;
    this.#guard = guard;
    this.#queue = new HookQueue({ timeout, parallel });
    const perform = (output: QueueOutput) => this.#perform(output);
    this.#driver = new Driver<QueueInput, QueueOutput>(this.#queue, perform, host, (error) =>
      guard.fault('hook', error),
    );
  }

  /** Queues a job. Returns its token, for `after` of other jobs. */
  queue(job: HookJob, listener: HookListener): number {
    const { event, subject, after, lane } = job;
    this.#lastToken += 1;
    const token = this.#lastToken;
    const queuedAt = this.#options.host.monotonic();
    this.#jobs.set(token, { job, psk: job.psk?.copy(), listener, queuedAt, tries: 0, isHopeless: false });
    this.#driver.feed({ type: 'job', token, job: { event, subject, after, lane: lane?.name } });
    return token;
  }

  /** Queues a job. Resolves with the outcome of its first try, at the latest when it has ended. */
  run(job: HookJob): Promise<HookOutcome> {
    return new Promise((firstResult) => this.queue(job, { firstResult }));
  }

  /** The number of unfinished jobs of this subject. */
  backlog(subject: string): number {
    return this.#queue.backlog(subject);
  }

  /** All unfinished jobs. */
  status(): HookView[] {
    return [...this.#queue.jobs()].flatMap(({ token, tries, problem }) => {
      const queued = this.#jobs.get(token);
      return queued ? [{ ...reportOf(queued.job), tries, problem }] : [];
    });
  }

  /** How long `stop` should wait for hooks that were as slow as those lately, in milliseconds: `usual` or more. */
  stopTime(usual: number): number {
    return this.#queue.stopTime(usual);
  }

  /**
   * Gives every queued job one try and retries none. Resolves when all have ended, at the latest soon after `within`
   * milliseconds: running hooks are killed at its end, and after half of it if others wait.
   */
  stop(within: number): Promise<void> {
    return new Promise((resolve) => {
      this.#stopping.push(resolve);
      this.#driver.feed({ type: 'stop', within });
    });
  }

  #perform(output: QueueOutput): void {
    switch (output.type) {
      case 'run':
        this.#begin(output);
        break;
      case 'kill':
        this.#processes.get(output.run)?.kill(output.signal);
        break;
      case 'tried': {
        const { token, try: tries, outcome, sinceEvent } = output;
        const queued = this.#jobs.get(token);
        if (!queued) break;
        queued.tries = tries;
        this.#report({ type: 'tried', ...reportOf(queued.job), try: tries, outcome, sinceEvent });
        break;
      }
      case 'firstResult':
        this.#jobs.get(output.token)?.listener.firstResult(output.outcome);
        break;
      case 'done': {
        const queued = this.#jobs.get(output.token);
        this.#jobs.delete(output.token);
        queued?.psk?.wipe();
        if (queued) queued.listener.done?.(endOf(queued, output.ok));
        break;
      }
      case 'limit':
        this.#report(output);
        break;
      case 'stopped':
        for (const resolve of this.#stopping.splice(0)) resolve();
    }
  }

  #begin({ run, tokens, lane }: Extract<QueueOutput, { type: 'run' }>): void {
    const exempt = new Map<number, Exempt>();
    let call: HookCall | undefined;
    let of: Queued | undefined;
    const lines: string[] = [];
    for (const token of tokens) {
      const queued = this.#jobs.get(token);
      const prepared = queued && this.#prepare(queued, lane !== undefined);
      if (!prepared || typeof prepared === 'string') {
        exempt.set(token, prepared ?? 'broken');
        if (queued && prepared !== 'nothing') queued.isHopeless = true;
        continue;
      }
      if (prepared.line !== undefined) lines.push(prepared.line);
      call ??= prepared.call;
      of ??= queued;
    }
    if (!call || !of) {
      this.#driver.feed({ type: 'ended', run, outcome: undefined, exempt });
      return;
    }
    const { job, queuedAt } = of;
    const what = lane === undefined ? reportOf(job) : { subject: job.role, role: job.role, event: 'batch' as const };
    const since = lane === undefined ? queuedAt : this.#options.host.monotonic();
    const input = lane === undefined ? call.input : `${lines.join('\n')}\n`;
    this.#start(run, { ...call, input }, what, since, exempt);
  }

  #start(run: number, call: HookCall, what: ReportOf, since: number, exempt: ReadonlyMap<number, Exempt>): void {
    const { processes, host } = this.#options;
    let hasEnded = false;
    const process = processes.start(call, {
      line: (line) => {
        this.#report({ type: 'line', ...what, line, sinceEvent: host.monotonic() - since });
        if (line === READY_LINE) this.#driver.feed({ type: 'ready', run });
      },
      ended: (outcome) => {
        hasEnded = true;
        this.#processes.delete(run);
        this.#driver.feed({ type: 'ended', run, outcome, exempt });
      },
      fault: (error) => this.#guard.fault('hook', error),
    });
    if (!hasEnded) this.#processes.set(run, process);
  }

  /** Prepares the call of a job. In a lane, the call has no input, and the job's line of input is returned with it. */
  #prepare(
    { job, psk }: Queued,
    inLane: boolean,
  ): Exempt | { readonly call: HookCall; readonly line: string | undefined } {
    const { program, role, event, lane, variables: given } = job;
    const { stateDir } = this.#options;
    const places = { home: homedir(), stateDir };
    try {
      const data = typeof given === 'function' ? given() : { variables: given };
      if (!data) return 'nothing';
      const { variables, input } = data;
      if (!inLane) {
        const environment = hookEnvironment(event, role, variables, places);
        return { call: { program, event, environment, stateDir, input, psk }, line: undefined };
      }
      const environment = hookEnvironment('batch', role, lane?.variables ?? {}, places);
      const line = hookLine(event, variables);
      return { call: { program, event: 'batch', environment, stateDir, input: undefined, psk: undefined }, line };
    } catch (error) {
      if (error instanceof HookValueError) {
        this.#report({ type: 'refused', ...reportOf(job), error });
        return 'refused';
      }
      this.#guard.fault('hook', error);
      return 'broken';
    }
  }

  #report(report: HookReport): void {
    this.#guard.run('hook', () => this.#options.onEvent(report));
  }
}

function reportOf({ subject, event, role }: HookJob): ReportOf {
  return { subject, event, role };
}

function endOf({ job, tries, isHopeless }: Queued, ok: boolean): HookEnd {
  const most = MAX_TRIES[job.event] ?? Number.POSITIVE_INFINITY;
  return { ok, tries, isFinal: ok || isHopeless || tries >= most };
}
