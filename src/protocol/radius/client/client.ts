import { DeadlineQueue } from '../../bytes/deadline-queue.js';
import { DecodeError } from '../../bytes/decode-error.js';
import type { Drbg } from '../../bytes/drbg.js';
import { checkResponse, encodeDigestedRequest, encodeRandomRequest } from '../wire/authenticators.js';
import { AUTHENTICATOR_AT, AUTHENTICATOR_LENGTH, CODE, decodeRadius, type RadiusPacket } from '../wire/codec.js';
import type {
  ClientConfig,
  ClientDropCode,
  ClientEvent,
  ClientInput,
  ClientOutput,
  EndpointStatus,
  RadiusService,
  ServerStatus,
} from './alphabet.js';
import { Endpoint, type Pending, type Request } from './endpoint.js';
import type { HealthInput } from './health.js';
import { MRC, retransmissionTime } from './retransmission.js';

/** Transmissions to a server without an answer after which a request moves to another server. */
const TRIES_OF_SERVER = 2;

/** Codes of answers. */
const ANSWERS: Readonly<Record<RadiusService, readonly number[]>> = {
  authentication: [CODE['Access-Accept'], CODE['Access-Reject'], CODE['Access-Challenge']],
  accounting: [CODE['Accounting-Response']],
};

const UP: Readonly<Record<ServerStatus, 'serverUp' | 'serverSuspected' | 'serverDown' | undefined>> = {
  UNKNOWN: undefined,
  REOPEN: undefined,
  OKAY: 'serverUp',
  SUSPECT: 'serverSuspected',
  DOWN: 'serverDown',
};

/**
 * A RADIUS client (RFC 2865, RFC 2866, RFC 5080) of one or more servers. It retransmits each request until an authentic
 * answer arrives, watches the servers with Status-Server (RFC 5997), and moves requests to the next server.
 */
export class RadiusClient {
  readonly #drbg: Drbg;
  #config: ClientConfig;
  #endpoints: readonly Endpoint[] = [];
  readonly #retransmissions = new DeadlineQueue<Pending>();
  readonly #checks = new DeadlineQueue<Endpoint>();

  constructor(config: ClientConfig, drbg: Drbg, now: number) {
    this.#drbg = drbg;
    this.#config = config;
    this.#configure(config, now);
  }

  get deadline(): number | undefined {
    const [one, other] = [this.#retransmissions.first, this.#checks.first];
    return one === undefined || (other !== undefined && other < one) ? other : one;
  }

  status(): EndpointStatus[] {
    return this.#endpoints.map(({ name, health, inFlight }) => ({ ...name, status: health.status, inFlight }));
  }

  handle(input: ClientInput, now: number): ClientOutput[] {
    switch (input.type) {
      case 'request': {
        const { token, service, attributes, only, first, firstOnly = [] } = input;
        const until = now + this.#config.requestTimeout;
        const request = { token, service, attributes, only, first, firstOnly, until, tried: new Set<string>() };
        return this.#send(request, now) ?? [failed(request, this.#whyNot(request))];
      }
      case 'datagram':
        return this.#datagram(input, now);
      case 'disconnected':
        return this.#disconnected(input, now);
      case 'configure':
        return this.#configure(input.config, now);
      case 'tick':
        return this.#tick(now);
    }
  }

  // ------------------------------------------------------------------------------------------------------- requests

  /** Sends a request to the best server that it was not sent to. Undefined: there is none. */
  #send(request: Request, now: number): ClientOutput[] | undefined {
    for (const endpoint of this.#candidates(request)) {
      const slot = endpoint.identifiers.take();
      if (!slot) continue;
      request.tried.add(endpoint.name.server);
      const code = request.service === 'accounting' ? CODE['Accounting-Request'] : CODE['Access-Request'];
      return this.#transmit(endpoint, slot, code, request, now);
    }
    return undefined;
  }

