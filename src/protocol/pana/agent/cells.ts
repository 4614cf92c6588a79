/** If at most this many cells were written, they are cleared one by one; otherwise the whole table is cleared. */
const FEW = 1024;

/** A table of counters that can be cleared quickly if few were written. */
export class Cells {
  readonly #values: Uint8Array | Uint16Array;
  readonly #written = new Uint32Array(FEW);
  #count = 0;

  constructor(values: Uint8Array | Uint16Array) {
    this.#values = values;
  }

  at(cell: number): number {
    return this.#values[cell] ?? 0;
  }

  put(cell: number, value: number): void {
    if (this.#values[cell] === 0 && value !== 0) {
      if (this.#count < FEW) this.#written[this.#count] = cell;
      this.#count += 1;
    }
    this.#values[cell] = value;
  }

  clear(): void {
    if (this.#count > FEW) this.#values.fill(0);
    else for (let n = 0; n < this.#count; n += 1) this.#values[this.#written[n] ?? 0] = 0;
    this.#count = 0;
  }
}
