import { FairQueue, type FairQueueStep } from '../fairness/fair-queue.js';
import type { Seat } from '../fairness/fair-table.js';
import type { HomeOutput, Token } from './alphabet.js';

/**
 * TLS flights that are worked on at once. The engine runs in the main thread: more at once would not be quicker, and the next
 * flight would wait for all of them.
 */
const PARALLEL = 2;

/** Flights that may wait; fewer than the requests of one peer that are served at once, so that its other requests pass. */
export const MAX_WAITING_FLIGHTS = 1024;

/** How long a flight may wait, in milliseconds: after that the NAS has given up. */
export const MAX_WAIT = 5_000;

/** Orders the flights that wait for the TLS engine. */
export class Engine {
  readonly #queue = new FairQueue<Token>({ parallel: PARALLEL, waiting: MAX_WAITING_FLIGHTS, patience: MAX_WAIT });
  /** When the engine began with each flight. */
  readonly #began = new Map<Token, number>();

  get waiting(): number {
    return this.#queue.waiting;
  }

  add(flight: Token, seat: Seat, now: number): HomeOutput[] {
    return this.#follow(this.#queue.add(flight, seat, now), now);
  }

  /** The engine is done with a flight. */
  done(flight: Token, now: number): HomeOutput[] {
    const began = this.#began.get(flight);
    if (began === undefined) return [];
    this.#began.delete(flight);
    return this.#follow(this.#queue.done(flight, now - began, now), now);
  }

  #follow({ begun, shed }: FairQueueStep<Token>, now: number): HomeOutput[] {
    for (const flight of begun) this.#began.set(flight, now);
    return [
      ...shed.map((token) => ({ type: 'turn', token, granted: false }) as const),
      ...begun.map((token) => ({ type: 'turn', token, granted: true }) as const),
    ];
  }
}
