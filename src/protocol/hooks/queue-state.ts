import type { Job } from './alphabet.js';
import type { HookEvent } from './contract.js';

type EntryState =
  /** Waits for an earlier job of its subject, for a job in `after`, or for its lane. */
  | 'waiting'
  /** Waits for one of the `parallel` runs. */
  | 'ready'
  | 'running'
  /** Waits for its retry. */
  | 'delayed'
  | 'done';

export interface Entry {
  readonly token: number;
  readonly job: Job;
  readonly queuedAt: number;
  /** Jobs of `after` that it still waits for. */
  readonly blockedBy: Set<number>;
  state: EntryState;
  tries: number;
  problem: string | undefined;
  retryAfter: number;
  /** A newer event of the subject replaces it: its first try is its last. */
  superseded: boolean;
  /** Its `firstResult` was sent. */
  hasResult: boolean;
  /** Whether it is retried in its own run, because the run of its lane failed. */
  alone: boolean;
}

export interface Run {
  readonly entries: readonly Entry[];
  readonly lane: Lane | undefined;
  /** The event of its job; `batch` in a lane. */
  readonly event: HookEvent;
  /** What its time limit depends on. */
  readonly kind: string;
  /** Its time limit in milliseconds. */
  readonly limit: number;
  readonly beganAt: number;
  /** When its process gets the next signal. */
  signalAt: number;
  timedOut: boolean;
}

export interface Lane {
  readonly name: string;
  readonly waiting: Set<Entry>;
  isRunning: boolean;
  /** When its next run starts; undefined: no job can run. */
  due: number | undefined;
}

/**
 * State of `stop`. If jobs wait at half of the time limit, running hooks are killed, so that those jobs still get their
 * try.
 */
export type Stop =
  | { readonly name: 'open' }
  | { readonly name: 'trying'; readonly halfAt: number; readonly endAt: number; halfPassed: boolean }
  | { readonly name: 'killing'; readonly until: number }
  | { readonly name: 'stopped' };

/**
 * A refresh that has not started when the next one arrives. It is dropped, because the newer one has the current
 * values.
 */
export function replacedRefresh(queue: readonly Entry[], event: HookEvent): Entry | undefined {
  const last = queue.at(-1);
  const hasBegun = last === undefined || (last.state !== 'waiting' && last.state !== 'ready');
  return event === 'refresh' && last?.job.event === 'refresh' && !hasBegun ? last : undefined;
}

/** What the time limit of a run depends on. A home agent whose probes are slow does not change the limit for others. */
export function kindOf(event: HookEvent, entries: readonly Entry[]): string {
  return event === 'probe' ? `probe ${entries[0]?.job.subject}` : event;
}
