import type { TlsPeerCredentials } from '../runtime/eap/tls-peer.js';

/** A mobile node that has one session after another. */
export interface Slot {
  readonly number: number;
  credentials: TlsPeerCredentials | undefined;
  /** How often it has begun or moved, which selects its address. */
  places: number;
}

/** The nodes without a session. They are made when they are needed, up to a maximum. */
export class Slots {
  readonly #most: number;
  readonly #free: Slot[] = [];
  readonly #waiting = new Set<(slot: Slot | undefined) => void>();
  #made = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * The node that has been without a session for longest; undefined: all have one. `newFirst`: as long as there may be
   * more nodes, a new one.
   */
  take(newFirst = false): Slot | undefined {
    const mayMake = this.#made < this.#most;
    const slot = newFirst && mayMake ? undefined : this.#free.shift();
    if (slot || !mayMake) return slot;
    this.#made += 1;
    return { number: this.#made - 1, credentials: undefined, places: 0 };
  }

  /** Resolves with a node; undefined: none was free in time (milliseconds), or `giveUp` was called. */
  async wait(limit: number, newFirst = false): Promise<Slot | undefined> {
    const slot = this.take(newFirst);
    if (slot) return slot;
    return new Promise((resolve) => {
      const timer = Number.isFinite(limit) ? setTimeout(() => taken(undefined), limit) : undefined;
      const taken = (given: Slot | undefined) => {
        clearTimeout(timer);
        this.#waiting.delete(taken);
        resolve(given);
      };
      this.#waiting.add(taken);
    });
  }

  release(slot: Slot): void {
    const [waiting] = this.#waiting;
    if (waiting) waiting(slot);
    else this.#free.push(slot);
  }

  /** Ends all waits. */
  giveUp(): void {
    for (const waiting of [...this.#waiting]) waiting(undefined);
  }
}
