import { FairTable, type Seat } from './fair-table.js';
import { Usage } from './usage.js';

/** Turns of a rank before the next lower one that waits gets a turn: no rank waits for ever. */
const TURNS_OF_RANK = 4;

export interface FairQueueLimits {
  /** Jobs that run at once. */
  readonly parallel: number;
  /** Jobs that may wait. */
  readonly waiting: number;
  /** How long a job may wait, in milliseconds. */
  readonly patience: number;
}

/** Result of an event: jobs that begin now, and jobs that are given up. */
export interface FairQueueStep<T> {
  readonly begun: readonly T[];
  readonly shed: readonly T[];
}

interface Job {
  readonly seat: Seat;
  readonly since: number;
}

/**
 * Orders jobs that wait for a scarce resource. Jobs of a higher rank go first, four of them for each one of the next lower rank.
 * Within a rank the peer that has used the least lately goes first; then the same holds for its networks, and for the addresses
 * of the network. Use is counted for each rank apart. Times in milliseconds, monotonic.
 */
export class FairQueue<T> {
  readonly #limits: FairQueueLimits;
  readonly #waiting: FairTable<T>;
  readonly #jobs = new Map<T, Job>();
  readonly #running = new Map<T, Job>();
  readonly #usages: Usage[] = [];
  /** Turns that each rank has had since the last one of a lower rank. */
  readonly #turns: number[] = [];

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
    this.#waiting = new FairTable(limits.waiting);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Adds a job. The same job must not be added twice. */
  add(job: T, seat: Seat, now: number): FairQueueStep<T> {
    this.#jobs.set(job, { seat, since: now });
    const pushedOut = this.#waiting.add(job, seat);
    if (pushedOut !== undefined) this.#jobs.delete(pushedOut);
    return this.#step(now, pushedOut === undefined ? [] : [pushedOut]);
  }

  /** A job that has begun is done, and has used so much. */
  done(job: T, used: number, now: number): FairQueueStep<T> {
    const running = this.#running.get(job);
    this.#running.delete(job);
    if (running) this.#usageOf(running.seat.rank).add(running.seat.path, used, now);
    return this.#step(now, []);
  }

  #step(now: number, shed: T[]): FairQueueStep<T> {
    // In the order in which they came.
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
    // Only a turn that somebody of a lower rank waits for counts.
    for (const higher of ranks.filter((each) => each > rank)) this.#turns[higher] = 0;
    if (rank !== ranks.at(-1)) this.#turns[rank] = (this.#turns[rank] ?? 0) + 1;
    const usage = this.#usageOf(rank);
    return this.#waiting.lowest(rank, (path) => usage.of(path, now));
  }

  #usageOf(rank: number): Usage {
    while (this.#usages.length <= rank) this.#usages.push(new Usage());
    return this.#usages[rank] as Usage;
  }
}
