import { DUTY_INTERVAL, DUTY_RETRY, DUTY_TERM, type DutyOperation, type EndedDuty, type HeldDuty } from './duties.js';

/** Maximum number of duties that a server takes at a time. */
const DUTY_BATCH = 100;

/** The duties that this server is doing, or has done since its last report to the store. A part of Upkeep. */
export class DutyBook {
  /** Marks by subject. */
  readonly #held = new Map<string, string>();
  #ended: readonly EndedDuty[] = [];
  /** The report that the store is processing. */
  #report: { readonly held: ReadonlyMap<string, string>; readonly ended: number } | undefined;
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
    const { subject, mark, over, notified } = duty;
    if (this.#held.get(subject) === mark) this.#held.delete(subject);
    if (over || notified) this.#ended = [...this.#ended, duty];
  }

  /** Whether a report to the store is due. */
  isDue(now: number): boolean {
    if (this.#report) return false;
    return this.#held.size > 0 || this.#ended.length > 0 || now >= this.#lookAt;
  }

  /** The next report to the store. Completed by `reported` or `failed`. */
  report(): DutyOperation[0] {
    const held = new Map(this.#held);
    this.#report = { held, ended: this.#ended.length };
    return {
      held: [...held].map(([subject, mark]) => ({ subject, mark })),
      ended: this.#ended,
      term: DUTY_TERM,
      retry: DUTY_RETRY,
      limit: DUTY_BATCH,
    };
  }

  /** Returns the marks of the duties that must no longer be done. */
  reported({ lost, taken }: DutyOperation[1], now: number): string[] {
    const { held, ended } = this.#report ?? { held: new Map<string, string>(), ended: 0 };
    this.#report = undefined;
    this.#ended = this.#ended.slice(ended);
    const asksNas = taken.some(({ event }) => event !== 'down');
    // There may be further batches.
    if (taken.length >= DUTY_BATCH) this.#lookAt = now;
    else this.#lookAt = now + (asksNas ? DUTY_RETRY : DUTY_INTERVAL);
    return lost.flatMap((subject) => {
      const mark = held.get(subject);
      return mark !== undefined && this.#held.get(subject) === mark ? [mark] : [];
    });
  }

  failed(): void {
    this.#report = undefined;
  }
}
