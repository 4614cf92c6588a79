import type { Host } from '../runtime/system/host.js';
import type { Urgency } from './backend.js';
import { DatabaseError } from './database-error.js';

/** How long a timely call waits for its turn, in milliseconds. */
export const PATIENCE = 10_000;

interface Waiting {
  /** By the monotonic clock, in milliseconds. */
  readonly since: number;
  readonly urgency: Urgency;
  readonly go: () => void;
  readonly refuse: (error: DatabaseError) => void;
}

/**
 * Limits how many calls run at a time; the others wait in the order of their arrival. A timely call that has waited too
 * long is refused when its turn comes, because nobody waits for its answer any more, and answers for later ones come in
 * time.
 */
export class Turns {
  readonly #limit: number;
  readonly #host: Pick<Host, 'monotonic'>;
  /** In the order of their arrival. */
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  constructor(limit: number, host: Pick<Host, 'monotonic'>) {
    this.#limit = limit;
    this.#host = host;
  }

  /** Runs work when its turn has come. Rejects with DatabaseError `ERR_STORE_BUSY` if a timely call waited too long. */
  async run<T>(work: () => Promise<T>, urgency: Urgency = 'patient'): Promise<T> {
    if (this.#running >= this.#limit) {
      const since = this.#host.monotonic();
      // The one before hands its place over.
      await new Promise<void>((go, refuse) => this.#waiting.add({ since, urgency, go, refuse }));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  #next(): void {
    const now = this.#host.monotonic();
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      if (!isTooLate(next.urgency, now - next.since)) {
        next.go();
        return;
      }
      next.refuse(tooLate());
    }
    this.#running -= 1;
  }
}

/** Whether a call that has waited so long, in milliseconds, is refused. */
export function isTooLate(urgency: Urgency, waited: number): boolean {
  return urgency === 'timely' && waited > PATIENCE;
}

export function tooLate(): DatabaseError {
  return new DatabaseError('ERR_STORE_BUSY', `the store is overloaded: a call has waited for ${PATIENCE / 1000} s`);
}
