import { OrderedSet } from './ordered-set.js';
import type { PartyPath } from './party-path.js';

/**
 * Place of an item. Items of a lower rank are evicted before items of a higher rank. `path` names the owner of the
 * item. All paths in one table have the same length.
 */
export interface Seat {
  /** 0 is the lowest. */
  readonly rank: number;
  readonly path: PartyPath;
}

/** Each rank reserves 1/RESERVE of the table, which higher ranks cannot take. */
const RESERVE = 8;

/** A party and the parties it contains. */
class Party<T> {
  readonly key: string;
  readonly parent: Party<T> | undefined;
  /** Undefined at the end of a path, where the party holds the items itself. */
  readonly within: Map<string, Party<T>> | undefined;
  /**
   * The contained parties by their number of items. Parties with the same number are in the order in which they reached
   * it.
   */
  readonly #sizes: Map<number, OrderedSet<Party<T>>> | undefined;
  #fullest = 0;
  /** From the oldest item to the newest. */
  readonly items: OrderedSet<T> | undefined;
  size = 0;

  constructor(key: string, parent: Party<T> | undefined, isNarrowest: boolean) {
    this.key = key;
    this.parent = parent;
    if (isNarrowest) {
      this.items = new OrderedSet();
    } else {
      this.within = new Map();
      this.#sizes = new Map();
    }
  }

  get fullest(): Party<T> | undefined {
    return this.#sizes?.get(this.#fullest)?.first;
  }

  /** Moves a contained party from one size to the next larger or smaller one. */
  resized(party: Party<T>, from: number, to: number): void {
    const sizes = this.#sizes;
    if (!sizes) return;
    const before = sizes.get(from);
    before?.delete(party);
    if (before?.size === 0) sizes.delete(from);
    if (to > 0) {
      const now = sizes.get(to) ?? new OrderedSet();
      now.add(party);
      sizes.set(to, now);
    }
    if (to > this.#fullest) this.#fullest = to;
    else if (from === this.#fullest && !sizes.has(from)) this.#fullest = to;
  }
}

/**
 * A bounded table that is shared fairly (max-min). When it is full, a new item evicts an old one. The evicted item has
 * the lowest rank that holds more than its reserve. Within that rank it belongs to the peer with the most items, in
 * that peer's network with the most items, and in that network's address with the most items; it is the oldest item of
 * this address. Within a rank, a party therefore never loses an item to a party that holds more. Adding and removing
 * take constant time.
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

  /** The highest rank seen so far, plus one. */
  get ranks(): number {
    return this.#roots.length;
  }

  /** Number of items of a rank. */
  sizeOf(rank: number): number {
    return this.#roots[rank]?.size ?? 0;
  }

  /** Adds an item. Returns the evicted item: none, an older one, or `item` itself if all others have a higher rank. */
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

  /** Moves an item to another rank. It becomes the newest item of its party there. */
  promote(item: T, seat: Seat): void {
    if (!this.#seats.has(item)) return;
    this.remove(item);
    this.#seat(item, seat);
  }

  /**
   * The oldest item of the party with the lowest score: the peer with the lowest score, then the network within it,
   * then the address. Of parties with equal scores the earliest one is selected; with `newestFirst` the latest one, and
   * its newest item. `score` receives the path of a party.
   */
  lowest(rank: number, score: (path: PartyPath) => number, newestFirst = false): T | undefined {
    let party = this.#roots[rank];
    const path: string[] = [];
    while (party?.within) {
      const { within }: Party<T> = party;
      let best: Party<T> | undefined;
      let least = Number.POSITIVE_INFINITY;
      for (const each of within.values()) {
        const own = within.size === 1 ? 0 : score([...path, each.key]);
        if (own < least || !best || (newestFirst && own === least)) {
          best = each;
          least = own;
        }
      }
      party = best;
      if (best) path.push(best.key);
    }
    return newestFirst ? party?.items?.last : party?.items?.first;
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
