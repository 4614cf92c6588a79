import type { HomeAgentOffer } from '../mip6/diameter-mobility.js';
import type { Grant } from '../pana/session/paa-session.js';
import type { PacEndpoint } from '../pana/session/start.js';
import { Access, type AccessConfig } from './access.js';
import type { SessionServer } from './session-server.js';

/** What the AAA server granted to a client. */
export interface Granted {
  readonly userName: string;
  readonly server: SessionServer | undefined;
  readonly kind: 'home' | 'local' | undefined;
  readonly grant: Grant;
}

/** What the NAS knows of one PANA session beside its machine. */
export interface Client {
  readonly panaSession: number;
  /** Diameter Session-Id. */
  readonly sessionId: string;
  readonly access: Access;
  /** When its PAN[S] came. */
  readonly startedAt: number;
  peer: PacEndpoint;
  granted: Granted | undefined;
  /** Token of the DER that waits for its answer. */
  asking: number | undefined;
  /** Token of the `admit` that its success waits for. */
  waitsForPermit: number | undefined;
  /** The local home agent and home address that were proposed for it; they stay reserved until the session ends. */
  local: HomeAgentOffer | undefined;
  /** The user that the local home agent was told `up` for. */
  localUser: string | undefined;
  /** The enforcement point was told to let it pass. */
  permitted: boolean;
  /** The key of its subscriber in the table of sessions that are in. */
  admittedAs: string | undefined;
}

/** The clients of a NAS by both of their session identifiers. */
export class Clients {
  readonly #byPana = new Map<number, Client>();
  readonly #byDiameter = new Map<string, Client>();
  /** Clients that are in, by AAA server and the subscriber that it named; the oldest first. */
  readonly #byUser = new Map<string, Set<Client>>();

  /** Subscribers that have a client that is in; only to look at. */
  get subscribers(): number {
    return this.#byUser.size;
  }

  /** `now`: when its PAN[S] came. `firstIdentifier`: the EAP identifier before the first one that is used. */
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
      asking: undefined,
      waitsForPermit: undefined,
      local: undefined,
      localUser: undefined,
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

  all(): Iterable<Client> {
    return this.#byPana.values();
  }

  /** A client is in. Returns the oldest clients of its subscriber beyond `most`. */
  admit(client: Client, most: number): Client[] {
    const { granted } = client;
    if (!granted || granted.userName === '') return [];
    // The same name at another home server is another subscriber.
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
