import { DeadlineQueue } from '../../bytes/deadline-queue.js';
import { DecodeError } from '../../bytes/decode-error.js';
import { toHex } from '../../bytes/octets.js';
import type { RadiusServer } from '../../radius/client/alphabet.js';
import { AttributeReader, attribute } from '../../radius/wire/attributes.js';
import { checkRequest, encodeResponse } from '../../radius/wire/authenticators.js';
import { type Attribute, CODE, decodeRadius, type RadiusPacket } from '../../radius/wire/codec.js';
import { ATTRIBUTES, type AttributeName, ERROR_CAUSE, SERVICE_TYPE } from '../../radius/wire/dictionary.js';
import type { RadiusSession } from './accounting.js';
import type { DynamicDropCode, UdpPlace } from './alphabet.js';

/** RFC 5176 6.3: how far Event-Timestamp may differ from the clock, in milliseconds. */
export const TIME_WINDOW = 300_000;

/** Maximum number of requests that are kept to recognize repetitions. */
export const MAX_KEPT = 4_096;

/** What a request asks for. */
export type DynamicWish = 'abort' | 'reauthenticate';

/** A request that has been checked. */
export interface DynamicRequest {
  readonly server: RadiusServer;
  /** Names of all servers that may have sent it: those with the same address and secret. */
  readonly senders: readonly string[];
  readonly packet: RadiusPacket;
  readonly from: UdpPlace;
  readonly key: string;
}

export type DynamicResult =
  | { readonly type: 'dropped'; readonly code: DynamicDropCode }
  /** A retransmission of an answered request. */
  | { readonly type: 'repeated'; readonly octets: Uint8Array }
  | { readonly type: 'refused'; readonly request: DynamicRequest; readonly errorCause: number }
  | {
      readonly type: 'wish';
      readonly request: DynamicRequest;
      readonly wish: DynamicWish;
      readonly session: RadiusSession;
      /** RFC 5176 3.2: the answer is a NAK with Request-Initiated, because the client authenticates again. */
      readonly isAuthorizeOnly: boolean;
    };

/** Attributes that name a session, and what says which NAS it is at, when, and for whom (RFC 5176 3). */
const KNOWN: readonly AttributeName[] = [
  'Acct-Session-Id',
  'User-Name',
  'Calling-Station-Id',
  'Class',
  'NAS-Identifier',
  'NAS-IP-Address',
  'NAS-IPv6-Address',
  'NAS-Port-Type',
  'Event-Timestamp',
  'Message-Authenticator',
  'Proxy-State',
  'Reply-Message',
  'Service-Type',
  'State',
  'Acct-Terminate-Cause',
  // The new authentication brings its own.
  'Session-Timeout',
  'Termination-Action',
];
const KNOWN_TYPES: ReadonlySet<number> = new Set(KNOWN.map((name) => ATTRIBUTES[name].type));

const NAKS: Readonly<Record<number, number>> = {
  [CODE['Disconnect-Request']]: CODE['Disconnect-NAK'],
  [CODE['CoA-Request']]: CODE['CoA-NAK'],
};
const ACKS: Readonly<Record<number, number>> = {
  [CODE['Disconnect-Request']]: CODE['Disconnect-ACK'],
  [CODE['CoA-Request']]: CODE['CoA-ACK'],
};

interface Kept {
  readonly place: string;
  /** Undefined: not answered yet. */
  octets: Uint8Array | undefined;
}

/** Checks Disconnect-Requests and CoA-Requests (RFC 5176), finds their sessions, and encodes the answers. */
export class DynamicAuthorization {
  readonly #kept = new Map<string, Kept>();
  readonly #ends = new DeadlineQueue<string>();

