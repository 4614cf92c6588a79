import type { CancelTimer, Host } from '../../src/runtime/system/host.js';

/** Numbers from a seed: the same ones every time (mulberry32). */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`. */
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

/** One run of a daemon: a killed one sets no timer, sends nothing and hears nothing. */
export class Life {
  readonly name: string;
  #alive = true;
  #asleep = false;
  readonly #postponed: (() => void)[] = [];
  #over: () => void = () => undefined;
  readonly ended = new Promise<void>((resolve) => {
    this.#over = resolve;
  });
  /** Timers that wait. */
  timers = 0;

  constructor(name: string) {
    this.name = name;
  }

  get alive(): boolean {
    return this.#alive;
  }

  end(): void {
    this.#alive = false;
    this.#over();
    this.#postponed.length = 0;
  }

  get asleep(): boolean {
    return this.#asleep;
  }

  /** The machine is suspended: what was to happen meanwhile happens when it wakes up. */
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

/** Milliseconds since 1970 at the beginning of each world. */
const EPOCH = Date.UTC(2030, 0, 1);

/** What the platform calls requests of files that are under way. */
const FILE_WORK = /^(FSReq|FileHandle|CloseReq)/;

/** Turns of the event loop without activity until the world counts as quiet: a TLS engine takes several for one flight. */
const QUIET_TURNS = { tls: 6, plain: 1 } as const;

/** The only clock of a world. It moves when the event loop is quiet, from timer to timer. */
export class WorldClock {
  #now = 1_000;
  #last = 0;
  readonly #heap: Timer[] = [];
  readonly #turns: number;
  /** Work of the computer that is under way: time stands still meanwhile. */
  #works = 0;
  /** Counts what happens: while it grows, the world is not quiet. */
  activity = 0;

  constructor(fidelity: 'tls' | 'plain') {
    this.#turns = QUIET_TURNS[fidelity];
  }

  get now(): number {
    return this.#now;
  }

  get wall(): number {
    return EPOCH + this.#now;
  }

  /** Calls `action` after so many milliseconds, one at least: no two events of one chain are at the same moment. */
  after(milliseconds: number, action: () => void): CancelTimer {
    this.activity += 1;
    this.#last += 1;
    const timer: Timer = { at: this.#now + Math.max(1, milliseconds), order: this.#last, action };
    this.#push(timer);
    return () => {
      timer.action = undefined;
    };
  }

  /** Time stands still until this is over, which needs no time of the world: files, certificates. */
  standStill(work: Promise<unknown>): void {
    this.#works += 1;
    const over = () => {
      this.#works -= 1;
      this.activity += 1;
    };
    work.then(over, over);
  }

  /** Resolves when nothing happens any more at this moment. */
  async settle(): Promise<void> {
    let seen = this.activity;
    for (let quiet = 0; quiet < this.#turns; ) {
      await turn();
      // Files take turns that nobody counts.
      quiet = seen === this.activity && this.#works === 0 ? quiet + 1 : 0;
      if (quiet >= this.#turns && isBusyWithFiles()) quiet = 0;
      seen = this.activity;
    }
  }

  /** Lets time pass up to a moment; `each` is called after each event, when the world is quiet again. */
  async run(until: number, each: () => void): Promise<void> {
    await this.settle();
    for (let timer = this.#next(until); timer; timer = this.#next(until)) {
      const { action } = timer;
      timer.action = undefined;
      if (!action) continue;
      this.#now = Math.max(this.#now, timer.at);
      action();
      await this.settle();
      each();
    }
    this.#now = Math.max(this.#now, until);
  }

  /** Waits for something that needs the world to go on. */
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
      if (next === undefined || next > until) throw new Error('the world has come to a standstill');
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

function isBusyWithFiles(): boolean {
  return process.getActiveResourcesInfo().some((name) => FILE_WORK.test(name));
}

/** The host of one machine: its wall clock may be wrong, and what a dead process has set does not fire. */
export class MachineHost {
  readonly #clock: WorldClock;
  readonly #dice: Dice;
  /** Milliseconds that its wall clock is ahead. */
  wallError = 0;

  constructor(clock: WorldClock, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  /** The host as one run of a daemon sees it. */
  of(life: Life): Host {
    const clock = this.#clock;
    return {
      monotonic: () => clock.now,
      wall: () => clock.wall + this.wallError,
      after: (milliseconds, action) => {
        if (!life.alive) return () => undefined;
        life.timers += 1;
        let waits = true;
        let cancelled = false;
        const over = () => {
          if (waits) life.timers -= 1;
          waits = false;
        };
        const cancel = clock.after(milliseconds, () => {
          if (!waits) return;
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
