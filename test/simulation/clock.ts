import type { CancelTimer, Host } from '../../src/runtime/system/host.js';

/** Random numbers from a seed (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to less than 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `least` to `most`. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(of: readonly T[]): T {
    const chosen = of[Math.floor(this.fraction() * of.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  }

  octets(count: number): Uint8Array {
    const out = new Uint8Array(count);
    for (let i = 0; i < count; i += 1) out[i] = Math.floor(this.fraction() * 256);
    return out;
  }
}

/** One run of a daemon. After its end it sets no timer, sends nothing and receives nothing. */
export class Life {
  readonly name: string;
  #alive = true;
  #asleep = false;
  readonly #postponed: (() => void)[] = [];
  #over: () => void = () => undefined;
  readonly ended = new Promise<void>((resolve) => {
    this.#over = resolve;
  });
  /** When each pending timer is due. */
  readonly #due = new Set<{ readonly at: number }>();
  /** The number of PANA datagrams received, the number sent, and the octets of those sent. */
  readonly datagrams = { received: 0, sent: 0, octets: 0 };
  /** The number of effects of any kind. */
  effects = 0;

  constructor(name: string) {
    this.name = name;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** The number of pending timers. */
  get timers(): number {
    return this.#due.size;
  }

  /** Notes a timer that is due at a time. Returns what ends it. */
  timer(at: number): () => void {
    const due = { at };
    this.#due.add(due);
    return () => void this.#due.delete(due);
  }

  /** Whether a timer is due until a time. */
  isDue(until: number): boolean {
    for (const { at } of this.#due) if (at <= until) return true;
    return false;
  }

  end(): void {
    this.#alive = false;
    this.#over();
    this.#postponed.length = 0;
  }

  get asleep(): boolean {
    return this.#asleep;
  }

  /** Suspends the machine: its actions are postponed until it resumes. */
  sleep(): void {
    this.#asleep = true;
  }

  wake(): void {
    this.#asleep = false;
    for (const action of this.#postponed.splice(0)) this.perform(action);
  }

  perform(action: () => void): void {
    if (!this.#alive) return;
    if (this.#asleep) this.#postponed.push(action);
    else action();
  }
}

interface Timer {
  readonly at: number;
  readonly order: number;
  action: (() => void) | undefined;
}

/** Milliseconds since 1970 at the start of each world. */
const EPOCH = Date.UTC(2030, 0, 1);

/** Node's names for pending file requests. */
const FILE_WORK = /^(FSReq|FileHandle|CloseReq)/;

/**
 * The number of turns of the event loop without activity after which the world is quiet. A TLS engine needs several
 * turns for one flight.
 */
const QUIET_TURNS = { tls: 6, plain: 1 } as const;

/**
 * After this many settles without a turn of the event loop, the world yields one turn to other work of this process.
 */
const MAX_BREATHLESS = 1_000;

/** The only clock of a world. It advances from timer to timer whenever the event loop is quiet. */
export class WorldClock {
  #now = 1_000;
  #last = 0;
  readonly #heap: Timer[] = [];
  readonly #turns: number;
  readonly #fidelity: 'tls' | 'plain';
  #breathless = 0;
  /** Pending work outside of the world, during which virtual time does not advance. */
  #works = 0;
  /** Counts activity; the world is not quiet while it grows. */
  activity = 0;

  constructor(fidelity: 'tls' | 'plain') {
    this.#fidelity = fidelity;
    this.#turns = QUIET_TURNS[fidelity];
  }

  get now(): number {
    return this.#now;
  }

  get wall(): number {
    return EPOCH + this.#now;
  }

  /**
   * Calls `action` after this time, at least one millisecond, so that two events of one chain are never simultaneous.
   */
  after(milliseconds: number, action: () => void): CancelTimer {
    this.activity += 1;
    this.#last += 1;
    const timer: Timer = { at: this.#now + Math.max(1, milliseconds), order: this.#last, action };
    this.#push(timer);
    return () => {
      timer.action = undefined;
    };
  }

  /** Stops virtual time until this work is done, such as writing files or issuing certificates. */
  standStill(work: Promise<unknown>): void {
    this.#works += 1;
    const over = () => {
      this.#works -= 1;
      this.activity += 1;
    };
    work.then(over, over);
  }

  /** Resolves when nothing more happens at the current time. */
  async settle(): Promise<void> {
    if (this.#fidelity === 'plain' && (await this.#settleWithoutTurn())) return;
    let seen = this.activity;
    for (let quiet = 0; quiet < this.#turns; ) {
      await turn();
      // File operations take turns that are not counted as activity.
      quiet = seen === this.activity && this.#works === 0 ? quiet + 1 : 0;
      if (quiet >= this.#turns && isBusyWithFiles()) quiet = 0;
      seen = this.activity;
    }
  }

  /**
   * Without a TLS engine and file access, only pending promises remain after an event. Runs all promises, which is much
   * cheaper than a turn of the event loop. Returns whether the world is quiet then.
   */
  async #settleWithoutTurn(): Promise<boolean> {
    await promisesRun();
    if (this.#works > 0 || isBusyWithFiles()) return false;
    this.#breathless += 1;
    if (this.#breathless < MAX_BREATHLESS) return true;
    this.#breathless = 0;
    return false;
  }

  /**
   * Advances time up to `until`, or to the event after which `isOver` returns true. `each` is called after each event, when the
   * world is quiet.
   */
  async run(until: number, each: () => void, isOver: () => boolean = () => false): Promise<void> {
    await this.settle();
    for (let timer = this.#next(until); timer; timer = this.#next(until)) {
      const { action } = timer;
      timer.action = undefined;
      if (!action) continue;
      this.#now = Math.max(this.#now, timer.at);
      action();
      await this.settle();
      each();
      if (isOver()) return;
    }
    this.#now = Math.max(this.#now, until);
  }

  /** Resolves with a promise that needs time to advance. */
  async complete<T>(promise: Promise<T>, each: () => void, limit = 60_000): Promise<T> {
    let isOver = false;
    const over = promise.then(
      () => {
        isOver = true;
      },
      () => {
        isOver = true;
      },
    );
    const until = this.#now + limit;
    for (;;) {
      await this.settle();
      if (isOver) break;
      const next = this.#heap[0]?.at;
      if (next === undefined || next > until)
        throw new Error('virtual time can advance no further, and the promise is still pending');
      await this.run(next, each);
    }
    await over;
    return promise;
  }

  #next(until: number): Timer | undefined {
    const first = this.#heap[0];
    return first && first.at <= until ? this.#pop() : undefined;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (!parent || isBefore(parent, timer)) break;
      heap[at] = parent;
      heap[above] = timer;
      at = above;
    }
  }

  #pop(): Timer | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || first === last) return first;
    let at = 0;
    heap[0] = last;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const child = right && left && isBefore(right, left) ? 2 * at + 2 : 2 * at + 1;
      const smaller = heap[child];
      if (!smaller || isBefore(last, smaller)) return first;
      heap[at] = smaller;
      heap[child] = last;
      at = child;
    }
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when no promise is left to run: Node takes its queue of ticks when that of promises is empty. */
function promisesRun(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

function isBusyWithFiles(): boolean {
  return process.getActiveResourcesInfo().some((name) => FILE_WORK.test(name));
}

/** The host of one machine, with a possibly wrong wall clock. Timers of an ended run do not fire. */
export class MachineHost {
  readonly #clock: WorldClock;
  readonly #dice: Dice;
  /** Milliseconds by which its wall clock is ahead. */
  wallError = 0;

  constructor(clock: WorldClock, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  /** The host for one run of a daemon. */
  of(life: Life): Host {
    const clock = this.#clock;
    return {
      monotonic: () => clock.now,
      wall: () => clock.wall + this.wallError,
      boot: () => clock.now,
      after: (milliseconds, action) => {
        if (!life.alive) return () => undefined;
        const over = life.timer(clock.now + milliseconds);
        let cancelled = false;
        const cancel = clock.after(milliseconds, () => {
          over();
          life.perform(() => {
            if (!cancelled) action();
          });
        });
        return () => {
          cancelled = true;
          over();
          cancel();
        };
      },
      random: (octets) => this.#dice.octets(octets),
    };
  }
}
