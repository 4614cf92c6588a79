import type { HookEvent } from './contract.js';

/** A hook that fails is tried again after a second, then after twice as long each time, a minute at most. Milliseconds. */
export const FIRST_RETRY = 1_000;
export const LONGEST_RETRY = 60_000;

/** No session is left that would end the retries of `down`, `revoke` and `stop`; the answer of a `probe` is its one try. */
export const MAX_TRIES: Readonly<Partial<Record<HookEvent, number>>> = { down: 8, revoke: 8, stop: 8, probe: 1 };

/** Events that one run of a hook gets at most. */
export const MAX_BATCH = 1_000;

/** From SIGTERM to SIGKILL, in milliseconds. */
export const KILL_AFTER = 2_000;

/** How long the processes that are killed at the end may take to be gone, with their key files, in milliseconds. */
export const AFTER_KILL = 500;

/** How a run of a hook ended. */
export type HookOutcome =
  | { readonly ok: true; readonly milliseconds: number }
  | { readonly ok: false; readonly milliseconds: number; readonly reason: string };

/**
 * Why a job took no part in its run. `nothing`: there is nothing to say any more, which counts as success. `refused`: a value
 * must not reach a hook, and would not the next time. `broken`: a fault of this program. None of them is tried again.
 */
export type Exempt = 'nothing' | 'refused' | 'broken';

/** An event that a hook is to be told. */
export interface Job {
  readonly event: HookEvent;
  /** Jobs of one subject run one after another, in order: a mobile node, a client. */
  readonly subject: string;
  /** Tokens of earlier jobs: this one waits until they have had their first try, and do not run. */
  readonly after?: readonly number[] | undefined;
  /** Jobs of one lane share a run: those that come while it runs go into its next run, in order. */
  readonly lane?: string | undefined;
}

export interface QueueOptions {
  /** How long a run may take, in milliseconds. */
  readonly timeout: number;
  /** How many jobs run at a time. A lane has its own run beside these, so that it never waits for the hooks of others. */
  readonly parallel: number;
}

export type QueueInput =
  | { readonly type: 'job'; readonly token: number; readonly job: Job }
  /** A run is over. `outcome` is undefined if no process was started because all its jobs are exempt. */
  | {
      readonly type: 'ended';
      readonly run: number;
      readonly outcome: HookOutcome | undefined;
      readonly exempt?: ReadonlyMap<number, Exempt>;
    }
  /** The daemon ends: each job has its try, then no more. `within`: milliseconds. */
  | { readonly type: 'stop'; readonly within: number }
  | { readonly type: 'tick' };

export type QueueOutput =
  /** Run the hook of these jobs, of which there are several in a lane only; answer with `ended`. */
  | {
      readonly type: 'run';
      readonly run: number;
      readonly tokens: readonly number[];
      readonly lane: string | undefined;
    }
  /** Send the process of a run a signal; it still ends with `ended`. */
  | { readonly type: 'kill'; readonly run: number; readonly signal: 'SIGTERM' | 'SIGKILL' }
  /** A job has had its first try, or will have none. Comes once for each job. */
  | { readonly type: 'settled'; readonly token: number; readonly outcome: HookOutcome }
  /** A job is over: it runs no more, and its key can be wiped. Comes once for each job, after `settled`. */
  | { readonly type: 'done'; readonly token: number; readonly ok: boolean }
  /** A try is over. `sinceEvent`: milliseconds since the job came; earlier tries count. */
  | {
      readonly type: 'finished';
      readonly token: number;
      readonly try: number;
      readonly outcome: HookOutcome;
      readonly sinceEvent: number;
    }
  /** After `stop`: no job is left, and none is accepted any more. */
  | { readonly type: 'stopped' };

/** What a person sees of a job that is not over. */
export interface JobView {
  readonly token: number;
  readonly tries: number;
  readonly problem: string | undefined;
}
