import type { PeerCapabilities } from '../protocol/diameter/capabilities.js';
import type { Logger } from '../runtime/log.js';
import type { Metrics } from '../runtime/metrics.js';
import type { StoreCalls } from './measured-store.js';

/** PAAs whose Origin-State-Id is remembered; more are asked after in the store again. */
const MAX_ORIGINS = 10_000;

export interface OriginStateParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly store: StoreCalls;
  /** How long the leases of ended sessions stay, milliseconds. */
  readonly leasesFor: number;
  /** What a peer that is connected said in its capabilities exchange. */
  readonly capabilitiesOf: (host: string) => PeerCapabilities | undefined;
  /** Its sessions are over: what is kept of their keys is of no use. */
  readonly forgetKeysOf: (host: string) => void;
}

/** RFC 6733 8.16: a PAA whose Origin-State-Id has grown has forgotten the sessions that it had before. */
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
   * A request of this origin has come, from itself or through an agent. While the origin is connected itself, what it said
   * then counts alone: it cannot have restarted.
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
