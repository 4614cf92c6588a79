import type { Lease, Session } from './records.js';

/**
 * Work that a commit has promised: the store keeps it, in the same commit, until it is done. If the server that has it
 * ends before, another server of the store, or the same one when it starts again, takes it. So it is done at least
 * once, and may be done twice.
 */
export type Duty =
  /** The lease is free: the hook of its home agent runs `down`. Its mark is in the lease. */
  | { readonly event: 'down'; readonly lease: Lease }
  /**
   * The home agent may not have the key of this session, and the key was lost with its server: the session is
   * re-authenticated, so that both ends get a new one.
   */
  | { readonly event: 'up'; readonly session: Session }
  /** The session was removed from the store, and its NAS has not confirmed that it has ended it. */
  | { readonly event: 'disconnect'; readonly session: Session };

/** A duty of this server. A newer duty about the same subject has another mark, and replaces it. */
export interface HeldDuty {
  readonly subject: string;
  readonly mark: string;
}

/** A duty that this server does no more. */
export interface EndedDuty extends HeldDuty {
  /** It is done or given up. Otherwise it is left to the server that takes it when its term is over. */
  readonly over: boolean;
  /** What the home agent was told, once or more; undefined: nothing. */
  readonly told: { readonly event: 'up' | 'down'; readonly lease: Lease } | undefined;
}

/** Store operation for duties. */
export type DutyOperation = readonly [
  given: {
    readonly held: readonly HeldDuty[];
    readonly ended: readonly EndedDuty[];
    /** How long a server keeps a duty without a sign of life, in milliseconds. */
    readonly term: number;
    /** Delay before a session is asked again for a new key, in milliseconds. */
    readonly retry: number;
    /** Maximum number of duties to take. */
    readonly limit: number;
    /** The server stops: others may take its duties at once, and it takes none. */
    readonly leaving?: boolean;
  },
  result: {
    /** Subjects of held duties that another server has by now, or that nobody has. */
    readonly lost: readonly string[];
    /** Duties that this server has to do from now on. */
    readonly taken: readonly Duty[];
  },
];

/** A server that was silent for this time is taken for dead, and its duties are taken. Milliseconds. */
export const DUTY_TERM = 60_000;

/** Delay before a NAS is asked again, in milliseconds: after a start of this server it may not be connected yet. */
export const DUTY_RETRY = 15_000;

/** Interval between looks for duties of dead servers while this server has none, in milliseconds. */
export const DUTY_INTERVAL = 30_000;

/** Maximum number of duties that a server takes at a time. */
const DUTY_BATCH = 100;

/** What a duty for a home agent is about; without blanks inside of its parts. */
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

/** The duties that this server is doing or has done, since it last told the store. */
export class DutyBook {
  /** Marks by subject. */
  readonly #held = new Map<string, string>();
  #ended: readonly EndedDuty[] = [];
  /** Marks of duties that the store has given to another server, or cancelled. */
  readonly #lost = new Set<string>();
  /** What the store is being told. */
  #telling: { readonly held: ReadonlyMap<string, string>; readonly ended: number } | undefined;
  #lookAt = Number.NEGATIVE_INFINITY;
  #isUsed = false;

  /** Whether this server ever had a duty. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  begin({ subject, mark }: HeldDuty): void {
    this.#isUsed = true;
    this.#held.set(subject, mark);
  }

  end(duty: EndedDuty): void {
    const { subject, mark, over, told } = duty;
    if (this.#held.get(subject) === mark) this.#held.delete(subject);
    this.#lost.delete(mark);
    if (over || told) this.#ended = [...this.#ended, duty];
  }

  /** Whether this duty must not be done any more. */
  isLost(mark: string): boolean {
    return this.#lost.has(mark);
  }

  /** Whether it is time to ask the store. */
  isDue(now: number): boolean {
    if (this.#telling) return false;
    return this.#held.size > 0 || this.#ended.length > 0 || now >= this.#lookAt;
  }

  /** What to tell the store. Answered by `told` or `failed`. */
  tell(): DutyOperation[0] {
    const held = new Map(this.#held);
    this.#telling = { held, ended: this.#ended.length };
    return {
      held: [...held].map(([subject, mark]) => ({ subject, mark })),
      ended: this.#ended,
      term: DUTY_TERM,
      retry: DUTY_RETRY,
      limit: DUTY_BATCH,
    };
  }

  told({ lost, taken }: DutyOperation[1], now: number): void {
    const { held, ended } = this.#telling ?? { held: new Map<string, string>(), ended: 0 };
    this.#telling = undefined;
    this.#ended = this.#ended.slice(ended);
    for (const subject of lost) {
      const mark = held.get(subject);
      if (mark !== undefined && this.#held.get(subject) === mark) this.#lost.add(mark);
    }
    const asksNas = taken.some(({ event }) => event !== 'down');
    // There may be more than one batch.
    if (taken.length >= DUTY_BATCH) this.#lookAt = now;
    else this.#lookAt = now + (asksNas ? DUTY_RETRY : DUTY_INTERVAL);
  }

  failed(): void {
    this.#telling = undefined;
  }
}
