import { ConnectionSlots } from '../../fairness/connection-slots.js';
import type { ConnectionId } from '../peer/alphabet.js';
import type { Ends } from './alphabet.js';

/** How long a connection may be silent before its CER, in milliseconds; with TLS also its handshake. */
export const CER_TIMEOUT = 5_000;

interface NewConnection {
  readonly address: string;
  /** Undefined: its TLS handshake goes on, which the transport limits. */
  readonly ends: Ends | undefined;
}

/** Connections that came in and belong to no peer yet: their places, and the time until their CER (RFC 6733 5.6). */
export class NewConnections {
  readonly #connections = new Map<ConnectionId, NewConnection>();
  readonly #slots: ConnectionSlots<ConnectionId>;
  /** When each accepted connection has been silent for too long; the first one first. */
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

  /** Takes a connection in. Returns the one that has to be closed for it: none, another one, or itself. */
  knocked(connection: ConnectionId, address: string, now: number): ConnectionId | undefined {
    this.#connections.set(connection, { address, ends: undefined });
    return this.#slots.enter(connection, address, now);
  }

  /** It can carry messages. False: it is not here any more. */
  accepted(connection: ConnectionId, ends: Ends, now: number): boolean {
    const known = this.#connections.get(connection);
    if (!known) return false;
    this.#connections.set(connection, { address: known.address, ends });
    this.#silent.set(connection, now + CER_TIMEOUT);
    return true;
  }

  endsOf(connection: ConnectionId): Ends | undefined {
    return this.#connections.get(connection)?.ends;
  }

  has(connection: ConnectionId): boolean {
    return this.#connections.has(connection);
  }

  /** It is closed, or turned away. */
  leave(connection: ConnectionId): void {
    this.#connections.delete(connection);
    this.#silent.delete(connection);
    this.#slots.leave(connection);
  }

  /** It is a peer's: later connections from its address go before those of strangers. */
  proven(connection: ConnectionId): void {
    const known = this.#connections.get(connection);
    if (known) this.#slots.accepted(known.address);
    this.leave(connection);
  }

  /** The connections that were silent for too long. */
  due(now: number): ConnectionId[] {
    const due: ConnectionId[] = [];
    for (const [connection, at] of this.#silent) {
      if (at > now) break;
      due.push(connection);
    }
    return due;
  }
}
