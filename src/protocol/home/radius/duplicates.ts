import { equalOctets } from '../../bytes/octets.js';
import { FairTable } from '../../fairness/fair-table.js';
import { OrderedSet } from '../../fairness/ordered-set.js';
import type { RadiusPacket } from '../../radius/wire/codec.js';
import type { RadiusEnd } from './alphabet.js';
import type { RadiusClient } from './clients.js';

/** Maximum number of remembered requests of all clients, and for how long each is remembered, in milliseconds. */
export const MAX_REQUESTS = 8_192;
export const REMEMBERED = 30_000;

/** An authentic request. */
export interface ServedRequest {
  readonly client: RadiusClient;
  readonly end: RadiusEnd;
  readonly packet: RadiusPacket;
  /** Its session, as soon as it is known. */
  sessionId: string | undefined;
  /** Undefined until it is answered. */
  response: Uint8Array | undefined;
  readonly until: number;
}

/**
 * Remembers requests, so that a repeated one is not processed again but gets the same answer (RFC 5080 2.2.2). A
 * request is the same if client, address, port, identifier and authenticator are. Only authentic requests enter. When
 * the table is full, the client with the most requests loses its oldest one.
 */
export class Duplicates {
  readonly #requests = new Map<string, ServedRequest>();
  /** The oldest first. */
  readonly #order = new OrderedSet<ServedRequest>();
  readonly #fair: FairTable<ServedRequest>;

  constructor(limit = MAX_REQUESTS) {
    this.#fair = new FairTable(limit);
  }

  get size(): number {
    return this.#requests.size;
  }

  get firstUntil(): number | undefined {
    return this.#order.first?.until;
  }

  /** The remembered request that equals this one. */
  find(client: RadiusClient, end: RadiusEnd, packet: RadiusPacket): ServedRequest | undefined {
    const found = this.#requests.get(keyOf(client, end, packet));
    return found && equalOctets(found.packet.authenticator, packet.authenticator) ? found : undefined;
  }

  /** Remembers a new request, in place of an earlier one with the same identifier. */
  add(client: RadiusClient, end: RadiusEnd, packet: RadiusPacket, now: number): ServedRequest {
    const key = keyOf(client, end, packet);
    const former = this.#requests.get(key);
    if (former) this.remove(former);
    const request: ServedRequest = {
      client,
      end,
      packet,
      sessionId: undefined,
      response: undefined,
      until: now + REMEMBERED,
    };
    this.#requests.set(key, request);
    this.#order.add(request);
    const evicted = this.#fair.add(request, { rank: 0, path: [client.name, end.address] });
    if (evicted) this.remove(evicted);
    return request;
  }

  has(request: ServedRequest): boolean {
    return this.#fair.has(request);
  }

  remove(request: ServedRequest): void {
    const key = keyOf(request.client, request.end, request.packet);
    if (this.#requests.get(key) === request) this.#requests.delete(key);
    this.#order.delete(request);
    this.#fair.remove(request);
  }

  /** Forgets the answers of a session, because they hold its keys. */
  forget(sessionId: string): void {
    for (const request of [...this.#requests.values()]) {
      if (request.sessionId === sessionId && request.response) this.remove(request);
    }
  }

  expire(now: number): void {
    for (let first = this.#order.first; first && first.until <= now; first = this.#order.first) this.remove(first);
  }

  clear(): void {
    for (const request of [...this.#requests.values()]) this.remove(request);
  }
}

function keyOf({ name }: RadiusClient, { address, port, local }: RadiusEnd, { identifier }: RadiusPacket): string {
  return `${name}\n${local}\n${address}\n${port}\n${identifier}`;
}
