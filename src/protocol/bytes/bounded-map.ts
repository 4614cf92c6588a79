import { OrderedMap } from './ordered-map.js';

/** A map with at most `limit` entries, ordered by the time they were last set. A new entry evicts the oldest one. */
export class BoundedMap<K, V> {
  readonly #limit: number;
  readonly #entries = new OrderedMap<K, V>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  get(key: K): V | undefined {
    return this.#entries.get(key);
  }

  /** Adds an entry as the newest one, in place of an earlier one with the same key. Returns the entry that it evicts. */
  set(key: K, value: V): readonly [K, V] | undefined {
    this.#entries.delete(key);
    const evicted = this.#entries.size >= this.#limit ? this.#entries.first : undefined;
    if (evicted) this.#entries.delete(evicted[0]);
    this.#entries.set(key, value);
    return evicted;
  }

  delete(key: K): boolean {
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Iterates from the oldest entry to the newest. The caller may delete the entry that was returned last. */
  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.#entries[Symbol.iterator]();
  }
}
