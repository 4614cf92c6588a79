import { SEED, seedOctets } from '../seed.js';

/** The number of mutated messages for each hostile end, from HOSTILE_MESSAGES. */
export const MESSAGES = Number(process.env['HOSTILE_MESSAGES'] ?? 25_000);

/** Time limit of one hostile end, in milliseconds. */
export const PATIENCE = 400_000 + MESSAGES * 10;

/** Lengths at the limits of fields and types. */
export const BOUNDARY_LENGTHS = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 31, 32, 33, 63, 64, 65, 127, 128, 129, 252, 253,
  254, 255, 256, 257, 1023, 1024, 1025, 4095, 4096, 16_383, 16_384, 16_385,
];

/** Lengths at the limit of a message, and one beyond. */
export const LONGEST = [32_768, 64_000, 64_001, 65_400, 65_507, 65_532];

/** 32-bit numbers at which signs, widths or meanings change. */
export const BOUNDARY_NUMBERS = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x00ff_ffff, 0x0100_0000,
  0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];

/** The random choices of one hostile end. They follow from the seed of the run. */
export class Chance {
  /** State of sfc32 (Doty-Humphrey), a fast generator with a long period. */
  readonly #state: Uint32Array;

  constructor(what: string) {
    process.stderr.write(`${what}: PANA_TEST_SEED=${SEED} HOSTILE_MESSAGES=${MESSAGES}\n`);
    this.#state = new Uint32Array(seedOctets(16).buffer);
    for (let i = 0; i < 16; i += 1) this.#next();
  }

  below(limit: number): number {
    return this.#next() % limit;
  }

  one<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('the list is empty');
    return list[this.below(list.length)] as T;
  }

  /** Returns true with the probability 1 / `parts`. */
  in(parts: number): boolean {
    return this.below(parts) === 0;
  }

  octets(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  #next(): number {
    const [a = 0, b = 0, c = 0, count = 0] = this.#state;
    const out = (a + b + count) >>> 0;
    this.#state.set([b ^ (b >>> 9), c + (c << 3), ((c << 21) | (c >>> 11)) + out, count + 1]);
    return out;
  }
}
