import { OrderedMap } from '../bytes/ordered-map.js';
import { FairTable, type Seat } from './fair-table.js';
import { Usage } from './usage.js';

/** Number of turns of a rank after which a waiting lower rank gets one turn, so that no rank starves. */
const TURNS_OF_RANK = 4;

/** Recent use of a resource by each party, counted separately for each rank. All queues of one resource share it. */
export class RankedUsage {
  readonly #ranks: Usage[] = [];

  of(rank: number): Usage {
    while (this.#ranks.length <= rank) this.#ranks.push(new Usage());
    return this.#ranks[rank] as Usage;
  }
}

interface Job {
  readonly seat: Seat;
  readonly since: number;
}

/**
 * Jobs that wait for a scarce resource. Jobs of a higher rank go first, but after four of them one job of the next lower
 * rank runs. Within a rank, the peer with the lowest recent use goes first; the same rule then applies to its networks,
 * and to the addresses within a network. Times in milliseconds, monotonic.
 */
export class FairQueue<T> {
  readonly #usage: RankedUsage;
  readonly #waiting: FairTable<T>;
  /** In order of arrival. */
  readonly #jobs = new OrderedMap<T, Job>();
  /** Number of turns of each rank since the last turn of a lower rank. */
  readonly #turns: number[] = [];

  /** `limit`: maximum number of jobs that wait. */
  constructor(limit: number, usage: RankedUsage) {
    this.#waiting = new FairTable(limit);
    this.#usage = usage;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** When the job that has waited longest arrived; undefined if none waits. */
  get oldest(): number | undefined {
    return this.#jobs.first?.[1].since;
  }

  /** Adds a job. A job must not be added twice. Returns the job that gave way: none, another, or the job itself. */
  add(job: T, seat: Seat, now: number): T | undefined {
    this.#jobs.set(job, { seat, since: now });
    const pushedOut = this.#waiting.add(job, seat);
    if (pushedOut !== undefined) this.#jobs.delete(pushedOut);
    return pushedOut;
  }

  /** Removes up to `most` jobs that have waited for `patience`. */
  expire(patience: number, most: number, now: number): T[] {
    const expired: T[] = [];
    for (const [job, { since }] of this.#jobs) {
      if (now - since < patience || expired.length >= most) break;
      this.#forget(job);
      expired.push(job);
    }
    return expired;
  }

  /** Removes the job whose turn it is. `newestFirst`: of parties with the same use, the last to arrive goes first. */
  next(now: number, newestFirst = false): T | undefined {
    const rank = this.#nextRank();
    if (rank === undefined) return undefined;
    const usage = this.#usage.of(rank);
    const job = this.#waiting.lowest(rank, (path) => usage.of(path, now), newestFirst);
    if (job !== undefined) this.#forget(job);
    return job;
  }

  /** Whether a client would go before all waiting ones of its rank, because it, or a party it is in, has used less. */
  isFirst({ rank, path }: Seat, now: number): boolean {
    const usage = this.#usage.of(rank);
    const job = this.#waiting.lowest(rank, (party) => usage.of(party, now));
    const other = job === undefined ? undefined : this.#jobs.get(job)?.seat.path;
    if (!other) return true;
    for (const i of path.keys()) {
      if (path[i] === other[i]) continue;
      return usage.of(path.slice(0, i + 1), now) < usage.of(other.slice(0, i + 1), now);
    }
    return false;
  }

  #nextRank(): number | undefined {
    const ranks: number[] = [];
    for (let rank = this.#waiting.ranks - 1; rank >= 0; rank -= 1) if (this.#waiting.sizeOf(rank) > 0) ranks.push(rank);
    const rank = ranks.find((each, i) => i === ranks.length - 1 || (this.#turns[each] ?? 0) < TURNS_OF_RANK);
    if (rank === undefined) return undefined;
    for (const higher of ranks.filter((each) => each > rank)) this.#turns[higher] = 0;
    // A turn counts only if a lower rank is waiting.
    if (rank !== ranks.at(-1)) this.#turns[rank] = (this.#turns[rank] ?? 0) + 1;
    return rank;
  }

  #forget(job: T): void {
    this.#jobs.delete(job);
    this.#waiting.remove(job);
  }
}
