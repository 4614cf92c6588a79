import type { Host } from '../runtime/system/host.js';
import { DatabaseError } from './database-error.js';

interface Waiting {
  /** By the monotonic clock, in milliseconds. */
  readonly since: number;
  readonly go: () => void;
  readonly refuse: (error: DatabaseError) => void;
}

/**
 * Limits how many calls run at a time; the others wait in the order of their arrival. A call that has waited too long is
 * refused when its turn comes, because nobody waits for its answer any more, and answers for later ones come in time.
 */
export class Turns {
  readonly #limit: number;
  readonly #patience: number;
  readonly #host: Pick<Host, 'monotonic'>;
  /** In the order of their arrival. */
  readonly #waiting = new Set<Waiting>();
  #running = 0;

  /** `patience`: milliseconds. */
  constructor(limit: number, patience: number, host: Pick<Host, 'monotonic'>) {
    this.#limit = limit;
    this.#patience = patience;
    this.#host = host;
  }

  /** Runs work when its turn has come. Rejects with DatabaseError `ERR_STORE_BUSY` if it has waited too long. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) {
      const since = this.#host.monotonic();
      // The one before hands its place over.
      await new Promise<void>((go, refuse) => this.#waiting.add({ since, go, refuse }));
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
    const oldest = this.#host.monotonic() - this.#patience;
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      if (next.since >= oldest) {
        next.go();
        return;
      }
      next.refuse(tooLate(this.#patience));
    }
    this.#running -= 1;
  }
}

function tooLate(patience: number): DatabaseError {
  return new DatabaseError('ERR_STORE_BUSY', `the database is overloaded: a call has waited for ${patience / 1000} s`);
}