  /** `servers`: those with the address of the sender. `wall`: milliseconds since 1970. */
  read(
    octets: Uint8Array,
    from: UdpPlace,
    servers: readonly RadiusServer[],
    sessions: Iterable<RadiusSession>,
    now: number,
    wall: number,
  ): DynamicResult {
    if (servers.length === 0) return dropped('unknown-server');
    let packet: RadiusPacket;
    try {
      packet = decodeRadius(octets);
    } catch (error) {
      if (error instanceof DecodeError) return dropped('malformed');
      throw error;
    }
    if (NAKS[packet.code] === undefined) return dropped('wrong-code');
    const checks = servers.map((server) => ({ server, found: checkRequest(octets, server.secret) }));
    const senders = checks.flatMap(({ server, found }) => (found === 'authentic' ? [server] : []));
    const [server] = senders;
    if (!server) {
      return dropped(checks.some(({ found }) => found === 'missing') ? 'no-message-authenticator' : 'forged');
    }
    const key = `${server.name} ${toHex(packet.authenticator)}`;
    const place = `${from.address} ${from.port} ${packet.identifier}`;
    const kept = this.#kept.get(key);
    if (kept) {
      // RFC 5080 2.2.2: a retransmission comes from the same port. Another one is a replay.
      if (kept.place !== place || !kept.octets) return dropped('replayed');
      return { type: 'repeated', octets: kept.octets };
    }
    try {
      const time = new AttributeReader(packet).one('Event-Timestamp');
      if (time === undefined) return dropped('no-event-timestamp');
      if (Math.abs(wall - time) > TIME_WINDOW) return dropped('stale');
      if (this.#kept.size >= MAX_KEPT && !this.#forgetOne(now)) return dropped('busy');
      this.#kept.set(key, { place, octets: undefined });
      // Its Event-Timestamp may be ahead of the clock. The last millisecond of the window counts.
      this.#ends.set(key, now + 2 * TIME_WINDOW + 1);
      const names = senders.map(({ name }) => name);
      return this.#wish({ server, senders: names, packet, from, key }, sessions);
    } catch (error) {
      if (error instanceof DecodeError) return dropped('malformed');
      throw error;
    }
  }

  /** Encodes the answer to a request. `errorCause` undefined: ACK. */
  answer({ server, packet, key }: DynamicRequest, errorCause: number | undefined): Uint8Array {
    const codes = errorCause === undefined ? ACKS : NAKS;
    const attributes: Attribute[] = [
      ...(errorCause === undefined ? [] : attribute('Error-Cause', errorCause)),
      // RFC 5176 3.2: Service-Type Authorize Only is in the NAK, too.
      ...(errorCause === ERROR_CAUSE['Request-Initiated']
        ? attribute('Service-Type', SERVICE_TYPE['Authorize-Only'])
        : []),
      // RFC 5176 3.1: each Proxy-State is returned unchanged and in order.
      ...packet.attributes.filter(({ type }) => type === ATTRIBUTES['Proxy-State'].type),
    ];
    const code = codes[packet.code] ?? 0;
    const octets = encodeResponse(
      { code, identifier: packet.identifier, attributes },
      packet.authenticator,
      server.secret,
    );
    const kept = this.#kept.get(key);
    if (kept) kept.octets = octets;
    return octets;
  }

  #wish(request: DynamicRequest, sessions: Iterable<RadiusSession>): DynamicResult {
    const { packet, senders } = request;
    const refused = (errorCause: number): DynamicResult => ({ type: 'refused', request, errorCause });
    const reader = new AttributeReader(packet);
    // RFC 5176 3.3: a request with an attribute that is not supported is refused as a whole.
    if (packet.attributes.some(({ type }) => !KNOWN_TYPES.has(type))) {
      return refused(ERROR_CAUSE['Unsupported-Attribute']);
    }
    const service = reader.one('Service-Type');
    const isAuthorizeOnly = service === SERVICE_TYPE['Authorize-Only'];
    const isCoa = packet.code === CODE['CoA-Request'];
    if (service !== undefined && !(isCoa && isAuthorizeOnly)) return refused(ERROR_CAUSE['Unsupported-Service']);
    const names = {
      id: reader.one('Acct-Session-Id'),
      user: reader.one('User-Name'),
      calling: reader.one('Calling-Station-Id'),
      classes: reader.all('Class').map(toHex),
    };
    if (names.id === undefined && names.user === undefined && names.calling === undefined && !names.classes.length) {
      return refused(ERROR_CAUSE['Missing-Attribute']);
    }
    // RFC 5176 6.1: only the server that granted a session controls it.
    const found = [...sessions].filter((session) => senders.includes(session.server) && isNamed(session, names));
    const [session, second] = found;
    if (!session) return refused(ERROR_CAUSE['Session-Context-Not-Found']);
    if (second) return refused(ERROR_CAUSE['Multiple-Session-Selection-Unsupported']);
    return { type: 'wish', request, wish: isCoa ? 'reauthenticate' : 'abort', session, isAuthorizeOnly };
  }

  /**
   * Forgets the oldest request whose time is over. All others are kept, however old they are: if the clock is set back,
   * their Event-Timestamp may be fresh again. Returns whether there was one.
   */
  #forgetOne(now: number): boolean {
    const key = this.#ends.due(now);
    if (key !== undefined) this.#kept.delete(key);
    return key !== undefined;
  }
}

interface Names {
  readonly id: string | undefined;
  readonly user: string | undefined;
  readonly calling: string | undefined;
  readonly classes: readonly string[];
}

/** Whether everything that a request says about its session is true of this one. */
function isNamed({ id, userName, askedName, calling, terms }: RadiusSession, names: Names): boolean {
  const user = names.user?.toLowerCase();
  return (
    (names.id === undefined || names.id === id) &&
    (user === undefined || user === userName?.toLowerCase() || user === askedName?.toLowerCase()) &&
    (names.calling === undefined || names.calling === calling) &&
    names.classes.every((named) => terms.classes.some((own) => toHex(own) === named))
  );
}

function dropped(code: DynamicDropCode): DynamicResult {
  return { type: 'dropped', code };
}
