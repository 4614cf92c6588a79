import type { HomeAgentOffer } from '../mip6/home-agent-offer.js';
import type { Grant } from '../pana/session/paa-interface.js';
import type { PacEndpoint } from '../pana/session/start.js';
import { Access, type AccessConfig, type AssignmentKind } from './access.js';
import type { SessionServer } from './session-server.js';

/** What the AAA server granted to a client. */
export interface Granted {
  readonly userName: string;
  readonly server: SessionServer | undefined;
  readonly kind: AssignmentKind | undefined;
  readonly grant: Grant;
}

/** Data of the NAS for one PANA session. */
export interface Client {
  readonly panaSession: number;
  /** Diameter Session-Id. */
  readonly sessionId: string;
  readonly access: Access;
  /** When PAN[S] arrived. */
  readonly startedAt: number;
  peer: PacEndpoint;
  granted: Granted | undefined;
  /** Token of the unanswered DER. */
  asking: number | undefined;
  /** Token of the `admit` that the success waits for. */
  waitsForPermit: number | undefined;
  /** The proposed local home agent and home address, reserved until the session ends. */
  local: HomeAgentOffer | undefined;
  /** The user for whom the hook `up` of the local home agent was run. */
  localUser: string | undefined;
  /** Whether an `admit` was sent for the client. */
  permitted: boolean;
  /** Whether its permit was revoked because this side terminates the session. */
  barred: boolean;
  /** Name of the Encryption-Algorithm; undefined: AVPs are not encrypted. */
  encryption: string | undefined;
  /** Whether the client has not been let into this network yet (RFC 5873). */
  preAuthenticated: boolean;
  /** Key of the subscriber in the table of authorized sessions. */
  admittedAs: string | undefined;
}

/** The clients of a NAS, by PANA session identifier and by Diameter Session-Id. */
export class Clients {
  readonly #byPana = new Map<number, Client>();
  readonly #byDiameter = new Map<string, Client>();
  /** Authorized clients by AAA server and user name, the oldest first. */
  readonly #byUser = new Map<string, Set<Client>>();

  /** Number of subscribers with an authorized client. */
  get subscribers(): number {
    return this.#byUser.size;
  }

  /** `now`: when PAN[S] arrived. `firstIdentifier`: the EAP identifier before the first one to use. */
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
      barred: false,
      encryption: undefined,
      preAuthenticated: false,
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

  /**
   * Adds an authorized client. Returns the oldest clients of its subscriber that exceed `most`. Pre-authenticated ones are
   * counted apart.
   */
  admit(client: Client, most: number): Client[] {
    const { granted, preAuthenticated } = client;
    if (!granted || granted.userName === '') return [];
    // The same user name at another AAA server is another subscriber.
    const key = `${client.access.server ?? ''}\n${granted.userName}`.toLowerCase();
    this.#forgetUser(client);
    const clients = this.#byUser.get(key) ?? new Set();
    this.#byUser.set(key, clients.add(client));
    client.admittedAs = key;
    const alike = [...clients].filter((other) => other.preAuthenticated === preAuthenticated);
    return alike.slice(0, Math.max(0, alike.length - most));
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
