import type { HookEvent } from './contract.js';

/**
 * Delay before the first retry of a failed hook, in milliseconds. Each further retry doubles the delay, up to one
 * minute.
 */
export const FIRST_RETRY = 1_000;
export const LONGEST_RETRY = 60_000;
/** The longest delay before a retry of `start`: until it has succeeded, no client is admitted. */
export const LONGEST_START_RETRY = 10_000;

/**
 * Limits of tries. After `down`, `revoke` and `stop` no session exists whose end would stop the retries. A `probe` or
 * `check` has one try, because its result is the answer.
 */
export const MAX_TRIES: Readonly<Partial<Record<HookEvent, number>>> = {
  down: 8,
  revoke: 8,
  stop: 8,
  probe: 1,
  check: 1,
};

/** Maximum number of events in one run of a hook. */
export const MAX_BATCH = 1_000;

/** Time from SIGTERM to SIGKILL, in milliseconds. */
export const KILL_AFTER = 2_000;

/** How long a stopping daemon waits for killed processes to exit and their key files to be removed. Milliseconds. */
export const AFTER_KILL = 500;

/** How a run of a hook ended. `limit`: the time limit in milliseconds that ended it; its process may have ended later. */
export type HookOutcome =
  | { readonly ok: true; readonly milliseconds: number }
  | { readonly ok: false; readonly milliseconds: number; readonly reason: string; readonly limit?: number };

/**
 * Why the hook was not run for a job. `nothing`: the event no longer applies, which counts as success. `refused`: a
 * value must not be passed to a hook. `broken`: an internal error. A retry would not help in any of these cases.
 */
export type Exempt = 'nothing' | 'refused' | 'broken';

/**
 * An event to pass to a hook. A run is one process of the hook, which handles one job or several jobs of a lane. A try
 * is one attempt at a job. A job is done when no more tries follow.
 */
export interface Job {
  readonly event: HookEvent;
  /** A mobile node or a client. Jobs of one subject run one after another, in order. */
  readonly subject: string;
  /** Tokens of earlier jobs. This job waits until each of them has had its first try and is not running. */
  readonly after?: readonly number[] | undefined;
  /** Jobs of one lane share a run. Jobs that arrive during a run wait for the next one, in order. */
  readonly lane?: string | undefined;
}

export interface QueueOptions {
  /** Time limit of a run in milliseconds. It grows if runs need longer; see TimeLimits. */
  readonly timeout: number;
  /**
   * Maximum number of jobs that run at the same time. The run of a lane is not limited, so that a lane never waits for
   * other hooks.
   */
  readonly parallel: number;
}

export type QueueInput =
  | { readonly type: 'job'; readonly token: number; readonly job: Job }
  /**
   * The hook of a run has printed `ready`: whoever waits for the first result can continue, and `ended` follows later.
   * Only the first try of a job uses it.
   */
  | { readonly type: 'ready'; readonly run: number }
  /** A run has ended. `outcome` is undefined if no process was started because all jobs are exempt. */
  | {
      readonly type: 'ended';
      readonly run: number;
      readonly outcome: HookOutcome | undefined;
      readonly exempt?: ReadonlyMap<number, Exempt>;
    }
  /** The daemon stops: each job gets one more try, but no retries. `within`: time limit in milliseconds. */
  | { readonly type: 'stop'; readonly within: number }
  | { readonly type: 'tick' };

export type QueueOutput =
  /** Run the hook for these jobs; only a lane has several. Answered by `ended`. */
  | {
      readonly type: 'run';
      readonly run: number;
      readonly tokens: readonly number[];
      readonly lane: string | undefined;
    }
  /** Send a signal to the process of a run. `ended` still follows. */
  | { readonly type: 'kill'; readonly run: number; readonly signal: 'SIGTERM' | 'SIGKILL' }
  /**
   * The result of a job's first try: the try has ended, the hook has printed `ready`, or there will be no try. Sent
   * once for each job.
   */
  | { readonly type: 'firstResult'; readonly token: number; readonly outcome: HookOutcome }
  /** A job is done: it will not run again, and its key can be wiped. Sent once for each job, after `firstResult`. */
  | { readonly type: 'done'; readonly token: number; readonly ok: boolean }
  /** A try has ended. `sinceEvent`: milliseconds since the job arrived, including earlier tries. */
  | {
      readonly type: 'tried';
      readonly token: number;
      readonly try: number;
      readonly outcome: HookOutcome;
      readonly sinceEvent: number;
    }
  /** Runs of this event now have another time limit. */
  | { readonly type: 'limit'; readonly event: HookEvent; readonly milliseconds: number }
  /** After `stop`: all jobs are done and no more are accepted. */
  | { readonly type: 'stopped' };

/** An unfinished job, for display. */
export interface JobView {
  readonly token: number;
  readonly tries: number;
  readonly problem: string | undefined;
}
