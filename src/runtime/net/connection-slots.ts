import { FairTable } from '../../protocol/fairness/fair-table.js';
import { addressPath } from '../../protocol/fairness/party.js';
import { Usage } from '../../protocol/fairness/usage.js';

/** Connections without a CER yet. Each costs a socket, and with TLS a handshake. */
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

interface Slot {
  readonly drop: () => void;
}

/**
 * Places of connections before their CER. Addresses of configured peers go first, then addresses from which a peer came before.
 * Within a class networks and addresses get equal shares: a new connection replaces the oldest one of the fullest network.
 * Networks of strangers have a limited rate, too.
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
