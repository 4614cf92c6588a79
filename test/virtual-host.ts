import { Drbg } from '../src/protocol/bytes/drbg.js';
import type { CancelTimer, Host } from '../src/runtime/system/host.js';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
}

/** Clock, timers and randomness that only the test advances. Equal seeds give equal runs. */
export class VirtualHost implements Host {
  #now = 0;
  /** Milliseconds since 1970 minus the monotonic clock. Change it to step the wall clock. */
  wallOffset: number;
  /** Milliseconds that the host has slept; undefined: its platform has no clock that includes them. */
  slept: number | undefined = 0;
  #last = 0;
  readonly #timers = new Set<Timer>();
  readonly #drbg: Drbg;

  constructor(seed: Uint8Array = new Uint8Array(32), wall = Date.UTC(2030, 0, 1)) {
    this.#drbg = new Drbg(seed);
    this.wallOffset = wall;
  }

  monotonic(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.wallOffset;
  }

  boot(): number | undefined {
    return this.slept === undefined ? undefined : this.#now + this.slept;
  }

  after(milliseconds: number, action: () => void): CancelTimer {
    this.#last += 1;
    const timer = { at: this.#now + Math.max(0, milliseconds), order: this.#last, action };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  random(octets: number): Uint8Array {
    return this.#drbg.bytes(octets);
  }

  /** The number of pending timers. */
  get timers(): number {
    return this.#timers.size;
  }

  /** When the next timer fires; undefined: none is pending. */
  get next(): number | undefined {
    return this.#first()?.at;
  }

  /** Advances time. Timers fire in order at their own time, including those that timers set. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (let timer = this.#first(); timer && timer.at <= end; timer = this.#first()) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.action();
    }
    this.#now = end;
  }

  /** Time passes while no timer fires, as for a process that is stopped. */
  stall(milliseconds: number): void {
    this.#now += milliseconds;
  }

  #first(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer;
    }
    return first;
  }
}
