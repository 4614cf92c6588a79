import type { HomeAgentOffer } from '../protocol/mip6/diameter-mobility.js';
import { Access, type AccessConfig, type SessionServer } from '../protocol/nas/access.js';
import type { Grant } from '../protocol/pana/session/paa-session.js';
import type { PacEndpoint } from '../protocol/pana/session/start.js';

/** What the AAA server granted to a client. */
export interface Granted {
  readonly userName: string;
  readonly server: SessionServer | undefined;
  readonly kind: 'home' | 'local' | undefined;
  readonly grant: Grant;
}

/** What the daemon keeps of one PANA session beside its machine. */
export interface Client {
  readonly panaSession: number;
  /** Diameter Session-Id. */
  readonly sessionId: string;
  readonly access: Access;
  readonly startedAt: number;
  peer: PacEndpoint;
  granted: Granted | undefined;
  /** The local home address that was proposed, until the session ends. */
  local: HomeAgentOffer | undefined;
  /** The local home agent's hook was run with `up`. */
  localUp: boolean;
  /** The enforcement point lets it pass. */
  permitted: boolean;
  /** The subscriber of an AAA server that it counts as one of. */
  admittedAs: string | undefined;
}

/** The clients of a PAA by both of their session identifiers. */
export class Clients {
  readonly #byPana = new Map<number, Client>();
  readonly #byDiameter = new Map<string, Client>();
  /** Those that are in, by their AAA server and the subscriber that it named; the oldest first. */
  readonly #byUser = new Map<string, Set<Client>>();

  get size(): number {
    return this.#byPana.size;
  }

  add(
    panaSession: number,
    sessionId: string,
    peer: PacEndpoint,
    config: AccessConfig,
    firstIdentifier: number,
    now: number,
  ): Client {
    const client: Client = {
      panaSession,
      sessionId,
      access: new Access(config, firstIdentifier),
      startedAt: now,
      peer,
      granted: undefined,
      local: undefined,
      localUp: false,
      permitted: false,
      admittedAs: undefined,
    };
    this.#byPana.set(panaSession, client);
    this.#byDiameter.set(sessionId, client);
    return client;
  }

  ofPana(panaSession: number): Client | undefined {
    return this.#byPana.get(panaSession);
  }

  ofDiameter(sessionId: string): Client | undefined {
    return this.#byDiameter.get(sessionId);
  }

  /** A client is in. The oldest ones of its subscriber that are more than `most`. */
  admit(client: Client, most: number): Client[] {
    const { granted } = client;
    if (!granted || granted.userName === '') return [];
    // What one home server calls its subscriber says nothing of those of another one.
    const key = `${client.access.server ?? ''}\n${granted.userName}`.toLowerCase();
    this.#forgetUser(client);
    const clients = this.#byUser.get(key) ?? new Set();
    this.#byUser.set(key, clients.add(client));
    client.admittedAs = key;
    return [...clients].slice(0, Math.max(0, clients.size - most));
  }

  remove(client: Client): void {
    this.#forgetUser(client);
    this.#byPana.delete(client.panaSession);
    this.#byDiameter.delete(client.sessionId);
  }

  #forgetUser(client: Client): void {
    if (client.admittedAs === undefined) return;
    const clients = this.#byUser.get(client.admittedAs);
    clients?.delete(client);
    if (clients?.size === 0) this.#byUser.delete(client.admittedAs);
    client.admittedAs = undefined;
  }
}
