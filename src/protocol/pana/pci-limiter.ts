import { createHash } from 'node:crypto';

/** Counters of the sketch: its memory does not grow with the number of addresses. */
const CELLS = 8192;

/**
 * How many PCIs are answered in a second, from one address and in all (RFC 5191 4.1, 11.2), without keeping anything
 * about an address: its counter is a cell of a fixed table, which it may share with others.
 */
export class PciLimiter {
  /** PCIs of each cell in an epoch, for the form of the offer. */
  readonly #repeats = new Uint8Array(CELLS);
  #epoch = Number.NEGATIVE_INFINITY;
  readonly #perAddress: number;
  readonly #inAll: number;
  readonly #key: Uint8Array;
  #cells = new Uint16Array(CELLS);
  #second = Number.NEGATIVE_INFINITY;
  #total = 0;

  constructor(key: Uint8Array, limits: { readonly perAddress: number; readonly inAll: number }) {
    this.#key = key;
    this.#perAddress = limits.perAddress;
    this.#inAll = limits.inAll;
  }

  /** How many PCIs of this address, or of its cell, were answered before in this epoch; counts this one. */
  repeats(address: string, epoch: number): number {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#repeats.fill(0);
    }
    const cell = this.#cell(address);
    const count = this.#repeats[cell] ?? 0;
    this.#repeats[cell] = count === 255 ? 0 : count + 1;
    return count;
  }

  /** Whether a PCI from this address may be answered at `now` (milliseconds). */
  admit(address: string, now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#total = 0;
      this.#cells.fill(0);
    }
    const cell = this.#cell(address);
    const count = this.#cells[cell] ?? 0;
    if (count >= this.#perAddress || this.#total >= this.#inAll) return false;
    this.#cells[cell] = count + 1;
    this.#total += 1;
    return true;
  }

  #cell(address: string): number {
    return createHash('sha256').update(this.#key).update(address).digest().readUInt32BE(0) % CELLS;
  }
}
