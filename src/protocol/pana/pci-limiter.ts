import { createHash } from 'node:crypto';

/** Counters of the sketch: its memory does not grow with the number of addresses. */
const CELLS = 8192;

/**
 * How many PCIs are answered in a second, from one address and in all (RFC 5191 4.1, 11.2), without keeping anything
 * about an address: its counter is a cell of a fixed table, which it may share with others.
 */
export class PciLimiter {
  /** PCIs of each cell in an epoch, for the form of the offer. */
  readonly #repeats = new DataView(new ArrayBuffer(CELLS));
  #epoch = Number.NEGATIVE_INFINITY;
  readonly #perAddress: number;
  readonly #inAll: number;
  readonly #key: Uint8Array;
  readonly #cells = new DataView(new ArrayBuffer(2 * CELLS));
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
      clear(this.#repeats);
    }
    const cell = this.#cell(address);
    const count = this.#repeats.getUint8(cell);
    this.#repeats.setUint8(cell, count + 1);
    return count;
  }

  /** The limit that keeps a PCI from this address from being answered at `now` (milliseconds); undefined: none does. */
  refuse(address: string, now: number): 'pci-of-address' | 'pci-in-all' | undefined {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#total = 0;
      clear(this.#cells);
    }
    const cell = this.#cell(address);
    const count = this.#cells.getUint16(2 * cell);
    if (count >= this.#perAddress) return 'pci-of-address';
    if (this.#total >= this.#inAll) return 'pci-in-all';
    this.#cells.setUint16(2 * cell, count + 1);
    this.#total += 1;
    return undefined;
  }

  #cell(address: string): number {
    return createHash('sha256').update(this.#key).update(address).digest().readUInt32BE(0) % CELLS;
  }
}

function clear(table: DataView): void {
  new Uint8Array(table.buffer).fill(0);
}
