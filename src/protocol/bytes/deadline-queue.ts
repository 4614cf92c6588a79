/**
 * Finds the earliest deadline of many owners in O(log n) per change. It is a binary heap: a replaced deadline stays in
 * the heap until it reaches the top.
 */
export class DeadlineQueue<K> {
  readonly #heap: { readonly at: number; readonly key: K }[] = [];
  readonly #current = new Map<K, number>();

  /** Sets the deadline of an owner. Undefined: the owner has no deadline. */
  set(key: K, at: number | undefined): void {
    if (at === undefined) {
      this.#current.delete(key);
    } else if (this.#current.get(key) !== at) {
      this.#current.set(key, at);
      this.#push({ at, key });
    }
    // Keeps the number of replaced deadlines proportional to the number of current ones.
    if (this.#heap.length > 64 && this.#heap.length > 4 * this.#current.size) this.#rebuild();
  }

  /** Removes all deadlines. */
  clear(): void {
    this.#heap.length = 0;
    this.#current.clear();
  }

  /** Number of deadlines in the heap, including replaced ones: a small multiple of the current ones. */
  get kept(): number {
    return this.#heap.length;
  }

  /** The earliest deadline; undefined if there is none. */
  get first(): number | undefined {
    this.#settle();
    return this.#heap[0]?.at;
  }

  /** Removes one deadline that is not later than `now` and returns its owner; undefined if there is none. */
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

/** The earliest of the given times; undefined if all are undefined. */
export function earliest(times: readonly (number | undefined)[]): number | undefined {
  let first: number | undefined;
  for (const time of times) if (time !== undefined && (first === undefined || time < first)) first = time;
  return first;
}
