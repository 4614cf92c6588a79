import { BoundedMap } from '../bytes/bounded-map.js';
import type { AccessRequest } from './alphabet.js';

/** Maximum number of NASs. If a NAS that was dropped connects again, its older sessions are ended again. */
export const MAX_ORIGINS = 10_000;

/** A reason to end the sessions of a NAS that are older than its current Origin-State-Id. */
export interface NewState {
  readonly state: number;
  /** Whether the NAS has restarted since its last request. Otherwise, an earlier attempt to end its sessions failed. */
  readonly restarted: boolean;
}

interface Known {
  readonly state: number;
  /** Whether the sessions with earlier states could not be ended. */
  failed: boolean;
}

/** RFC 6733 8.16: a NAS with a greater Origin-State-Id than before has restarted and lost its earlier sessions. */
export class OriginStates {
  readonly #known = new BoundedMap<string, Known>(MAX_ORIGINS);

  /** Handles the connection of a NAS. Returns why its older sessions must be ended; undefined: nothing has changed. */
  connected(origin: string, state: number | undefined): NewState | undefined {
    return this.#take(origin, state);
  }

  /**
   * Handles a request of this origin, received directly or through an agent. Returns the same as `connected`. While the
   * origin itself is connected, only the value from its capabilities exchange is used, because it cannot have restarted
   * since.
   */
  requested({ origin, peer, originState, connected }: AccessRequest): NewState | undefined {
    const isOwn = origin.toLowerCase() === peer.toLowerCase();
    if (connected && (connected.originState !== undefined || !isOwn)) return undefined;
    return this.#take(origin, originState);
  }

  /** Records that the sessions of an origin could not be ended. Its next connection or request causes another attempt. */
  failed(origin: string): void {
    const known = this.#known.get(origin.toLowerCase());
    if (known) known.failed = true;
  }

  #take(origin: string, state: number | undefined): NewState | undefined {
    if (state === undefined || state === 0) return undefined;
    const host = origin.toLowerCase();
    const known = this.#known.get(host);
    if (known && (state < known.state || (state === known.state && !known.failed))) return undefined;
    this.#known.set(host, { state, failed: false });
    return { state, restarted: state !== known?.state };
  }
}
