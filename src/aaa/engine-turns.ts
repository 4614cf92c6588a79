import { FairQueue, type FairQueueStep } from '../protocol/fairness/fair-queue.js';
import type { Seat } from '../protocol/fairness/fair-table.js';
import type { Host } from '../runtime/system/host.js';

/**
 * TLS flights that are worked on at once. The engine runs in the main thread: more at once would not be quicker, and the next
 * flight would wait for all of them.
 */
const PARALLEL = 2;

/** Flights that may wait; fewer than the requests of one peer that are served at once, so that its other requests pass. */
export const MAX_WAITING_FLIGHTS = 1024;

/** How long a flight may wait, in milliseconds: after that the PAA has given up. */
export const MAX_WAIT = 5_000;

type Grant = (() => void) | undefined;

interface Turn {
  readonly resolve: (grant: Grant) => void;
}

/** Orders the flights that wait for the TLS engine. */
export class EngineTurns {
  readonly #queue = new FairQueue<Turn>({ parallel: PARALLEL, waiting: MAX_WAITING_FLIGHTS, patience: MAX_WAIT });

  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  get waiting(): number {
    return this.#queue.waiting;
  }

  /** Resolves at this seat's turn, with the function that ends the turn; with undefined if the queue sheds it. */
  take(seat: Seat): Promise<Grant> {
    return new Promise((resolve) => this.#follow(this.#queue.add({ resolve }, seat, this.#host.monotonic())));
  }

  #follow({ begun, shed }: FairQueueStep<Turn>): void {
    for (const { resolve } of shed) resolve(undefined);
    for (const turn of begun) {
      const began = this.#host.monotonic();
      turn.resolve(() => {
        const now = this.#host.monotonic();
        this.#follow(this.#queue.done(turn, now - began, now));
      });
    }
  }
}
