import type { PeerCapabilities } from '../protocol/diameter/peer/capabilities.js';
import type { Logger } from '../runtime/log/log.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { StoreCalls } from './measured-store.js';

/** PAAs whose Origin-State-Id is kept; when there are more, all are dropped and read from the store again. */
const MAX_ORIGINS = 10_000;

export interface OriginStateParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly store: StoreCalls;
  /** How long the leases of ended sessions stay, milliseconds. */
  readonly leasesFor: number;
  /** Capabilities of a connected peer. */
  readonly capabilitiesOf: (host: string) => PeerCapabilities | undefined;
  /** Wipes the keys of this host's sessions, which are over. */
  readonly forgetKeysOf: (host: string) => void;
}

/** RFC 6733 8.16: a PAA with a greater Origin-State-Id than before has restarted and lost its earlier sessions. */
export class OriginStates {
  readonly #parts: OriginStateParts;
  readonly #known = new Map<string, number>();

  constructor(parts: OriginStateParts) {
    this.#parts = parts;
  }

  /** A peer has connected. */
  connected({ host, originStateId }: PeerCapabilities): Promise<void> {
    return this.#take(host, originStateId);
  }

  /**
   * A request of this origin has come, directly or through an agent. While the origin is connected itself, only the value of its
   * capabilities exchange counts: it cannot have restarted since.
   */
  async told(origin: string, state: number | undefined, peer: string): Promise<void> {
    const own = this.#parts.capabilitiesOf(origin);
    const isOwn = origin.toLowerCase() === peer.toLowerCase();
    if (own && (own.originStateId !== undefined || !isOwn)) return;
    await this.#take(origin, state);
  }

  async #take(origin: string, state: number | undefined): Promise<void> {
    const host = origin.toLowerCase();
    if (state === undefined || state === 0 || state <= (this.#known.get(host) ?? 0)) return;
    if (this.#known.size >= MAX_ORIGINS) this.#known.clear();
    this.#known.set(host, state);
    const { store, log, metrics, leasesFor, forgetKeysOf } = this.#parts;
    forgetKeysOf(host);
    try {
      const sessions = await store.run('endSessionsOf', { origin, before: state, leasesFor });
      if (sessions === 0) return;
      metrics.count('sessions_lost', {}, sessions);
      log.warn({ nas: origin, sessions }, 'a PAA has restarted: its sessions are over');
    } catch (error) {
      this.#known.delete(host);
      log.error({ nas: origin, reason: (error as Error).message }, 'store failed');
    }
  }
}
