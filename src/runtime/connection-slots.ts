import { FairTable } from '../protocol/fairness/fair-table.js';
import { addressPath } from '../protocol/fairness/party.js';
import { Usage } from '../protocol/fairness/usage.js';

/** Connections that have not said who they are yet. Each costs a socket, and with TLS a handshake. */
export const MAX_NEW_CONNECTIONS = 512;

/**
 * Connections of one network of strangers that count lately, each half as much after HALF_LIFE: about seven a second go on
 * for ever.
 */
export const MAX_RECENT = 100;

/** Addresses of accepted peers that are remembered. */
const MAX_PROVEN = 1_000;

/** What is known of an address: nothing, that a peer was accepted from there, that a peer is configured with it. */
const RANK = { STRANGER: 0, PROVEN: 1, LISTED: 2 } as const;

interface Slot {
  readonly drop: () => void;
}

/**
 * The places of connections before anybody knows whose they are: addresses of configured peers first, then those from which a
 * peer came before; among equals networks and addresses have equal shares, and the oldest connection of the fullest has to go
 * when a new one comes. Strangers' networks have a limited rate, too.
 */
export class ConnectionSlots {
  readonly #isListed: (address: string) => boolean;
  readonly #slots = new FairTable<Slot>(MAX_NEW_CONNECTIONS);
  readonly #recent = new Usage();
  readonly #proven = new Set<string>();

  constructor(isListed: (address: string) => boolean) {
    this.#isListed = isListed;
  }

  get size(): number {
    return this.#slots.size;
  }

  /**
   * A connection from an address; `drop` is called when another one needs its place. What comes back gives the place back;
   * undefined: it has none, and is to be closed. `now` in milliseconds, monotonic.
   */
  enter(address: string, drop: () => void, now: number): (() => void) | undefined {
    const path = addressPath(address);
    const rank = this.#isListed(address) ? RANK.LISTED : this.#proven.has(path[1]) ? RANK.PROVEN : RANK.STRANGER;
    if (rank === RANK.STRANGER) {
      const network = path.slice(0, 1);
      if (this.#recent.of(network, now) >= MAX_RECENT) return undefined;
      this.#recent.add(network, 1, now);
    }
    const slot: Slot = { drop };
    const pushedOut = this.#slots.add(slot, { rank, path });
    if (pushedOut === slot) return undefined;
    pushedOut?.drop();
    return () => this.#slots.remove(slot);
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
