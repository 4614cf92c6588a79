import { DecodeError } from '../../bytes/decode-error.js';
import { toHex } from '../../bytes/octets.js';
import { checkRequest, encodeResponse } from '../../radius/wire/authenticators.js';
import { type Attribute, CODE, decodeRadius, type RadiusPacket } from '../../radius/wire/codec.js';
import { ATTRIBUTES } from '../../radius/wire/dictionary.js';
import type { HomeAnswer, Token } from '../alphabet.js';
import { newSessionId, type RadiusAnswer, readAccessRequest, SESSION_RANDOM, writeAnswer } from './access.js';
import type { DropCause, RadiusConfig, RadiusEnd, RadiusInput, RadiusOutput, RadiusService } from './alphabet.js';
import { type RadiusClient, RadiusClients } from './clients.js';
import { DropReports } from './drop-reports.js';
import { Duplicates, type ServedRequest } from './duplicates.js';

/** Packets that each service takes. */
const SERVED: Readonly<Record<RadiusService, readonly number[]>> = {
  authentication: [CODE['Access-Request'], CODE['Status-Server']],
  accounting: [CODE['Status-Server']],
  any: [CODE['Access-Request'], CODE['Status-Server']],
};

const PROXY_STATE = ATTRIBUTES['Proxy-State'].type;

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
  /** Requests that the home machine processes. */
  readonly #asked = new Map<Token, ServedRequest>();
  #last = 0;
  #now = 0;
  #outputs: RadiusOutput[] = [];

  /** `random`: unpredictable octets. Its tokens are negative, so that they differ from those of Diameter. */
  constructor(config: RadiusConfig, random: (octets: number) => Uint8Array) {
    this.#config = config;
    this.#clients = new RadiusClients(config.clients);
    this.#random = random;
  }

  get deadline(): number | undefined {
    return this.#duplicates.firstUntil;
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
        this.#withdraw(this.#taken(input.token));
        break;
      case 'forgetKeys':
        this.#duplicates.forget(input.sessionId);
        break;
      case 'configure':
        this.#configure(input.config);
        break;
      case 'tick':
        this.#duplicates.expire(now);
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

  #packet({ octets, end, service, client: name }: Packet): void {
    const client = name === undefined ? this.#clients.at(end.address) : this.#clients.named(name);
    if (!client) {
      this.#drop('unknown-client', 'no client has this address', undefined, end);
      return;
    }
    let packet: RadiusPacket;
    try {
      packet = decodeRadius(octets);
    } catch (error) {
      this.#drop('malformed', reasonOf(error), client, end);
      return;
    }
    if (!SERVED[service].includes(packet.code)) {
      this.#drop('unexpected-code', `code ${packet.code} at the port for ${service}`, client, end);
      return;
    }
    const authenticity = checkRequest(octets, client.secret);
    if (authenticity !== 'authentic') {
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
    this.#send(sign({ code, attributes: [] }, packet, client), code, client, end, false);
  }

  #request(packet: RadiusPacket, client: RadiusClient, end: RadiusEnd): void {
    const same = this.#duplicates.find(client, end, packet);
    if (same) {
      // A request that is being processed needs no second answer.
      if (same.response) this.#send(same.response, same.response[0] ?? 0, client, end, true);
      return;
    }
    try {
      const fresh = newSessionId(client, toHex(this.#random(SESSION_RANDOM)));
      const request = readAccessRequest(packet, client, fresh, this.#config);
      const served = this.#duplicates.add(client, end, packet, this.#now);
      if (!request) {
        this.#respond(served, { code: CODE['Access-Reject'], attributes: [] });
        return;
      }
      served.sessionId = request.sessionId;
      this.#last -= 1;
      this.#asked.set(this.#last, served);
      this.#put({ type: 'home', input: { type: 'request', token: this.#last, request } });
    } catch (error) {
      this.#drop('invalid-attribute', reasonOf(error), client, end);
    }
  }

  #taken(token: Token): ServedRequest | undefined {
    const served = this.#asked.get(token);
    this.#asked.delete(token);
    return served;
  }

  #answer(token: Token, answer: HomeAnswer): void {
    const served = this.#taken(token);
    // The client may have sent another request with this identifier, or be removed from the configuration.
    if (!served || !this.#duplicates.has(served)) return;
    const { client, packet: request, sessionId = '' } = served;
    const [high = 0, low = 0] = this.#random(2);
    const context = { client, request, sessionId, salt: ((high << 8) | low) & 0x7fff };
    const written = writeAnswer(answer, context, this.#config);
    if (written) this.#respond(served, written);
    else this.#withdraw(served);
  }

  #respond(served: ServedRequest, answer: RadiusAnswer): void {
    const { client, end, packet } = served;
    served.response = sign(answer, packet, client);
    this.#send(served.response, answer.code, client, end, false);
  }

  /** Leaves a request unanswered. A repeated one is processed again. */
  #withdraw(served: ServedRequest | undefined): void {
    if (!served) return;
    this.#duplicates.remove(served);
    this.#drop('not-served', 'the server cannot decide now', served.client, served.end);
  }

  #send(octets: Uint8Array, code: number, client: RadiusClient, end: RadiusEnd, isRepeated: boolean): void {
    this.#put({ type: 'send', octets, end });
    this.#put({ type: 'served', code, client: client.name, isRepeated });
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
  return encodeResponse(response, request.authenticator, secret);
}

/** The message of a DecodeError. Throws other errors. */
function reasonOf(error: unknown): string {
  if (error instanceof DecodeError) return error.message;
  throw error;
}
