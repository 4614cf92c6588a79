import type { Job } from './alphabet.js';
import type { HookEvent } from './contract.js';

type EntryState =
  /** Behind another job of its subject, behind a job that it comes after, or for its lane. */
  | 'waiting'
  /** For one of the `parallel` places. */
  | 'in line'
  | 'running'
  /** Until its retry. */
  | 'asleep'
  | 'over';

export interface Entry {
  readonly token: number;
  readonly job: Job;
  readonly queuedAt: number;
  /** Jobs that it comes after and still waits for. */
  readonly blockedBy: Set<number>;
  state: EntryState;
  tries: number;
  problem: string | undefined;
  retryAfter: number;
  /** A newer event of the subject says what holds now: its first try is its last. */
  superseded: boolean;
  settled: boolean;
  /** Its lane's run failed: it is tried by itself. */
  alone: boolean;
}

export interface Run {
  readonly entries: readonly Entry[];
  readonly lane: Lane | undefined;
  /** When it gets its next signal. */
  signalAt: number;
  timedOut: boolean;
}

export interface Lane {
  readonly name: string;
  readonly waiting: Set<Entry>;
  isRunning: boolean;
  /** When its next run begins; undefined: nothing can run. */
  due: number | undefined;
}

/** Before its deadline, hooks are killed once at half time, so that what waits for them still has its try. */
export type Stop =
  | { readonly name: 'open' }
  | { readonly name: 'trying'; readonly halfAt: number; readonly endAt: number; halfOver: boolean }
  | { readonly name: 'killing'; readonly overAt: number }
  | { readonly name: 'over' };

/** A refresh that has not begun when the next one comes is not run: the newer one says all of it. */
export function replacedRefresh(queue: readonly Entry[], event: HookEvent): Entry | undefined {
  const last = queue.at(-1);
  const hasBegun = last === undefined || (last.state !== 'waiting' && last.state !== 'in line');
  return event === 'refresh' && last?.job.event === 'refresh' && !hasBegun ? last : undefined;
}
