import type { Lease, Session } from './records.js';

/**
 * Work that follows from a commit. The commit also stores the duty, which remains stored until the work is done. If the
 * server that holds a duty ends, another server of the store, or the same one after its restart, takes it over. The
 * work is therefore done at least once, possibly twice.
 */
export type Duty =
  /** The lease was freed: the hook of its home agent must run `down`. The lease contains the mark of the duty. */
  | { readonly event: 'down'; readonly lease: Lease }
  /**
   * The home agent may not have the key of this session, and the server that had the key has ended. The session must be
   * re-authenticated, so that both ends get a new key.
   */
  | { readonly event: 'up'; readonly session: Session }
  /** The session was removed from the store, but its NAS has not confirmed its end. */
  | { readonly event: 'disconnect'; readonly session: Session };

/** A duty that this server holds. A newer duty for the same subject has another mark and replaces it. */
export interface HeldDuty {
  readonly subject: string;
  readonly mark: string;
}

/** A duty that this server no longer works on. */
export interface EndedDuty extends HeldDuty {
  /** Whether the duty is done or given up. Otherwise another server takes it when its term has passed. */
  readonly over: boolean;
  /** The last event for which the home agent's hook was run; undefined: it was not run. */
  readonly notified: { readonly event: 'up' | 'down'; readonly lease: Lease } | undefined;
}

/** Reports on the work on duties, for Upkeep. */
export type DutyInput =
  | { readonly type: 'dutyBegun'; readonly duty: HeldDuty }
  | { readonly type: 'dutyEnded'; readonly duty: EndedDuty };

/** Store operation for duties. */
export type DutyOperation = readonly [
  given: {
    readonly held: readonly HeldDuty[];
    readonly ended: readonly EndedDuty[];
    /** How long a server keeps a duty without renewing it, in milliseconds. */
    readonly term: number;
    /** Delay before a session is re-authenticated again to get a new key, in milliseconds. */
    readonly retry: number;
    /** Maximum number of duties to take. */
    readonly limit: number;
    /** Whether the server is stopping: others may take its duties at once, and it takes none. */
    readonly leaving?: boolean;
  },
  result: {
    /** Subjects of held duties that another server has taken or that no longer exist. */
    readonly lost: readonly string[];
    /** Duties that this server holds from now on. */
    readonly taken: readonly Duty[];
  },
];

/** A server that has not renewed its duties for this time counts as dead, and others take its duties. Milliseconds. */
export const DUTY_TERM = 60_000;

/**
 * Delay before a request to a NAS is repeated, in milliseconds. When this server has just started, the NAS may not be
 * connected yet.
 */
export const DUTY_RETRY = 15_000;

/** Interval between checks for duties of dead servers while this server holds none, in milliseconds. */
export const DUTY_INTERVAL = 30_000;

/** The subject of a duty for a home agent. Its parts contain no blanks. */
export function subjectOfLease({
  homeAgent,
  homeAddress,
  nai,
}: Pick<Lease, 'homeAgent' | 'homeAddress' | 'nai'>): string {
  return `lease ${homeAgent.address} ${homeAddress} ${nai.toLowerCase()}`;
}

export function subjectOfSession({ sessionId }: Pick<Session, 'sessionId'>): string {
  return `session ${sessionId}`;
}
