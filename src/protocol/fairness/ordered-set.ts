import { OrderedMap } from '../bytes/ordered-map.js';

/** A queue of distinct items that also supports removal from the middle. Finding its first item is always fast. */
export class OrderedSet<T> {
  readonly #items = new OrderedMap<T, undefined>();

  get size(): number {
    return this.#items.size;
  }

  get first(): T | undefined {
    return this.#items.first?.[0];
  }

  get last(): T | undefined {
    return this.#items.last?.[0];
  }

  /** Adds an item at the end. An item that is already in the queue keeps its place. */
  add(item: T): void {
    this.#items.set(item, undefined);
  }

  delete(item: T): void {
    this.#items.delete(item);
  }
}
