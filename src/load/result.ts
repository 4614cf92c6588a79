import type { Durations } from './tally.js';

export interface Interval {
  readonly seconds: number;
  readonly perSecond: number;
  readonly durations: Durations | undefined;
  readonly done: number;
  readonly failed: number;
  readonly inProgress: number;
  readonly sessions: number;
  /** Share of one core that this process used. */
  readonly ownCpu: number;
}

export interface Reason {
  readonly reason: string;
  readonly count: number;
  readonly example: string;
}

export interface LoadResult {
  readonly interrupted: boolean;
  readonly seconds: number;
  readonly bootstraps: number;
  readonly perSecond: number;
  /** Milliseconds. At a given rate they include the time by which a bootstrap began late. */
  readonly durations: Durations | undefined;
  /** The last attempts of these bootstraps alone, without earlier attempts and the waits after them. */
  readonly lastAttempts: Durations | undefined;
  /** Attempts that no AAA server judged and that were repeated. */
  readonly retries: number;
  readonly resumed: number;
  readonly withoutHomeAddress: number;
  readonly failed: number;
  readonly failures: readonly Reason[];
  /** Bootstraps that did not begin because all nodes had a session. */
  readonly skipped: number;
  readonly movements: Durations | undefined;
  readonly reauthentications: Durations | undefined;
  /** Movements and re-authentications that failed, and sessions that ended although nobody asked for it. */
  readonly lost: readonly Reason[];
  /** Maximum number of sessions at once, and how many were terminated at the end without an answer. */
  readonly sessions: { readonly most: number; readonly unanswered: number };
  /** How late bootstraps began at a given rate. */
  readonly late: Durations | undefined;
  readonly own: { readonly cpuPerBootstrap: number; readonly cpuShare: number; readonly memory: number };
  /** CPU milliseconds of each daemon per bootstrap, and the longest turn of its event loop in milliseconds. */
  readonly daemons: readonly DaemonCost[];
}

export interface DaemonCost {
  readonly name: string;
  readonly cpuPerBootstrap: number;
  readonly longestTurn: number;
}

/** CPU time of a daemon so far, and its longest turn since the last reading. Milliseconds. */
export interface DaemonReading {
  readonly name: string;
  readonly cpu: number;
  readonly longestTurn: number;
}
