import { DecodeError } from '../../bytes/decode-error.js';
import { encodeUtf8 } from '../../bytes/octets.js';
import { RadiusRequests, type RadiusTarget } from '../../radius/client/requests.js';
import { AttributeReader, attribute } from '../../radius/wire/attributes.js';
import { encodeDigestedRequest } from '../../radius/wire/authenticators.js';
import { type Attribute, CODE, type RadiusPacket } from '../../radius/wire/codec.js';
import { ATTRIBUTES, ERROR_CAUSE, TERMINATION_ACTION } from '../../radius/wire/dictionary.js';
import { RADSEC_SECRET } from '../../radius/wire/radsec.js';
import type { Demand, DemandOutcome, Token } from '../alphabet.js';
import type { Session } from '../records.js';
import { attributesOfNas } from './accounting.js';
import type { RadiusPlace } from './alphabet.js';
import type { RadiusClient } from './clients.js';

/**
 * What is left of the lifetime of a session that is to be authenticated again, in seconds. RADIUS has no request to do
 * so at once: the client authenticates again when its lifetime ends.
 */
export const REAUTHENTICATE_WITHIN = 30;

const CODES = {
  disconnect: { request: CODE['Disconnect-Request'], ack: CODE['Disconnect-ACK'], nak: CODE['Disconnect-NAK'] },
  reauthenticate: { request: CODE['CoA-Request'], ack: CODE['CoA-ACK'], nak: CODE['CoA-NAK'] },
} as const;

/** Attributes that suffice to find a session; others may be refused (RFC 5176 3.3, Unsupported-Attribute). */
const NAMES: ReadonlySet<number> = new Set([ATTRIBUTES['Acct-Session-Id'].type, ATTRIBUTES['Calling-Station-Id'].type]);
const PORTS: ReadonlySet<number> = new Set([ATTRIBUTES['NAS-Port'].type, ATTRIBUTES['NAS-Port-Id'].type]);

interface Sent {
  readonly token: Token;
  readonly demand: Demand;
  readonly about: DemandPacket['about'];
}

/** A packet of a demand, where it goes, and what it is about. */
export interface DemandPacket extends RadiusTarget {
  readonly octets: Uint8Array;
  readonly about: { readonly client: string; readonly sessionId: string };
}

/** Answers to these requests. */
export const DEMAND_ANSWERS: readonly number[] = Object.values(CODES).flatMap(({ ack, nak }) => [ack, nak]);

/** Disconnect-Requests and CoA-Requests to RADIUS clients (RFC 5176), each repeated until it is answered. */
export class RadiusDemands {
  readonly #requests: RadiusRequests<Sent>;

  constructor(random: () => number) {
    this.#requests = new RadiusRequests(random);
  }

  get deadline(): number | undefined {
    return this.#requests.deadline;
  }

