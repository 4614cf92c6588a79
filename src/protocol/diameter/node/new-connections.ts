import { ConnectionSlots } from '../../fairness/connection-slots.js';
import type { ConnectionId } from '../peer/alphabet.js';
import type { Ends } from './alphabet.js';

/** Time limit for the CER of a new connection, including a TLS handshake, in milliseconds. */
export const CER_TIMEOUT = 5_000;

interface NewConnection {
  readonly address: string;
  /** Undefined during the TLS handshake, which has a time limit in the transport. */
  readonly ends: Ends | undefined;
}

/** Incoming connections that belong to no peer yet: their slots, and the time limit for their CER (RFC 6733 5.6). */
export class NewConnections {
  readonly #connections = new Map<ConnectionId, NewConnection>();
  readonly #slots: ConnectionSlots<ConnectionId>;
  /** When each accepted connection times out; the earliest first. */
  readonly #silent = new Map<ConnectionId, number>();

  /** `isListed`: whether a configured peer has this address. */
  constructor(isListed: (address: string) => boolean) {
    this.#slots = new ConnectionSlots(isListed);
  }

  get deadline(): number | undefined {
    for (const at of this.#silent.values()) return at;
    return undefined;
  }

  get all(): ConnectionId[] {
    return [...this.#connections.keys()];
  }

  /** Adds a connection. Returns the connection that must be closed: none, an older one, or this one. */
  add(connection: ConnectionId, address: string, now: number): ConnectionId | undefined {
    this.#connections.set(connection, { address, ends: undefined });
    return this.#slots.enter(connection, address, now);
  }

  /** Starts the time limit for the CER, because the connection can carry messages. Ignores an unknown connection. */
  accepted(connection: ConnectionId, ends: Ends, now: number): void {
    const known = this.#connections.get(connection);
    if (!known) return;
    this.#connections.set(connection, { address: known.address, ends });
    this.#silent.set(connection, now + CER_TIMEOUT);
  }

  endsOf(connection: ConnectionId): Ends | undefined {
    return this.#connections.get(connection)?.ends;
  }

  has(connection: ConnectionId): boolean {
    return this.#connections.has(connection);
  }

  /** Removes a connection that was closed or rejected. */
  leave(connection: ConnectionId): void {
    this.#connections.delete(connection);
    this.#silent.delete(connection);
    this.#slots.leave(connection);
  }

  /**
   * Removes a connection that belongs to a peer. Later connections from its address have priority over those from
   * unknown addresses.
   */
  proven(connection: ConnectionId): void {
    const known = this.#connections.get(connection);
    if (known) this.#slots.accepted(known.address);
    this.leave(connection);
  }

  /** The connections that have timed out. */
  due(now: number): ConnectionId[] {
    const due: ConnectionId[] = [];
    for (const [connection, at] of this.#silent) {
      if (at > now) break;
      due.push(connection);
    }
    return due;
  }
}
