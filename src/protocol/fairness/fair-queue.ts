import { FairTable, type Seat } from './fair-table.js';
import { Usage } from './usage.js';

/** Number of turns of a rank after which a waiting lower rank gets one turn, so that no rank starves. */
const TURNS_OF_RANK = 4;

export interface FairQueueLimits {
  /** Maximum number of jobs that run at the same time. */
  readonly parallel: number;
  /** Maximum number of jobs that wait. */
  readonly waiting: number;
  /** How long a job may wait, in milliseconds. */
  readonly patience: number;
}

/** Result of a call: jobs that start now, and jobs that are dropped. */
export interface FairQueueStep<T> {
  readonly begun: readonly T[];
  readonly shed: readonly T[];
}

interface Job {
  readonly seat: Seat;
  readonly since: number;
}

/**
 * Schedules jobs that wait for a scarce resource. Jobs of a higher rank go first, but after four of them one job of the
 * next lower rank runs. Within a rank, the peer with the lowest recent use goes first; the same rule then applies to
 * its networks, and to the addresses within a network. Use is counted separately for each rank. Times in milliseconds,
 * monotonic.
 */
export class FairQueue<T> {
  readonly #limits: FairQueueLimits;
  readonly #waiting: FairTable<T>;
  readonly #jobs = new Map<T, Job>();
  readonly #running = new Map<T, Job>();
  readonly #usages: Usage[] = [];
  /** Number of turns of each rank since the last turn of a lower rank. */
  readonly #turns: number[] = [];

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
    this.#waiting = new FairTable(limits.waiting);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Adds a job. A job must not be added twice. */
  add(job: T, seat: Seat, now: number): FairQueueStep<T> {
    this.#jobs.set(job, { seat, since: now });
    const pushedOut = this.#waiting.add(job, seat);
    if (pushedOut !== undefined) this.#jobs.delete(pushedOut);
    return this.#step(now, pushedOut === undefined ? [] : [pushedOut]);
  }

  /** Records that a started job has ended and used the amount `used` of the resource. */
  done(job: T, used: number, now: number): FairQueueStep<T> {
    const running = this.#running.get(job);
    this.#running.delete(job);
    if (running) this.#usageOf(running.seat.rank).add(running.seat.path, used, now);
    return this.#step(now, []);
  }

  #step(now: number, shed: T[]): FairQueueStep<T> {
    // #jobs is in order of arrival.
    for (const [job, { since }] of this.#jobs) {
      if (now - since < this.#limits.patience) break;
      this.#forget(job);
      shed.push(job);
    }
    const begun: T[] = [];
    while (this.#running.size < this.#limits.parallel && this.#waiting.size > 0) {
      const job = this.#next(now);
      if (job === undefined) break;
      const waited = this.#jobs.get(job);
      this.#forget(job);
      if (waited) this.#running.set(job, waited);
      begun.push(job);
    }
    return { begun, shed };
  }

  #forget(job: T): void {
    this.#jobs.delete(job);
    this.#waiting.remove(job);
  }

  #next(now: number): T | undefined {
    const ranks: number[] = [];
    for (let rank = this.#waiting.ranks - 1; rank >= 0; rank -= 1) if (this.#waiting.sizeOf(rank) > 0) ranks.push(rank);
    const rank = ranks.find((each, i) => i === ranks.length - 1 || (this.#turns[each] ?? 0) < TURNS_OF_RANK);
    if (rank === undefined) return undefined;
    for (const higher of ranks.filter((each) => each > rank)) this.#turns[higher] = 0;
    // A turn counts only if a lower rank is waiting.
    if (rank !== ranks.at(-1)) this.#turns[rank] = (this.#turns[rank] ?? 0) + 1;
    const usage = this.#usageOf(rank);
    return this.#waiting.lowest(rank, (path) => usage.of(path, now));
  }

  #usageOf(rank: number): Usage {
    while (this.#usages.length <= rank) this.#usages.push(new Usage());
    return this.#usages[rank] as Usage;
  }
}
