import { FairTable } from './fair-table.js';
import { addressPath } from './party-path.js';
import { Usage } from './usage.js';

/** Connections whose peer is not identified yet. Each costs a socket and, with TLS, a handshake. */
export const MAX_NEW_CONNECTIONS = 512;

/**
 * Limit of recent connections from the network of an unknown address. The weight of a connection halves every
 * HALF_LIFE. Seven connections per second stay below the limit.
 */
export const MAX_RECENT = 100;

/** Number of addresses of accepted peers that are remembered. */
const MAX_PROVEN = 1_000;

/**
 * Classes of addresses. STRANGER: unknown. PROVEN: a peer was accepted from this address. LISTED: a configured peer has
 * it.
 */
const RANK = { STRANGER: 0, PROVEN: 1, LISTED: 2 } as const;

/**
 * Limits the connections whose peer is not identified yet. Addresses of configured peers have priority, then addresses
 * from which a peer was accepted before. Within a class, networks and addresses get equal shares: a new connection
 * replaces the oldest connection of the network that has the most. Networks of unknown addresses also have a rate
 * limit.
 */
export class ConnectionSlots<T> {
  readonly #isListed: (address: string) => boolean;
  readonly #slots = new FairTable<T>(MAX_NEW_CONNECTIONS);
  readonly #recent = new Usage();
  readonly #proven = new Set<string>();

  /** `isListed`: whether a configured peer has this address. */
  constructor(isListed: (address: string) => boolean) {
    this.#isListed = isListed;
  }

  get size(): number {
    return this.#slots.size;
  }

  /**
   * Adds a connection from an address. Returns the connection that must be closed: none, an older one, or `connection`
   * itself. `now` in milliseconds, monotonic.
   */
  enter(connection: T, address: string, now: number): T | undefined {
    const path = addressPath(address);
    const rank = this.#isListed(address) ? RANK.LISTED : this.#proven.has(path[1]) ? RANK.PROVEN : RANK.STRANGER;
    if (rank === RANK.STRANGER) {
      const network = path.slice(0, 1);
      if (this.#recent.of(network, now) >= MAX_RECENT) return connection;
      this.#recent.add(network, 1, now);
    }
    return this.#slots.add(connection, { rank, path });
  }

  leave(connection: T): void {
    this.#slots.remove(connection);
  }

  /** Records that a peer was accepted from this address. */
  accepted(address: string): void {
    const [, own] = addressPath(address);
    this.#proven.delete(own);
    if (this.#proven.size >= MAX_PROVEN) {
      const [oldest] = this.#proven;
      if (oldest !== undefined) this.#proven.delete(oldest);
    }
    this.#proven.add(own);
  }
}
