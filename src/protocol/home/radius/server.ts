import { BoundedMap } from '../../bytes/bounded-map.js';
import { earliest } from '../../bytes/deadline-queue.js';
import { DecodeError } from '../../bytes/decode-error.js';
import { toHex } from '../../bytes/octets.js';
import { checkRequest, encodeAccountingResponse, encodeResponse } from '../../radius/wire/authenticators.js';
import { type Attribute, CODE, decodeRadius, type RadiusPacket } from '../../radius/wire/codec.js';
import { ATTRIBUTES } from '../../radius/wire/dictionary.js';
import type { HomeAnswer, Token } from '../alphabet.js';
import { type RadiusAnswer, readAccessRequest, writeAnswer } from './access.js';
import { nasOf, placeOf, readAccounting } from './accounting.js';
import type {
  DropCause,
  RadiusConfig,
  RadiusEnd,
  RadiusInput,
  RadiusOutput,
  RadiusPlace,
  RadiusService,
} from './alphabet.js';
import { clientOfOrigin, originOf, type RadiusClient, RadiusClients } from './clients.js';
import { RadiusConnections } from './connections.js';
import { DEMAND_ANSWERS, type DemandPacket, endOfConnection, RadiusDemands } from './demands.js';
import { DropReports } from './drop-reports.js';
import { Duplicates, type ServedRequest } from './duplicates.js';
import { newSessionId, SESSION_RANDOM } from './session-id.js';

/** Packets that each service takes. */
const SERVED: Readonly<Record<RadiusService, readonly number[]>> = {
  authentication: [CODE['Access-Request'], CODE['Status-Server']],
  accounting: [CODE['Accounting-Request'], CODE['Status-Server']],
  any: [CODE['Access-Request'], CODE['Accounting-Request'], CODE['Status-Server']],
};

/** Number of salts, RFC 2548 2.4.2. */
const SALTS = 0x8000;

/** Maximum number of places whose newest session is remembered. */
const MAX_PLACES = 10_000;

const PROXY_STATE = ATTRIBUTES['Proxy-State'].type;

/** A request that the home machine processes. */
interface Asked {
  readonly served: ServedRequest;
  readonly sessionId: string;
  /** The answer to send when the home machine has stored how the client knows the session. */
  readonly held: RadiusAnswer | undefined;
}

type Packet = Extract<RadiusInput, { type: 'packet' }>;

/**
 * A RADIUS server (RFC 2865, RFC 3579, RFC 5080, RFC 5997) in front of the home machine: checks packets, finds their
 * clients, recognizes repeated requests, and translates requests and answers. It makes no access decision. A packet that
 * is not authentic is discarded without a trace but a count.
 */
export class RadiusServer {
  #config: RadiusConfig;
  #clients: RadiusClients;
  readonly #random: (octets: number) => Uint8Array;
  readonly #duplicates = new Duplicates();
  readonly #reports = new DropReports();
  readonly #asked = new Map<Token, Asked>();
  readonly #demands: RadiusDemands;
  /** The newest session at each place that clients name. */
  readonly #newest = new BoundedMap<string, string>(MAX_PLACES);
  readonly #connections = new RadiusConnections();
  #last = 0;
  #now = 0;
  #outputs: RadiusOutput[] = [];

  /** `random`: unpredictable octets. Its tokens are negative, so that they differ from those of Diameter. */
  constructor(config: RadiusConfig, random: (octets: number) => Uint8Array) {
    this.#config = config;
    this.#clients = new RadiusClients(config.clients);
    this.#random = random;
    this.#demands = new RadiusDemands(() => this.#unit());
  }

