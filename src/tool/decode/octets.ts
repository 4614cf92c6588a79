/** Big-endian numbers at an offset. Octets beyond the end count as 0: callers check the length of a header first. */
export function u16(octets: Uint8Array, at: number): number {
  return ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
}

export function u24(octets: Uint8Array, at: number): number {
  return (u16(octets, at) << 8) | (octets[at + 2] ?? 0);
}

export function u32(octets: Uint8Array, at: number): number {
  return u16(octets, at) * 0x1_0000 + u16(octets, at + 2);
}

/** A little-endian number at an offset. */
export function u16le(octets: Uint8Array, at: number): number {
  return ((octets[at + 1] ?? 0) << 8) | (octets[at] ?? 0);
}

/** A queue of octets that are appended in pieces and consumed from the front, in amortized linear time. */
export class OctetQueue {
  #octets = new Uint8Array(0);
  #from = 0;
  #to = 0;

  get length(): number {
    return this.#to - this.#from;
  }

  /** The octets in the queue. The view is valid until the next call of `push`. */
  get octets(): Uint8Array {
    return this.#octets.subarray(this.#from, this.#to);
  }

  push(octets: Uint8Array): void {
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
    }
    if (this.#to + octets.length > this.#octets.length) this.#makeRoom(octets.length);
    this.#octets.set(octets, this.#to);
    this.#to += octets.length;
  }

  skip(length: number): void {
    this.#from += Math.min(length, this.length);
    // An empty queue keeps no memory, because there may be one for each of many connections.
    if (this.#from === this.#to && this.#octets.length > KEPT) this.#octets = new Uint8Array(0);
  }

  #makeRoom(length: number): void {
    const needed = this.length + length;
    const octets = new Uint8Array(needed * 2);
    octets.set(this.octets);
    this.#octets = octets;
    this.#to = this.length;
    this.#from = 0;
  }
}

const KEPT = 4096;
