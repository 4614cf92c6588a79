import { Line } from './line.js';
import type { PartyPath } from './party.js';

/**
 * Place of an item. Items of a lower rank are pushed out before those of a higher one; `path` names the party that owns the item.
 * All paths in one table have the same length.
 */
export interface Seat {
  /** 0 is the lowest. */
  readonly rank: number;
  readonly path: PartyPath;
}

/** A rank's own share of a table is one part in so many: higher ranks together cannot take it. */
const RESERVE = 8;

/** A party, with the parties within it. */
class Party<T> {
  readonly key: string;
  readonly parent: Party<T> | undefined;
  /** Undefined: the narrowest of its path, which has items itself. */
  readonly within: Map<string, Party<T>> | undefined;
  /** The parties within by how many items they have; among equals, the one that came to that number first. */
  readonly #sizes: Map<number, Line<Party<T>>> | undefined;
  #fullest = 0;
  /** The oldest first. */
  readonly items: Line<T> | undefined;
  size = 0;

  constructor(key: string, parent: Party<T> | undefined, isNarrowest: boolean) {
    this.key = key;
    this.parent = parent;
    if (isNarrowest) {
      this.items = new Line();
    } else {
      this.within = new Map();
      this.#sizes = new Map();
    }
  }

  get fullest(): Party<T> | undefined {
    return this.#sizes?.get(this.#fullest)?.first;
  }

  /** A party within goes from one size to the next one, up or down. */
  resized(party: Party<T>, from: number, to: number): void {
    const sizes = this.#sizes;
    if (!sizes) return;
    const before = sizes.get(from);
    before?.delete(party);
    if (before?.size === 0) sizes.delete(from);
    if (to > 0) {
      const now = sizes.get(to) ?? new Line();
      now.add(party);
      sizes.set(to, now);
    }
    if (to > this.#fullest) this.#fullest = to;
    else if (from === this.#fullest && !sizes.has(from)) this.#fullest = to;
  }
}

/**
 * A bounded table that is shared fairly (max-min): when it is full, a new item pushes out the oldest item of the fullest
 * address, in the fullest network, of the fullest peer, among the items of the lowest rank that has more than its reserve.
 * A party that holds less than the fullest one loses nothing to it. Adding and removing take constant time, whatever the number
 * of items or parties.
 */
export class FairTable<T> {
  readonly #limit: number;
  readonly #reserve: number;
  readonly #seats = new Map<T, { readonly rank: number; readonly leaf: Party<T> }>();
  /** By rank. */
  readonly #roots: Party<T>[] = [];

  constructor(limit: number) {
    this.#limit = limit;
    this.#reserve = Math.floor(limit / RESERVE);
  }

  get size(): number {
    return this.#seats.size;
  }

  has(item: T): boolean {
    return this.#seats.has(item);
  }

  /** One more than the highest rank that was seen. */
  get ranks(): number {
    return this.#roots.length;
  }

  /** How many items of this rank there are. */
  sizeOf(rank: number): number {
    return this.#roots[rank]?.size ?? 0;
  }

  /** Takes an item in. Returns what has to leave for it: nothing, another item, or itself where all others rank higher. */
  add(item: T, seat: Seat): T | undefined {
    this.remove(item);
    this.#seat(item, seat);
    if (this.#seats.size <= this.#limit) return undefined;
    const victim = this.#victim();
    if (victim !== undefined) this.remove(victim);
    return victim;
  }

  remove(item: T): void {
    const seat = this.#seats.get(item);
    if (!seat) return;
    this.#seats.delete(item);
    seat.leaf.items?.delete(item);
    this.#count(seat.leaf, -1);
  }

  /** Gives an item another rank, as the newest of its party there. */
  promote(item: T, seat: Seat): void {
    if (!this.#seats.has(item)) return;
    this.remove(item);
    this.#seat(item, seat);
  }

  /**
   * The oldest item of the party with the lowest score, of the peer with the lowest, and so on down; among equals the one
   * that came first. `score` is given the path of a party.
   */
  lowest(rank: number, score: (path: PartyPath) => number): T | undefined {
    let party = this.#roots[rank];
    const path: string[] = [];
    while (party?.within) {
      const { within }: Party<T> = party;
      let best: Party<T> | undefined;
      let least = Number.POSITIVE_INFINITY;
      for (const each of within.values()) {
        const own = within.size === 1 ? 0 : score([...path, each.key]);
        if (own < least || !best) {
          best = each;
          least = own;
        }
      }
      party = best;
      if (best) path.push(best.key);
    }
    return party?.items?.first;
  }

  #victim(): T | undefined {
    let party = this.#roots.find(({ size }) => size > this.#reserve) ?? this.#roots.find(({ size }) => size > 0);
    while (party?.within) party = party.fullest;
    return party?.items?.first;
  }

  #seat(item: T, { rank, path }: Seat): void {
    while (this.#roots.length <= rank) this.#roots.push(new Party<T>('', undefined, path.length === 0));
    let party = this.#roots[rank] as Party<T>;
    for (const [depth, key] of path.entries()) {
      const within: Party<T> = party.within?.get(key) ?? new Party<T>(key, party, depth === path.length - 1);
      party.within?.set(key, within);
      party = within;
    }
    party.items?.add(item);
    this.#seats.set(item, { rank, leaf: party });
    this.#count(party, 1);
  }

  #count(leaf: Party<T>, by: 1 | -1): void {
    for (let party: Party<T> | undefined = leaf; party; party = party.parent) {
      party.size += by;
      party.parent?.resized(party, party.size - by, party.size);
      if (party.size === 0) party.parent?.within?.delete(party.key);
    }
  }
}
