import { type PartyPath, pathKey } from './party.js';

/** Parties that are remembered; the one that used something longest ago is forgotten first. */
const MAX_PARTIES = 50_000;

/** After so many milliseconds half of what a party used is forgotten. */
export const HALF_LIFE = 10_000;

interface Used {
  readonly amount: number;
  readonly at: number;
}

/** What each party has used of something lately: each use counts for the party itself and for all that it is part of. */
export class Usage {
  readonly #used = new Map<string, Used>();

  /** What a party has used until `now` (milliseconds, monotonic), in the unit of `add`. */
  of(path: PartyPath, now: number): number {
    const used = this.#used.get(pathKey(path));
    return used ? used.amount * 2 ** (-(now - used.at) / HALF_LIFE) : 0;
  }

  add(path: PartyPath, amount: number, now: number): void {
    // The widest party last: it is the last to be forgotten.
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
