/** Limit of the flows in a generation, and of the octets that all flows hold. */
const MAX_FLOWS = 16_384;
const MAX_HELD = 64 * 1024 * 1024;

interface Flow {
  /** Octets that the flow holds. */
  readonly held: number;
}

interface Entry<F> {
  readonly flow: F;
  counted: number;
}

/**
 * The state of the flows of a capture, in two generations: if the younger one is full, it becomes the older one, and the
 * flows of that, which were not used since, are given up. This takes the same time for each flow, however many there are.
 */
export class Flows<F extends Flow> {
  #young = new Map<string, Entry<F>>();
  #old = new Map<string, Entry<F>>();
  #held = 0;
  readonly #limit: number;

  /** `limit`: flows in a generation. */
  constructor(limit = MAX_FLOWS) {
    this.#limit = limit;
  }

  find(key: string): F | undefined {
    return (this.#young.get(key) ?? this.#old.get(key))?.flow;
  }

  /** Returns the flow of a key. */
  get(key: string, make: () => F): F {
    let entry = this.#young.get(key);
    if (!entry) {
      entry = this.#old.get(key) ?? { flow: make(), counted: 0 };
      this.#old.delete(key);
      this.#young.set(key, entry);
    }
    return entry.flow;
  }

  /** Counts what a flow holds now. Returns the flows that are given up. */
  settle(key: string): F[] {
    const entry = this.#young.get(key) ?? this.#old.get(key);
    if (entry) {
      this.#held += entry.flow.held - entry.counted;
      entry.counted = entry.flow.held;
    }
    const out: F[] = [];
    while (this.#young.size > this.#limit || (this.#held > MAX_HELD && this.#young.size + this.#old.size > 0)) {
      for (const { flow, counted } of this.#old.values()) {
        this.#held -= counted;
        out.push(flow);
      }
      this.#old = this.#young;
      this.#young = new Map();
    }
    return out;
  }

  /** Removes and returns all flows. */
  *end(): Generator<F> {
    for (const { flow } of this.#old.values()) yield flow;
    for (const { flow } of this.#young.values()) yield flow;
    this.#old.clear();
    this.#young.clear();
    this.#held = 0;
  }
}
