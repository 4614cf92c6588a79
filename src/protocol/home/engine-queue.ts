import { FairQueue, type FairQueueStep } from '../fairness/fair-queue.js';
import type { Seat } from '../fairness/fair-table.js';
import type { HomeOutput, Token } from './alphabet.js';

/**
 * Maximum number of TLS flights that are processed at the same time. The engine runs in the main thread: more would not
 * be faster, and a new flight would wait for all of them.
 */
const PARALLEL = 2;

/**
 * Maximum number of waiting flights. It is smaller than the number of requests of one peer that are served at the same
 * time, so that the peer's other requests still pass.
 */
const MAX_WAITING_FLIGHTS = 1024;

/** Maximum waiting time of a flight in milliseconds. After this time the NAS has given up. */
export const MAX_WAIT = 5_000;

/** Schedules the flights that wait for the TLS engine. */
export class EngineQueue {
  #queue = newQueue();
  readonly #waiting = new Set<Token>();
  /** Start time of each flight that is being processed. */
  readonly #began = new Map<Token, number>();

  get waiting(): number {
    return this.#queue.waiting;
  }

  add(flight: Token, seat: Seat, now: number): HomeOutput[] {
    const step = this.#queue.add(flight, seat, now);
    this.#waiting.add(flight);
    return this.#follow(step, now);
  }

  /** Records that the engine has processed a flight. */
  done(flight: Token, now: number): HomeOutput[] {
    const began = this.#began.get(flight);
    if (began === undefined) return [];
    this.#began.delete(flight);
    return this.#follow(this.#queue.done(flight, now - began, now), now);
  }

  /** Starts again with an empty queue. Denies all waiting flights their turn. */
  clear(): HomeOutput[] {
    const shed = [...this.#waiting];
    this.#waiting.clear();
    this.#began.clear();
    this.#queue = newQueue();
    return shed.map((token) => ({ type: 'turn', token, granted: false }));
  }

  #follow({ begun, shed }: FairQueueStep<Token>, now: number): HomeOutput[] {
    for (const flight of [...shed, ...begun]) this.#waiting.delete(flight);
    for (const flight of begun) this.#began.set(flight, now);
    return [
      ...shed.map((token) => ({ type: 'turn', token, granted: false }) as const),
      ...begun.map((token) => ({ type: 'turn', token, granted: true }) as const),
    ];
  }
}

function newQueue(): FairQueue<Token> {
  return new FairQueue({ parallel: PARALLEL, waiting: MAX_WAITING_FLIGHTS, patience: MAX_WAIT });
}
