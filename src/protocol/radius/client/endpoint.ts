import type { Attribute } from '../wire/codec.js';
import type { EndpointName, RadiusServer, RadiusService } from './alphabet.js';
import { Health, type HealthConfig } from './health.js';
import { Identifiers, type Slot } from './identifiers.js';

/** A request of the application. */
export interface Request {
  readonly token: number;
  readonly service: RadiusService;
  readonly attributes: readonly Attribute[];
  readonly only: string | undefined;
  readonly first: string | undefined;
  readonly firstOnly: readonly Attribute[];
  /** When it fails. */
  readonly until: number;
  /** Names of the servers that it was sent to. */
  readonly tried: Set<string>;
}

/** A packet that waits for its answer. */
export interface Pending {
  readonly endpoint: Endpoint;
  readonly slot: Slot;
  /** Undefined: Status-Server. */
  readonly request: Request | undefined;
  readonly octets: Uint8Array;
  readonly authenticator: Uint8Array;
  readonly sentAt: number;
  sent: number;
  /** The connection that it was sent on has closed. */
  isLost: boolean;
  /** The current retransmission time in milliseconds. */
  wait: number;
}

/** Order in which servers are used; one that is down is not used. */
const RANKS = { OKAY: 0, REOPEN: 1, UNKNOWN: 1, SUSPECT: 2, DOWN: undefined } as const;

/** A port of a server. */
export class Endpoint {
  readonly name: EndpointName;
  readonly health: Health;
  readonly identifiers = new Identifiers();
  /** By socket and Identifier. */
  readonly #pending = new Map<number, Pending>();
  server: RadiusServer;
  /** When the last authentic answer arrived. */
  heardAt = Number.NEGATIVE_INFINITY;

  constructor(server: RadiusServer, service: RadiusService, config: HealthConfig, unit: () => number, now: number) {
    this.server = server;
    this.name = { server: server.name, service };
    this.health = new Health(config, unit, now);
  }

  /** Undefined: the server is down. */
  get rank(): number | undefined {
    return RANKS[this.health.status];
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  get pending(): readonly Pending[] {
    return [...this.#pending.values()];
  }

  find(socket: number, identifier: number): Pending | undefined {
    return this.#pending.get(socket * 256 + identifier);
  }

  add(pending: Pending): void {
    this.#pending.set(pending.slot.socket * 256 + pending.slot.identifier, pending);
  }

  remove({ slot }: Pending): void {
    if (this.#pending.delete(slot.socket * 256 + slot.identifier)) this.identifiers.release(slot);
  }
}
