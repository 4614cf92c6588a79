import type { AccessRequest } from './alphabet.js';

/** NASs whose state is kept; when there are more, all are dropped and the store is asked again. */
export const MAX_ORIGINS = 10_000;

/** RFC 6733 8.16: a NAS with a greater Origin-State-Id than before has restarted and lost its earlier sessions. */
export class OriginStates {
  readonly #known = new Map<string, number>();

  /** A NAS has connected. Undefined: nothing is new; otherwise the sessions from before this state are over. */
  connected(origin: string, state: number | undefined): number | undefined {
    return this.#take(origin, state);
  }

  /**
   * A request of this origin has come, directly or through an agent. While the origin is connected itself, only the value of its
   * capabilities exchange counts: it cannot have restarted since.
   */
  told({ origin, peer, originState, connected }: AccessRequest): number | undefined {
    const isOwn = origin.toLowerCase() === peer.toLowerCase();
    if (connected && (connected.originState !== undefined || !isOwn)) return undefined;
    return this.#take(origin, originState);
  }

  /** The sessions could not be ended: it is tried again. */
  failed(origin: string): void {
    this.#known.delete(origin.toLowerCase());
  }

  #take(origin: string, state: number | undefined): number | undefined {
    const host = origin.toLowerCase();
    if (state === undefined || state === 0 || state <= (this.#known.get(host) ?? 0)) return undefined;
    if (this.#known.size >= MAX_ORIGINS) this.#known.clear();
    this.#known.set(host, state);
    return state;
  }
}