  get deadline(): number | undefined {
    return earliest([this.#duplicates.firstUntil, this.#demands.deadline]);
  }

  /** Number of requests that are remembered, including those without an answer. */
  get requests(): number {
    return this.#duplicates.size;
  }

  handle(input: RadiusInput, now: number): RadiusOutput[] {
    this.#now = now;
    this.#outputs = [];
    switch (input.type) {
      case 'packet':
        this.#packet(input);
        break;
      case 'answer':
        this.#answer(input.token, input.answer);
        break;
      case 'unserved':
        this.#withdraw(this.#taken(input.token)?.served);
        break;
      case 'forgetKeys':
        this.#duplicates.forget(input.sessionId);
        break;
      case 'configure':
        this.#configure(input.config);
        break;
      case 'sendDemand':
        this.#demand(input);
        break;
      case 'reply':
        this.#answered(input.octets, input.from);
        break;
      case 'opened':
        this.#connections.opened(input.local, input.names);
        break;
      case 'closed':
        this.#connections.closed(input.local);
        this.#lose(this.#demands.closed(input.local), 'the RADIUS client has closed its connection');
        break;
      case 'tick':
        this.#duplicates.expire(now);
        this.#repeatDemands();
    }
    return this.#outputs;
  }

  /** Answers to earlier requests would be signed with secrets that may have changed. */
  #configure(config: RadiusConfig): void {
    this.#config = config;
    this.#clients = new RadiusClients(config.clients);
    this.#duplicates.clear();
    this.#reports.clear();
  }

  #packet({ octets, end, service, names }: Packet): void {
    const client = names ? this.#clients.certified(names) : this.#clients.at(end.address);
    if (!client) {
      this.#drop('unknown-client', `no client has this ${names ? 'certificate' : 'address'}`, undefined, end);
      return;
    }
    let packet: RadiusPacket;
    try {
      packet = decodeRadius(octets);
    } catch (error) {
      this.#drop('malformed', reasonOf(error), client, end);
      return;
    }
    if (names && DEMAND_ANSWERS.includes(packet.code)) {
      if (this.#answered(octets, endOfConnection(end.local))) return;
      this.#drop('unexpected-code', `code ${packet.code} answers no request`, client, end);
      return;
    }
    if (!SERVED[service].includes(packet.code)) {
      this.#drop('unexpected-code', `code ${packet.code} at the port for ${service}`, client, end);
      return;
    }
    const authenticity = checkRequest(octets, client.secret);
    // RFC 2866 3: the authenticator of an Accounting-Request is a digest, and suffices.
    const isDigested = packet.code === CODE['Accounting-Request'] && authenticity === 'missing';
    if (authenticity !== 'authentic' && !isDigested) {
      const cause = authenticity === 'missing' ? 'no-message-authenticator' : 'wrong-authenticator';
      const detail = authenticity === 'missing' ? 'no Message-Authenticator' : 'wrong secret, or forged';
      this.#drop(cause, detail, client, end);
      return;
    }
    if (packet.code === CODE['Status-Server']) this.#status(packet, client, end, service);
    else this.#request(packet, client, end);
  }

  /** RFC 5997 4.2: each Status-Server is answered, repeated ones too. */
  #status(packet: RadiusPacket, client: RadiusClient, end: RadiusEnd, service: RadiusService): void {
    const code = service === 'accounting' ? CODE['Accounting-Response'] : CODE['Access-Accept'];
    this.#received(packet.code, client, undefined);
    this.#put({ type: 'send', octets: sign({ code, attributes: [] }, packet, client), end });
    this.#put({ type: 'served', code, client: client.name, sessionId: undefined, isRepeated: false, isStatus: true });
  }

