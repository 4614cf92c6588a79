/** A pure machine: inputs in, outputs out, and the time of its next tick (milliseconds, monotonic). */
export interface Machine<I, O> {
  handle(input: I | { readonly type: 'tick' }, now: number): O[];
  readonly deadline: number | undefined;
}

/** Milliseconds that only grow, whatever the wall clock does. */
export type Clock = () => number;

export const monotonic: Clock = () => performance.now();

/** Node's timers hold 31 bits of milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Steps a machine: feeds it, performs what it says, and keeps the one timer for its deadline. What `perform` feeds back
 * meanwhile waits its turn, so that outputs are performed in the order in which the machine gave them.
 */
export class Driver<I, O> {
  readonly #machine: Machine<I, O>;
  readonly #perform: (output: O) => void;
  readonly #clock: Clock;
  readonly #waiting: (I | { readonly type: 'tick' })[] = [];
  #stepping = false;
  #timer: NodeJS.Timeout | undefined;
  #armedFor: number | undefined;
  #stopped = false;

  constructor(machine: Machine<I, O>, perform: (output: O) => void, clock: Clock = monotonic) {
    this.#machine = machine;
    this.#perform = perform;
    this.#clock = clock;
  }

  feed(input: I): void {
    this.#step(input);
  }

  /** No timer fires and nothing is fed from now on. */
  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#disarm();
  }

  #step(input: I | { readonly type: 'tick' }): void {
    if (this.#stopped) return;
    this.#waiting.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        for (const output of this.#machine.handle(next, this.#clock())) this.#perform(output);
      }
    } finally {
      this.#stepping = false;
    }
    this.#arm();
  }

  #arm(): void {
    const { deadline } = this.#machine;
    if (this.#stopped || deadline === undefined) {
      this.#disarm();
      return;
    }
    // A timer that goes off early costs a look at the clock; a new one at each message costs more.
    if (this.#armedFor !== undefined && this.#armedFor <= deadline) return;
    this.#disarm();
    this.#armedFor = deadline;
    const wait = Math.min(Math.max(0, Math.ceil(deadline - this.#clock())), LONGEST_TIMER);
    this.#timer = setTimeout(() => {
      this.#armedFor = undefined;
      this.#timer = undefined;
      const due = this.#machine.deadline;
      if (due !== undefined && due <= this.#clock()) this.#step({ type: 'tick' });
      else this.#arm();
    }, wait);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#armedFor = undefined;
  }
}
