/** RFC 6733 3: the low 20 bits of an End-to-End identifier. */
const LOW_BITS = 20;

/** End-to-End identifiers of one node, unique for four minutes even over a restart, RFC 6733 3. */
export class EndToEndIdentifiers {
  #last: number;

  /** `seconds`: the wall clock at start, whose low 12 bits become the high ones; `random`: 32 random bits. */
  constructor(seconds: number, random: number) {
    this.#last = ((Math.floor(seconds) << LOW_BITS) | (random & ((1 << LOW_BITS) - 1))) >>> 0;
  }

  next(): number {
    this.#last = (this.#last + 1) >>> 0;
    return this.#last;
  }
}

/** Session-Ids that were never used before and never will be, RFC 6733 8.8: `host;high;low;optional`. */
export class SessionIds {
  readonly #host: string;
  #high: number;
  #low = 0;

  /** `seconds`: the wall clock at start. */
  constructor(host: string, seconds: number) {
    this.#host = host;
    this.#high = Math.floor(seconds) >>> 0;
  }

  /** `optional`: whatever the node likes to add, without `;`. */
  next(optional?: string): string {
    this.#low = (this.#low + 1) >>> 0;
    if (this.#low === 0) this.#high = (this.#high + 1) >>> 0;
    const id = `${this.#host};${this.#high};${this.#low}`;
    return optional === undefined ? id : `${id};${optional}`;
  }
}
