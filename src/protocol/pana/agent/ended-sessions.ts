import { BoundedMap } from '../../bytes/bounded-map.js';
import { EPOCH } from './stateless-start.js';

/** Ended sessions that are remembered. */
const MAX_ENDED = 65_536;

/** Numbers of sessions that have ended: their PAN[S], which stays valid for two epochs, begins none again. */
export class EndedSessions {
  /** Until when each is remembered. */
  readonly #until = new BoundedMap<number, number>(MAX_ENDED);

  add(sessionId: number, now: number): void {
    this.#until.set(sessionId, now + 2 * EPOCH);
  }

  has(sessionId: number, now: number): boolean {
    for (const [id, until] of this.#until) {
      if (until > now) break;
      this.#until.delete(id);
    }
    return this.#until.has(sessionId);
  }
}
