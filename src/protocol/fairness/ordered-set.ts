interface Place<T> {
  readonly item: T;
  before: Place<T> | undefined;
  after: Place<T> | undefined;
}

/**
 * A queue of distinct items that also supports removal from the middle. A Set keeps the same order, but finding its
 * first element becomes slow after many first elements were deleted.
 */
export class OrderedSet<T> {
  readonly #places = new Map<T, Place<T>>();
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;

  get size(): number {
    return this.#places.size;
  }

  get first(): T | undefined {
    return this.#first?.item;
  }

  /** Adds an item at the end. An item that is already in the queue keeps its place. */
  add(item: T): void {
    if (this.#places.has(item)) return;
    const place: Place<T> = { item, before: this.#last, after: undefined };
    if (this.#last) this.#last.after = place;
    else this.#first = place;
    this.#last = place;
    this.#places.set(item, place);
  }

  delete(item: T): void {
    const place = this.#places.get(item);
    if (!place) return;
    this.#places.delete(item);
    if (place.before) place.before.after = place.after;
    else this.#first = place.after;
    if (place.after) place.after.before = place.before;
    else this.#last = place.before;
  }
}
