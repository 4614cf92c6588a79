import { FairTable } from './fair-table.js';
import { addressPath } from './party.js';
import { Usage } from './usage.js';

/** Connections of clients that are not known yet. Each costs a socket, and with TLS a handshake. */
export const MAX_NEW_CONNECTIONS = 512;

/**
 * Limit of the recent connections of a strangers' network, where each counts half after HALF_LIFE. A steady seven a second stay
 * below it.
 */
export const MAX_RECENT = 100;

/** Addresses of accepted peers that are kept. */
const MAX_PROVEN = 1_000;

/** Classes of addresses: unknown, a peer was accepted from there, a configured peer has it. */
const RANK = { STRANGER: 0, PROVEN: 1, LISTED: 2 } as const;

/**
 * Places of connections before it is known whose they are. Addresses of configured peers go first, then addresses from which a
 * peer was accepted before. Within a class networks and addresses get equal shares: a new connection replaces the oldest one of
 * the fullest network. Networks of strangers have a limited rate, too.
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
   * Takes in a connection from an address. Returns the connection that has to be closed for it: none, another one, or itself.
   * `now` in milliseconds, monotonic.
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

  /** A peer was accepted from this address. */
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
