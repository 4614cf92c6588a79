/**
 * Earliest deadline of many owners, in O(log n) a change: a binary heap in which a deadline that no longer holds stays
 * until it comes to the top.
 */
export class DeadlineQueue<K> {
  readonly #heap: { readonly at: number; readonly key: K }[] = [];
  readonly #current = new Map<K, number>();

  /** The owner's deadline is `at` now; undefined: it has none. */
  set(key: K, at: number | undefined): void {
    if (at === undefined) {
      this.#current.delete(key);
    } else if (this.#current.get(key) !== at) {
      this.#current.set(key, at);
      this.#push({ at, key });
    }
    // Deadlines that were replaced must not outnumber the live ones for long.
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#current.size) this.#rebuild();
  }

  /** No owner has a deadline any more. */
  clear(): void {
    this.#heap.length = 0;
    this.#current.clear();
  }

  /** Deadlines in the heap, with those that no longer hold: a small multiple of the live ones. */
  get kept(): number {
    return this.#heap.length;
  }

  /** The earliest deadline of all. */
  get first(): number | undefined {
    this.#settle();
    return this.#heap[0]?.at;
  }

  /** An owner whose deadline has come; its deadline is taken away. */
  due(now: number): K | undefined {
    this.#settle();
    const top = this.#heap[0];
    if (top === undefined || top.at > now) return undefined;
    this.#pop();
    this.#current.delete(top.key);
    return top.key;
  }

  #settle(): void {
    for (let top = this.#heap[0]; top && this.#current.get(top.key) !== top.at; top = this.#heap[0]) this.#pop();
  }

  #rebuild(): void {
    this.#heap.length = 0;
    for (const [key, at] of this.#current) this.#push({ at, key });
  }

  #push(item: { readonly at: number; readonly key: K }): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(item);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || parent.at <= item.at) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      const left = heap[2 * i + 1];
      const right = heap[2 * i + 2];
      if (left === undefined) break;
      const [child, down] = right !== undefined && right.at < left.at ? [right, 2 * i + 2] : [left, 2 * i + 1];
      if (child.at >= last.at) break;
      heap[i] = child;
      i = down;
    }
    heap[i] = last;
  }
}

/** The earliest of those that are times; undefined: none of them is. */
export function earliest(times: readonly (number | undefined)[]): number | undefined {
  let first: number | undefined;
  for (const time of times) if (time !== undefined && (first === undefined || time < first)) first = time;
  return first;
}