  /**
   * Returns the request to send, or why there is none. `connection`: the RadSec connection for this session. `wall`:
   * milliseconds since 1970, UTC.
   */
  send(
    sent: Omit<Sent, 'about'> & { readonly session: Session },
    client: RadiusClient | undefined,
    connection: string | undefined,
    now: number,
    wall: number,
  ): DemandPacket | { readonly failure: string } {
    const { token, demand, session } = sent;
    if (!client) return { failure: `no RADIUS client ${session.origin} is configured` };
    if (!client.dynamic) return { failure: `the RADIUS client ${client.name} has no dae address` };
    const about = { client: client.name, sessionId: session.sessionId };
    const target = targetOf(client, client.dynamic, connection);
    if (!target) return { failure: `the RADIUS client ${client.name} has no RadSec connection` };
    const codes = CODES[demand];
    const attributes = [...identificationOf(session), ...attribute('Event-Timestamp', wall), ...changeFor(demand)];
    const octets = this.#requests.add(
      { token, demand, about },
      target,
      (identifier) => encodeDigestedRequest({ code: codes.request, identifier, attributes }, target.secret),
      // RFC 5176 3.4 leaves the Message-Authenticator of an answer to the client.
      { codes: [codes.ack, codes.nak], mustBeSigned: false },
      now,
    );
    return octets ? { ...target, octets, about } : { failure: `too many requests to ${client.name} are unanswered` };
  }

  /** Takes a packet. Undefined: it answers no request. */
  receive(
    octets: Uint8Array,
    from: { readonly address: string; readonly port: number },
  ):
    | { readonly token: Token; readonly outcome: DemandOutcome; readonly code: number; readonly about: Sent['about'] }
    | undefined {
    const received = this.#requests.receive(octets, from);
    if (!received?.answer) return undefined;
    const { token, demand, about } = received.token;
    return { token, outcome: outcomeOf(received.answer, demand), code: received.answer.code, about };
  }

  tick(now: number): {
    readonly repeat: readonly DemandPacket[];
    readonly lost: readonly Token[];
  } {
    const { repeat, lost } = this.#requests.tick(now);
    return {
      repeat: repeat.map(({ token, ...packet }) => ({ ...packet, about: token.about })),
      lost: lost.map(({ token }) => token),
    };
  }

  /** Removes the requests of a RadSec connection and returns their tokens. */
  closed(connection: string): Token[] {
    return this.#requests.closed(endOfConnection(connection)).map(({ token }) => token);
  }

  clear(): Token[] {
    return this.#requests.clear().map(({ token }) => token);
  }
}

/** The name of a RadSec connection in the place of an address. */
export function endOfConnection(connection: string): RadiusPlace {
  return { address: connection, port: 0 };
}

function targetOf(
  { secret }: RadiusClient,
  dynamic: RadiusPlace | 'radsec',
  connection: string | undefined,
): RadiusTarget | undefined {
  if (dynamic !== 'radsec') return { ...dynamic, secret };
  return connection === undefined
    ? undefined
    : { ...endOfConnection(connection), secret: RADSEC_SECRET, isReliable: true };
}

/** RFC 5176 3: the NAS, and the session in the words of the NAS. */
function identificationOf({ nas = '', sessionId, nai }: Session): Attribute[] {
  const known = knownAs(nas);
  const isNamed = known.some(({ type }) => NAMES.has(type));
  const own = isNamed ? known.filter(({ type }) => !PORTS.has(type)) : known;
  const hasUser = own.some(({ type }) => type === ATTRIBUTES['User-Name'].type);
  return [
    ...(hasUser ? [] : attribute('User-Name', nai)),
    ...own,
    // Without a name of the NAS, the one of this server.
    ...(isNamed ? [] : attribute('Class', encodeUtf8(sessionId))),
  ];
}

function knownAs(nas: string): Attribute[] {
  try {
    return attributesOfNas(nas);
  } catch (error) {
    if (error instanceof DecodeError) return [];
    throw error;
  }
}

function changeFor(demand: Demand): Attribute[] {
  if (demand === 'disconnect') return [];
  return [
    ...attribute('Session-Timeout', REAUTHENTICATE_WITHIN),
    ...attribute('Termination-Action', TERMINATION_ACTION['RADIUS-Request']),
  ];
}

function outcomeOf(answer: RadiusPacket, demand: Demand): DemandOutcome {
  const codes = CODES[demand];
  if (answer.code === codes.ack) {
    return { result: 'SUCCESS', unknown: false, refused: false, over: demand === 'disconnect' };
  }
  const cause = causeOf(answer);
  const unknown = cause === ERROR_CAUSE['Session-Context-Not-Found'];
  const name = cause === undefined ? 'no Error-Cause' : (CAUSE_NAMES[cause] ?? `Error-Cause ${cause}`);
  return { result: `${demand === 'disconnect' ? 'Disconnect' : 'CoA'}-NAK (${name})`, unknown, refused: !unknown };
}

const CAUSE_NAMES: Readonly<Record<number, string>> = ATTRIBUTES['Error-Cause'].values;

function causeOf(answer: RadiusPacket): number | undefined {
  try {
    return new AttributeReader(answer).one('Error-Cause');
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
