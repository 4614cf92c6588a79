import { BoundedMap } from '../../bytes/bounded-map.js';
import { EPOCH } from './stateless-start.js';

/** Maximum number of ended sessions that are remembered. */
const MAX_ENDED = 65_536;

/** Identifiers of ended sessions. Their PAN[S] remains valid for two epochs and must not start them again. */
export class EndedSessions {
  /** By identifier: the time until which it is remembered. */
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