  #transmit(
    endpoint: Endpoint,
    slot: Pending['slot'],
    code: number,
    request: Request | undefined,
    now: number,
  ): ClientOutput[] {
    const { secret, name } = endpoint.server;
    const more = request?.first === name ? request.firstOnly : [];
    const attributes = request ? [...request.attributes, ...more] : this.#config.identity;
    const { identifier } = slot;
    const octets =
      code === CODE['Accounting-Request']
        ? encodeDigestedRequest({ code, identifier, attributes }, secret)
        : encodeRandomRequest({ code, identifier, attributes }, this.#drbg.bytes(AUTHENTICATOR_LENGTH), secret);
    const authenticator = octets.slice(AUTHENTICATOR_AT, AUTHENTICATOR_AT + AUTHENTICATOR_LENGTH);
    const wait = retransmissionTime(undefined, this.#unit());
    const pending: Pending = {
      endpoint,
      slot,
      request,
      octets,
      authenticator,
      sentAt: now,
      sent: 1,
      isLost: false,
      wait,
    };
    endpoint.add(pending);
    this.#retransmissions.set(pending, Math.min(now + wait, request?.until ?? Number.POSITIVE_INFINITY));
    return sending(pending);
  }

  /** The servers that a request can be sent to, the best first. */
  #candidates({ service, only, first, tried }: Request): Endpoint[] {
    const able = this.#endpoints.flatMap((endpoint, order) => {
      const { name, rank } = endpoint;
      if (name.service !== service || tried.has(name.server) || (only !== undefined && only !== name.server)) return [];
      // A server with the conversation is asked even if it is down: no other one can continue it.
      if (rank === undefined && only === undefined) return [];
      return [{ endpoint, rank: rank ?? 0, order: name.server === first ? -1 : order }];
    });
    return able.sort((a, b) => a.rank - b.rank || a.order - b.order).map(({ endpoint }) => endpoint);
  }

  #whyNot({ service, only }: Request): string {
    const all = this.#endpoints.filter(
      ({ name }) => name.service === service && (only === undefined || only === name.server),
    );
    if (all.length === 0) return only === undefined ? `no server for ${service}` : `${only}: no longer configured`;
    const names = all.map(({ name }) => name.server).join(', ');
    return all.every(({ rank }) => rank === undefined)
      ? `not responding: ${names}`
      : `${names}: too many pending requests`;
  }

  // -------------------------------------------------------------------------------------------------------- answers

  #datagram(input: Extract<ClientInput, { type: 'datagram' }>, now: number): ClientOutput[] {
    const { server, service, socket, octets } = input;
    const dropped = (code: ClientDropCode) => [say({ type: 'dropped', server, service, code })];
    let packet: RadiusPacket;
    try {
      packet = decodeRadius(octets);
    } catch (error) {
      if (error instanceof DecodeError) return dropped('malformed');
      throw error;
    }
    const endpoint = this.#endpoints.find(({ name }) => name.server === server && name.service === service);
    const pending = endpoint?.find(socket, packet.identifier);
    if (!endpoint || !pending) return dropped('unknown-answer');
    const { secret } = endpoint.server;
    const authenticity = checkResponse(octets, pending.authenticator, secret);
    if (authenticity === 'forged') return dropped('forged');
    // BlastRADIUS: without Message-Authenticator an attacker on the path can forge the Response Authenticator.
    if (authenticity === 'missing' && service === 'authentication' && pending.request) {
      return dropped('no-message-authenticator');
    }
    // Status-Server does not say for which service it asks, so that a RadSec server answers Access-Accept.
    const isStatus = !pending.request && endpoint.server.isReliable;
    if (!ANSWERS[isStatus ? 'authentication' : service].includes(packet.code)) return dropped('wrong-code');
    this.#forget(pending);
    endpoint.heardAt = now;
    const out = this.#health(endpoint, pending.request ? 'answer' : 'alive', now);
    const arrived = packetEvent(pending, 'in', packet.code);
    if (!pending.request) return [arrived, ...out];
    const { token } = pending.request;
    const requestAuthenticator = pending.authenticator;
    return [arrived, ...out, { type: 'answered', token, server, packet, requestAuthenticator, secret }];
  }

  #forget(pending: Pending): void {
    pending.endpoint.remove(pending);
    this.#retransmissions.set(pending, undefined);
  }

  // --------------------------------------------------------------------------------------------------------- timers

  #tick(now: number): ClientOutput[] {
    const out: ClientOutput[] = [];
    for (let pending = this.#retransmissions.due(now); pending; pending = this.#retransmissions.due(now)) {
      out.push(...this.#timeout(pending, now));
    }
    for (let endpoint = this.#checks.due(now); endpoint; endpoint = this.#checks.due(now)) {
      out.push(...this.#health(endpoint, 'tick', now));
    }
    return out;
  }

  #timeout(pending: Pending, now: number): ClientOutput[] {
    const { endpoint, request } = pending;
    // Status-Server is not retransmitted, because the watchdog sends a new one.
    if (!request) {
      this.#forget(pending);
      return [];
    }
    const { server } = endpoint.name;
    if (now >= request.until || pending.sent >= MRC) {
      this.#forget(pending);
      return [...this.#missed(pending, now), failed(request, `${server} did not answer`)];
    }
    const out = pending.sent >= TRIES_OF_SERVER ? this.#missed(pending, now) : [];
    // It may have moved together with the others.
    if (endpoint.find(pending.slot.socket, pending.slot.identifier) !== pending) return out;
    if (pending.sent >= TRIES_OF_SERVER) {
      const moved = this.#move(pending, now);
      if (moved) return [...out, ...moved];
    }
    pending.sent += 1;
    pending.wait = retransmissionTime(pending.wait, this.#unit());
    this.#retransmissions.set(pending, Math.min(now + pending.wait, request.until));
    if (endpoint.server.isReliable && !pending.isLost) return out;
    pending.isLost = false;
    return [...out, ...sending(pending), say({ type: 'retransmitted', ...endpoint.name })];
  }

  /**
   * Moves the requests of a connection to another server. Those that only this server can answer are sent again, on a new
   * connection, when their retransmission is due.
   */
  #disconnected(input: Extract<ClientInput, { type: 'disconnected' }>, now: number): ClientOutput[] {
    const { server, service, socket } = input;
    const endpoint = this.#endpoints.find(({ name }) => name.server === server && name.service === service);
    const lost = endpoint?.pending.filter(({ slot }) => slot.socket === socket) ?? [];
    // An idle server may close a connection.
    if (!endpoint || lost.length === 0) return [];
    for (const pending of lost) {
      if (pending.request) pending.isLost = true;
      else this.#forget(pending);
    }
    const out = this.#health(endpoint, 'missed', now);
    for (const pending of lost) {
      if (endpoint.find(pending.slot.socket, pending.slot.identifier) === pending) {
        out.push(...(this.#move(pending, now) ?? []));
      }
    }
    return out;
  }

  /** A server that answers other requests is not suspected: only this one is lost, or cannot be answered. */
  #missed({ endpoint, sentAt }: Pending, now: number): ClientOutput[] {
    return endpoint.heardAt >= sentAt ? [] : this.#health(endpoint, 'missed', now);
  }

  /** Moves a request to a server that is not suspected. Undefined: there is none, or only this server can answer. */
  #move(pending: Pending, now: number): ClientOutput[] | undefined {
    const { request, endpoint } = pending;
    if (!request || request.only !== undefined) return undefined;
    const [best] = this.#candidates(request);
    if (!best || best.health.status === 'SUSPECT') return undefined;
    const sent = this.#send(request, now);
    if (!sent) return undefined;
    this.#forget(pending);
    const { server: from, service } = endpoint.name;
    return [say({ type: 'failedOver', from, to: best.name.server, service }), ...sent];
  }

  /**
   * Fails a request if all servers are down, as a new request does. One that only this server can answer waits for it, and
   * an Accounting-Request does so because each failure counts.
   */
  #giveUp(pending: Pending): ClientOutput[] {
    const { request } = pending;
    if (!request || request.only !== undefined || request.service === 'accounting') return [];
    const isHopeless = this.#endpoints.every(
      ({ name, rank }) => name.service !== request.service || rank === undefined,
    );
    if (!isHopeless) return [];
    this.#forget(pending);
    return [failed(request, this.#whyNot(request))];
  }

  // -------------------------------------------------------------------------------------------------------- servers

  #health(endpoint: Endpoint, input: HealthInput, now: number): ClientOutput[] {
    const { health, name } = endpoint;
    const before = health.status;
    const asks = health.handle(input, now);
    this.#checks.set(endpoint, health.deadline);
    const out: ClientOutput[] = [];
    const type = health.status === before ? undefined : UP[health.status];
    if (type) out.push(say({ type, ...name }));
    if (asks) out.push(...this.#ask(endpoint, now));
    if (type === 'serverSuspected' || type === 'serverDown') {
      for (const pending of endpoint.pending) out.push(...(this.#move(pending, now) ?? this.#giveUp(pending)));
    }
    return out;
  }

  #ask(endpoint: Endpoint, now: number): ClientOutput[] {
    const slot = endpoint.identifiers.take();
    return slot ? this.#transmit(endpoint, slot, CODE['Status-Server'], undefined, now) : [];
  }

  /** Unchanged servers keep their requests and their state. */
  #configure(config: ClientConfig, now: number): ClientOutput[] {
    this.#config = config;
    const before = this.#endpoints;
    this.#endpoints = config.servers.flatMap((server) => {
      const services: RadiusService[] = server.accounting ? ['authentication', 'accounting'] : ['authentication'];
      return services.map((service) => {
        const health = { watchdog: config.watchdog, statusServer: server.statusServer };
        const old = before.find(({ name }) => name.server === server.name && name.service === service);
        const isKept = old !== undefined && old.server.statusServer === server.statusServer;
        if (!isKept) return new Endpoint(server, service, health, () => this.#unit(), now);
        old.server = server;
        old.health.configure(health);
        return old;
      });
    });
    for (const endpoint of this.#endpoints) this.#checks.set(endpoint, endpoint.health.deadline);
    return before.filter((endpoint) => !this.#endpoints.includes(endpoint)).flatMap((gone) => this.#drop(gone));
  }

  #drop(endpoint: Endpoint): ClientOutput[] {
    this.#checks.set(endpoint, undefined);
    return endpoint.pending.flatMap((pending) => {
      this.#forget(pending);
      return pending.request ? [failed(pending.request, `${endpoint.name.server}: no longer configured`)] : [];
    });
  }

  #unit(): number {
    return this.#drbg.u32() / 2 ** 32;
  }
}

function sending(pending: Pending): ClientOutput[] {
  const { endpoint, slot, octets } = pending;
  return [packetEvent(pending, 'out', octets[0] ?? 0), { type: 'send', ...endpoint.name, socket: slot.socket, octets }];
}

function packetEvent({ endpoint, request }: Pending, direction: 'in' | 'out', code: number): ClientOutput {
  return say({ type: 'packet', direction, ...endpoint.name, code, token: request?.token });
}

function failed({ token }: Request, reason: string): ClientOutput {
  return { type: 'failed', token, reason };
}

function say(event: ClientEvent): ClientOutput {
  return { type: 'event', event };
}
