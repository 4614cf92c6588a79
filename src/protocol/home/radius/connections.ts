import { BoundedMap } from '../../bytes/bounded-map.js';
import type { RadiusClients } from './clients.js';

/** Maximum number of sessions whose connection is remembered. */
const MAX_SESSIONS = 10_000;

/** The open RadSec connections, and which of them sessions use. */
export class RadiusConnections {
  /** The dNSNames of the clients' certificates by connection, the oldest first. */
  readonly #open = new Map<string, readonly string[]>();
  readonly #used = new BoundedMap<string, string>(MAX_SESSIONS);

  opened(local: string, names: readonly string[]): void {
    this.#open.set(local, names);
  }

  closed(local: string): void {
    this.#open.delete(local);
  }

  /** A packet about this session came over this connection. */
  uses(sessionId: string, local: string): void {
    if (this.#open.has(local)) this.#used.set(sessionId, local);
  }

  /**
   * The connection for requests about a session: the one that the session used last, or else the newest of the client. A
   * connection of another client is never taken, even if the certificates have changed their owners.
   */
  find(sessionId: string, client: string, clients: RadiusClients): string | undefined {
    const isOfClient = (local: string) => clients.certified(this.#open.get(local) ?? [])?.name === client;
    const used = this.#used.get(sessionId);
    if (used !== undefined && isOfClient(used)) return used;
    return [...this.#open.keys()].reverse().find(isOfClient);
  }
}
