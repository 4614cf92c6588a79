import { Cells } from '../agent/cells.js';

/** Number of cells of the table. Senders share one by chance, which the key of their hash makes unpredictable. */
const CELLS = 1 << 16;

/**
 * Limits the messages of each sender in a second, in a table of fixed size. A client that floods the relay has no share
 * of the others.
 */
export class MessageLimiter {
  /** Per second and sender, at most 65,535. */
  limit: number;
  readonly #cells = new Cells(new Uint16Array(CELLS));
  #second = Number.NEGATIVE_INFINITY;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Counts a message of this sender, a keyed hash, at `now` (milliseconds). Returns whether it is over the limit. */
  refuses(sender: number, now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#cells.clear();
    }
    const cell = sender % CELLS;
    const count = this.#cells.at(cell);
    if (count >= this.limit) return true;
    this.#cells.put(cell, count + 1);
    return false;
  }
}

/** Limits events in a second. */
export class SecondLimit {
  limit: number;
  #second = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Counts an event at `now` (milliseconds). Returns whether it is over the limit. */
  refuses(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    if (this.#count >= this.limit) return true;
    this.#count += 1;
    return false;
  }
}
