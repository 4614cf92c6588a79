interface Place<K, V> {
  readonly key: K;
  value: V;
  before: Place<K, V> | undefined;
  after: Place<K, V> | undefined;
}

/**
 * A map in the order in which its keys were added. A Map keeps the same order, but finding its first entry becomes slow
 * after many first entries were deleted.
 */
export class OrderedMap<K, V> {
  readonly #places = new Map<K, Place<K, V>>();
  #first: Place<K, V> | undefined;
  #last: Place<K, V> | undefined;

  get size(): number {
    return this.#places.size;
  }

  /** The oldest entry. */
  get first(): readonly [K, V] | undefined {
    return this.#first && [this.#first.key, this.#first.value];
  }

  /** The newest entry. */
  get last(): readonly [K, V] | undefined {
    return this.#last && [this.#last.key, this.#last.value];
  }

  has(key: K): boolean {
    return this.#places.has(key);
  }

  get(key: K): V | undefined {
    return this.#places.get(key)?.value;
  }

  /** Adds an entry as the newest one. An entry with the same key gets the value and keeps its place. */
  set(key: K, value: V): void {
    const known = this.#places.get(key);
    if (known) {
      known.value = value;
      return;
    }
    const place: Place<K, V> = { key, value, before: this.#last, after: undefined };
    if (this.#last) this.#last.after = place;
    else this.#first = place;
    this.#last = place;
    this.#places.set(key, place);
  }

  delete(key: K): boolean {
    const place = this.#places.get(key);
    if (!place) return false;
    this.#places.delete(key);
    if (place.before) place.before.after = place.after;
    else this.#first = place.after;
    if (place.after) place.after.before = place.before;
    else this.#last = place.before;
    return true;
  }

  clear(): void {
    this.#places.clear();
    this.#first = undefined;
    this.#last = undefined;
  }

  /** Iterates from the oldest entry to the newest. The caller may delete the entry that was returned last. */
  *[Symbol.iterator](): IterableIterator<[K, V]> {
    for (let place = this.#first; place; place = place.after) yield [place.key, place.value];
  }
}