  #request(packet: RadiusPacket, client: RadiusClient, end: RadiusEnd): void {
    const same = this.#duplicates.find(client, end, packet);
    if (same) {
      this.#received(packet.code, client, same.sessionId);
      // A request that is being processed needs no second answer.
      if (same.response) this.#send(same.response, same.response[0] ?? 0, client, end, same.sessionId, true);
      return;
    }
    try {
      if (packet.code === CODE['Accounting-Request']) this.#accounting(packet, client, end);
      else this.#access(packet, client, end);
    } catch (error) {
      this.#drop('invalid-attribute', reasonOf(error), client, end);
    }
  }

  #access(packet: RadiusPacket, client: RadiusClient, end: RadiusEnd): void {
    const fresh = newSessionId(client, toHex(this.#random(SESSION_RANDOM)));
    const request = readAccessRequest(packet, client, fresh, this.#config);
    const served = this.#duplicates.add(client, end, packet, this.#now);
    this.#received(packet.code, client, request?.sessionId);
    if (!request) {
      this.#respond(served, { code: CODE['Access-Reject'], attributes: [] });
      return;
    }
    served.sessionId = request.sessionId;
    this.#connections.uses(request.sessionId, end.local);
    this.#put({ type: 'home', input: { type: 'request', token: this.#ask(served, request.sessionId), request } });
  }

  /** RFC 2866 2: the answer says that the request was recorded. A session that is unknown is not made. */
  #accounting(packet: RadiusPacket, client: RadiusClient, end: RadiusEnd): void {
    const request = readAccounting(packet, client);
    const served = this.#duplicates.add(client, end, packet, this.#now);
    const answer: RadiusAnswer = { code: CODE['Accounting-Response'], attributes: [] };
    const { status, sessionId, report, cause } = request;
    this.#received(packet.code, client, sessionId);
    if (status === 'other' || sessionId === undefined) {
      this.#respond(served, answer);
      return;
    }
    this.#connections.uses(sessionId, end.local);
    this.#put({ type: 'accounted', client: client.name, request });
    const token = this.#ask(served, sessionId, answer);
    const { origin } = report;
    if (status === 'Stop') {
      this.#put({ type: 'home', input: { type: 'termination', token, request: { sessionId, origin, cause } } });
    } else {
      this.#put({ type: 'home', input: { type: 'report', token, report } });
    }
  }

  #ask(served: ServedRequest, sessionId: string, held?: RadiusAnswer): Token {
    this.#last -= 1;
    this.#asked.set(this.#last, { served, sessionId, held });
    return this.#last;
  }

  #taken(token: Token): Asked | undefined {
    const asked = this.#asked.get(token);
    this.#asked.delete(token);
    return asked;
  }

  #answer(token: Token, answer: HomeAnswer): void {
    const asked = this.#taken(token);
    // The client may have sent another request with this identifier, or be removed from the configuration.
    if (!asked || !this.#duplicates.has(asked.served)) return;
    const { served, sessionId, held } = asked;
    if (held) {
      this.#recorded(asked, held, answer);
      return;
    }
    const { client, packet: request } = served;
    const context = { client, request, sessionId, salt: Math.floor(this.#unit() * SALTS) };
    const written = writeAnswer(answer, context, this.#config);
    if (!written) {
      this.#withdraw(served);
    } else if (answer.type === 'accept') {
      const report = { sessionId, origin: originOf(client.name), nas: nasOf(request), octets: undefined };
      this.#newest.set(placeOf(report.origin, report.nas), sessionId);
      this.#put({ type: 'home', input: { type: 'report', token: this.#ask(served, sessionId, written), report } });
    } else {
      this.#respond(served, written, sessionId);
    }
  }

  /** The home machine has stored a report or the end of a session, or could not. */
  #recorded({ served, sessionId }: Asked, held: RadiusAnswer, answer: HomeAnswer): void {
    // The session of an Access-Accept is stored already. Without the report, only demands may not find it. A session of
    // another client counts as unknown.
    const isRecorded = answer.type !== 'denied' || answer.because === 'unknown-session';
    if (isRecorded || held.code === CODE['Access-Accept']) this.#respond(served, held, sessionId);
    else this.#withdraw(served);
  }

  #demand({ session, wall, token, demand }: Extract<RadiusInput, { type: 'sendDemand' }>): void {
    const client = this.#clients.named(clientOfOrigin(session.origin) ?? '');
    const newest = session.nas === undefined ? undefined : this.#newest.get(placeOf(session.origin, session.nas));
    if (demand === 'disconnect' && newest !== undefined && newest !== session.sessionId) {
      // The request would end the newer session, because the client knows both by the same names.
      const outcome = { result: 'SUCCESS', unknown: false, refused: false, over: true };
      this.#put({ type: 'home', input: { type: 'demandAnswered', token, outcome } });
      return;
    }
    const connection = client && this.#connections.find(session.sessionId, client.name, this.#clients);
    const sent = this.#demands.send({ token, demand, session }, client, connection, this.#now, wall);
    if ('failure' in sent) this.#put({ type: 'home', input: { type: 'demandAnswered', token, outcome: sent } });
    else this.#sendRequest(sent);
  }

  /** Takes an answer to a demand. Returns whether it is one. */
  #answered(octets: Uint8Array, from: RadiusPlace): boolean {
    const answered = this.#demands.receive(octets, from);
    if (!answered) return false;
    const { token, outcome, code, about } = answered;
    this.#put({ type: 'packet', direction: 'in', code, ...about });
    this.#put({ type: 'home', input: { type: 'demandAnswered', token, outcome } });
    return true;
  }

  #repeatDemands(): void {
    const { repeat, lost } = this.#demands.tick(this.#now);
    for (const request of repeat) this.#sendRequest(request);
    this.#lose(lost, 'the RADIUS client does not answer');
  }

  #lose(tokens: readonly Token[], failure: string): void {
    for (const token of tokens) {
      this.#put({ type: 'home', input: { type: 'demandAnswered', token, outcome: { failure } } });
    }
  }

  #sendRequest({ octets, address, port, isReliable, about }: DemandPacket): void {
    this.#put({ type: 'packet', direction: 'out', code: octets[0] ?? 0, ...about });
    if (isReliable) this.#put({ type: 'send', octets, end: { address, port, local: address } });
    else this.#put({ type: 'sendRequest', octets, to: { address, port } });
  }

  /** A number from [0, 1). */
  #unit(): number {
    const [high = 0, low = 0] = this.#random(2);
    return ((high << 8) | low) / 0x1_0000;
  }

  #respond(served: ServedRequest, answer: RadiusAnswer, sessionId?: string): void {
    const { client, end, packet } = served;
    served.response = sign(answer, packet, client);
    this.#send(served.response, answer.code, client, end, sessionId, false);
  }

  /** Leaves a request unanswered. A repeated one is processed again. */
  #withdraw(served: ServedRequest | undefined): void {
    if (!served) return;
    this.#duplicates.remove(served);
    this.#drop('not-served', 'the server cannot decide now', served.client, served.end);
  }

  #received(code: number, { name }: RadiusClient, sessionId: string | undefined): void {
    this.#put({ type: 'packet', direction: 'in', code, client: name, sessionId });
  }

  #send(
    octets: Uint8Array,
    code: number,
    client: RadiusClient,
    end: RadiusEnd,
    sessionId: string | undefined,
    isRepeated: boolean,
  ): void {
    this.#put({ type: 'send', octets, end });
    this.#put({ type: 'served', code, client: client.name, sessionId, isRepeated });
  }

  #drop(cause: DropCause, detail: string, client: RadiusClient | undefined, { address }: RadiusEnd): void {
    const report = this.#reports.dropped(client?.name, address, this.#now);
    this.#put({ type: 'dropped', cause, detail, client: client?.name, address, report });
  }

  #put(output: RadiusOutput): void {
    this.#outputs.push(output);
  }
}

/** RFC 2865 5.33: the Proxy-State attributes of the request are returned unchanged and in order. */
function sign({ code, attributes }: RadiusAnswer, request: RadiusPacket, { secret }: RadiusClient): Uint8Array {
  const states: readonly Attribute[] = request.attributes.filter(({ type }) => type === PROXY_STATE);
  const response = { code, identifier: request.identifier, attributes: [...attributes, ...states] };
  const encode = request.code === CODE['Accounting-Request'] ? encodeAccountingResponse : encodeResponse;
  return encode(response, request.authenticator, secret);
}

/** The message of a DecodeError. Throws other errors. */
function reasonOf(error: unknown): string {
  if (error instanceof DecodeError) return error.message;
  throw error;
}
