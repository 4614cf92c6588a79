import { type PartyPath, pathKey } from './party-path.js';

/** Number of parties that are remembered. The least recently active party is forgotten first. */
const MAX_PARTIES = 50_000;

/** Half-life of recorded use, in milliseconds. */
export const HALF_LIFE = 10_000;

interface Used {
  readonly amount: number;
  readonly at: number;
}

/** Recent use of a resource by each party. A use is added to the party and to all parties that contain it. */
export class Usage {
  readonly #used = new Map<string, Used>();

  /** Decayed use of a party at `now` (milliseconds, monotonic), in the unit of `add`. */
  of(path: PartyPath, now: number): number {
    const used = this.#used.get(pathKey(path));
    return used ? used.amount * 2 ** (-(now - used.at) / HALF_LIFE) : 0;
  }

  add(path: PartyPath, amount: number, now: number): void {
    // The widest party is updated last, so that it is forgotten last.
    for (let length = path.length; length > 0; length -= 1) {
      const party = path.slice(0, length);
      const key = pathKey(party);
      const sum = this.of(party, now) + amount;
      this.#used.delete(key);
      if (this.#used.size >= MAX_PARTIES) {
        for (const oldest of this.#used.keys()) {
          this.#used.delete(oldest);
          break;
        }
      }
      this.#used.set(key, { amount: sum, at: now });
    }
  }
}
