import { BoundedMap } from '../bytes/bounded-map.js';
import type { AccessRequest } from './alphabet.js';

/** Maximum number of NASs. If a NAS that was dropped connects again, its older sessions are ended again. */
export const MAX_ORIGINS = 10_000;

/** RFC 6733 8.16: a NAS with a greater Origin-State-Id than before has restarted and lost its earlier sessions. */
export class OriginStates {
  readonly #known = new BoundedMap<string, number>(MAX_ORIGINS);

  /**
   * Handles the connection of a NAS. Returns the new state if older sessions must be ended; undefined: nothing has
   * changed.
   */
  connected(origin: string, state: number | undefined): number | undefined {
    return this.#take(origin, state);
  }

  /**
   * Handles a request of this origin, received directly or through an agent. Returns the same as `connected`. While the
   * origin itself is connected, only the value from its capabilities exchange is used, because it cannot have restarted
   * since.
   */
  requested({ origin, peer, originState, connected }: AccessRequest): number | undefined {
    const isOwn = origin.toLowerCase() === peer.toLowerCase();
    if (connected && (connected.originState !== undefined || !isOwn)) return undefined;
    return this.#take(origin, originState);
  }

  /** Forgets an origin whose sessions could not be ended, so that its next request tries again. */
  failed(origin: string): void {
    this.#known.delete(origin.toLowerCase());
  }

  #take(origin: string, state: number | undefined): number | undefined {
    const host = origin.toLowerCase();
    if (state === undefined || state === 0 || state <= (this.#known.get(host) ?? 0)) return undefined;
    this.#known.set(host, state);
    return state;
  }
}
