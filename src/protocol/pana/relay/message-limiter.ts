import { halfSipHash, type SipKey, sipKey } from '../../bytes/half-sip-hash.js';
import { Cells } from '../agent/cells.js';
import { readAddressWords } from '../agent/networks.js';

/** Number of cells of the table. Addresses share one by chance, which the key makes unpredictable. */
const CELLS = 1 << 16;

/** Number of words of an address. */
const WORDS = 5;

/**
 * Limits the messages of each address in a second, in a table of fixed size. A client that floods the relay has no share
 * of the others.
 */
export class MessageLimiter {
  /** Per second and address, at most 65,535. */
  limit: number;
  readonly #key: SipKey;
  readonly #cells = new Cells(new Uint16Array(CELLS));
  readonly #words = new Uint32Array(WORDS);
  #second = Number.NEGATIVE_INFINITY;

  /** `key`: 8 octets. */
  constructor(key: Uint8Array, limit: number) {
    this.#key = sipKey(key);
    this.limit = limit;
  }

  /** Counts a message of this address at `now` (milliseconds). Returns whether it is over the limit. */
  refuses(address: string, now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#cells.clear();
    }
    readAddressWords(address, this.#words);
    const cell = halfSipHash(this.#key, this.#words, WORDS) % CELLS;
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
