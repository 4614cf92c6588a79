/** RFC 6733 3: number of low-order bits of an End-to-End Identifier. */
const LOW_BITS = 20;

/** End-to-End Identifiers of a node, unique for four minutes even across a restart, RFC 6733 3. */
export class EndToEndIdentifiers {
  #last: number;

  /** `seconds`: the wall clock at start; its low 12 bits become the high-order bits. `random`: 32 random bits. */
  constructor(seconds: number, random: number) {
    this.#last = ((Math.floor(seconds) << LOW_BITS) | (random & ((1 << LOW_BITS) - 1))) >>> 0;
  }

  next(): number {
    this.#last = (this.#last + 1) >>> 0;
    return this.#last;
  }
}

/** Creates Session-Ids that are globally and eternally unique, RFC 6733 8.8: `host;high;low;optional`. */
export class SessionIds {
  readonly #host: string;
  #high: number;
  #low = 0;

  /** `seconds`: the wall clock at start. */
  constructor(host: string, seconds: number) {
    this.#host = host;
    this.#high = Math.floor(seconds) >>> 0;
  }

  /** `optional`: a suffix without `;`. */
  next(optional?: string): string {
    this.#low = (this.#low + 1) >>> 0;
    if (this.#low === 0) this.#high = (this.#high + 1) >>> 0;
    const id = `${this.#host};${this.#high};${this.#low}`;
    return optional === undefined ? id : `${id};${optional}`;
  }
}
