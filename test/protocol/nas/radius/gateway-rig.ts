import { encodeUtf8 } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { answerTo } from '../../../../src/protocol/diameter/wire/answers.js';
import type { DiameterMessage } from '../../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, DEA, DER, STA, STR } from '../../../../src/protocol/diameter/wire/commands.js';
import { Dictionary, TERMINATION_CAUSE } from '../../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian, isViolation } from '../../../../src/protocol/diameter/wire/grammar.js';
import type { GatewayInput, GatewayOutput } from '../../../../src/protocol/nas/radius/alphabet.js';
import { RadiusGateway } from '../../../../src/protocol/nas/radius/gateway.js';
import type { RadiusService } from '../../../../src/protocol/radius/client/alphabet.js';
import { AttributeReader, attribute, mppeKeys } from '../../../../src/protocol/radius/wire/attributes.js';
import {
  encodeAccountingResponse,
  encodeDigestedRequest,
  encodeResponse,
} from '../../../../src/protocol/radius/wire/authenticators.js';
import { type Attribute, CODE, decodeRadius } from '../../../../src/protocol/radius/wire/codec.js';

export const VENDOR = 32473;
export const secret = Secret.take(encodeUtf8('a secret of the test'));
export const other = Secret.take(encodeUtf8('another secret'));
export const MSK = Uint8Array.from({ length: 64 }, (_, i) => i);
export const CALLING = '2001-db8--7';
export const EAP_SUCCESS = Uint8Array.of(3, 1, 0, 4);
/** The clock at the start, in milliseconds since 1970. */
export const WALL = 1_800_000_000_000;

const grammarian = new Grammarian(new Dictionary(VENDOR));
const ORIGIN = { host: 'paa.access.example', realm: 'access.example' };

export type Sent = Extract<GatewayOutput, { type: 'send' }>;

export interface RigOptions {
  readonly servers?: readonly string[];
  readonly statusServer?: boolean;
  readonly accounting?: boolean;
  readonly interim?: number;
}

/** The lines of attributes of a session in an Access-Accept. */
export function accepting({ octets }: Sent, more: readonly Attribute[] = []): Attribute[] {
  const requestAuthenticator = decodeRadius(octets).authenticator;
  const keys = mppeKeys(Secret.copyOf(MSK), 0x1234, { secret, requestAuthenticator });
  return [...attribute('EAP-Message', EAP_SUCCESS), ...keys, ...more];
}

/** A gateway with a clock that only the test moves. */
export class GatewayRig {
  now = 0;
  /** By how much the clock was set, in milliseconds. */
  step = 0;
  readonly out: { readonly at: number; readonly output: GatewayOutput }[] = [];
  readonly gateway: RadiusGateway;
  #token = 0;

  constructor({ servers = ['one'], statusServer = false, accounting = true, interim = 0 }: RigOptions = {}) {
    const client = {
      servers: servers.map((name) => ({ name, secret, accounting, statusServer, isReliable: false })),
      watchdog: 30_000,
      requestTimeout: 30_000,
      identity: attribute('NAS-Identifier', ORIGIN.host),
    };
    const config = { client, ownVendor: VENDOR, portType: 5, interimInterval: interim };
    this.gateway = new RadiusGateway(ORIGIN, config, new Uint8Array(32), 0);
  }

  get wall(): number {
    return WALL + this.now + this.step;
  }

  /** The packets so far, as their events tell them: direction, code, session. */
  readonly packets: (readonly ['in' | 'out', number, string | undefined])[] = [];

  /** Returns the outputs without the events of packets. */
  feed(input: GatewayInput): GatewayOutput[] {
    const outputs = this.gateway.handle(input, this.now, this.wall).filter((output) => {
      if (output.type !== 'event' || output.event.type !== 'packet') return true;
      const { direction, code, sessionId } = output.event;
      this.packets.push([direction, code, sessionId]);
      return false;
    });
    for (const output of outputs) this.out.push({ at: this.now, output });
    return outputs;
  }

  /** Runs the timers up to this time. */
  until(time: number): void {
    for (let due = this.gateway.deadline; due !== undefined && due <= time; due = this.gateway.deadline) {
      this.now = Math.max(this.now, due);
      this.feed({ type: 'tick' });
    }
    this.now = time;
  }

  ask(sessionId: string, more: object = {}): { readonly token: number; readonly out: GatewayOutput[] } {
    const message = grammarian.message(DER, APPLICATION.EAP, {
      'Session-Id': sessionId,
      'Auth-Application-Id': APPLICATION.EAP,
      'Origin-Host': ORIGIN.host,
      'Origin-Realm': ORIGIN.realm,
      'Destination-Realm': 'home.example',
      'Auth-Request-Type': 3,
      'User-Name': '@home.example',
      'Calling-Station-Id': CALLING,
      'Framed-MTU': 1_000,
      'EAP-Payload': Uint8Array.of(2, 1, 0, 5, 1),
      ...more,
    });
    return this.#request(message);
  }

  end(sessionId: string): { readonly token: number; readonly out: GatewayOutput[] } {
    const message = grammarian.message(STR, APPLICATION.EAP, {
      'Session-Id': sessionId,
      'Origin-Host': ORIGIN.host,
      'Origin-Realm': ORIGIN.realm,
      'Destination-Realm': 'home.example',
      'Auth-Application-Id': APPLICATION.EAP,
      'Termination-Cause': TERMINATION_CAUSE.LOGOUT,
    });
    return this.#request(message);
  }

  #request(message: DiameterMessage) {
    this.#token += 1;
    const token = this.#token;
    return { token, out: this.feed({ type: 'request', token, message, target: {}, timeout: 30_000 }) };
  }

  /** A server answers. */
  respond(sent: Sent, code: number, attributes: readonly Attribute[], key = secret): GatewayOutput[] {
    const { identifier, authenticator } = decodeRadius(sent.octets);
    const encode = sent.service === 'accounting' ? encodeAccountingResponse : encodeResponse;
    return this.deliver(sent, encode({ code, identifier, attributes }, authenticator, key));
  }

  deliver({ server, service, socket }: Sent, octets: Uint8Array): GatewayOutput[] {
    return this.feed({ type: 'datagram', server, service, socket, octets });
  }

  /** A server grants a session, whose accounting starts. */
  open(sessionId: string, more: readonly Attribute[] = [], der: object = {}): void {
    const sent = sendIn(this.ask(sessionId, der).out);
    this.respond(sent, CODE['Access-Accept'], accepting(sent, more));
    this.feed({ type: 'started', sessionId });
  }

  /** A server acknowledges an Accounting-Request. */
  acknowledge(sent: Sent): void {
    this.respond(sent, CODE['Accounting-Response'], []);
  }

  /** What was sent to servers for this service. */
  sent(service: RadiusService): { readonly at: number; readonly sent: Sent }[] {
    return this.out.flatMap(({ at, output }) =>
      output.type === 'send' && output.service === service ? [{ at, sent: output }] : [],
    );
  }

  /** Acct-Status-Type of the Accounting-Requests, with the times of their first transmission. */
  accounting(): { readonly at: number; readonly status: number | undefined; readonly reader: AttributeReader }[] {
    return this.sent('accounting').map(({ at, sent }) => {
      const reader = readerOf(sent);
      return { at, status: reader.one('Acct-Status-Type'), reader };
    });
  }

  /** A Disconnect-Request or CoA-Request arrives. */
  dynamic(octets: Uint8Array, { port = 4_000, servers = ['one'] }: { port?: number; servers?: string[] } = {}) {
    return this.feed({ type: 'dynamic', octets, from: { address: '192.0.2.5', port, local: 'dae' }, servers });
  }

  /** The NAS answers the request that it serves. */
  serve(outputs: readonly GatewayOutput[], result: number): GatewayOutput[] {
    const serve = outputs.find((output) => output.type === 'serve');
    if (serve?.type !== 'serve') throw new Error(`nothing to serve in ${JSON.stringify(outputs)}`);
    const avps = grammarian.write(STA, {
      'Session-Id': 's',
      'Result-Code': result,
      'Origin-Host': ORIGIN.host,
      'Origin-Realm': ORIGIN.realm,
    });
    return this.feed({ type: 'answer', token: serve.token, message: answerTo(serve.message, avps) });
  }
}

export function readerOf({ octets }: { readonly octets: Uint8Array }): AttributeReader {
  return new AttributeReader(decodeRadius(octets));
}

export function sendIn(outputs: readonly GatewayOutput[]): Sent {
  const found = outputs.find((output) => output.type === 'send');
  if (found?.type !== 'send') throw new Error('nothing was sent');
  return found;
}

/** The DEA in these outputs. */
export function deaIn(outputs: readonly GatewayOutput[]) {
  const found = outputs.find((output) => output.type === 'answered');
  if (found?.type !== 'answered') throw new Error(`no answer in ${JSON.stringify(outputs)}`);
  const dea = grammarian.read(DEA, found.message);
  if (isViolation(dea)) throw new Error(dea.text);
  return dea;
}

/** The reply to a Disconnect-Request or CoA-Request in these outputs. */
export function replyIn(outputs: readonly GatewayOutput[]): Uint8Array {
  const found = outputs.find((output) => output.type === 'reply');
  if (found?.type !== 'reply') throw new Error(`no reply in ${JSON.stringify(outputs)}`);
  return found.octets;
}

/** Names of the events. */
export function eventsIn(outputs: readonly GatewayOutput[]): string[] {
  return outputs.flatMap((output) => (output.type === 'event' ? [describe(output.event)] : []));
}

function describe(event: Extract<GatewayOutput, { type: 'event' }>['event']): string {
  return 'code' in event && typeof event.code === 'string' ? `${event.type} ${event.code}` : event.type;
}

export interface Asking {
  readonly code?: number;
  readonly identifier?: number;
  /** Milliseconds since 1970; undefined: no Event-Timestamp. */
  readonly time?: number | undefined;
  readonly key?: Secret;
}

/** A request of a server (RFC 5176). */
export function asked(attributes: readonly Attribute[], asking: Asking = {}): Uint8Array {
  const { code = CODE['Disconnect-Request'], identifier = 1, key = secret } = asking;
  const time = 'time' in asking ? asking.time : WALL;
  const stamp = time === undefined ? [] : attribute('Event-Timestamp', time);
  return encodeDigestedRequest({ code, identifier, attributes: [...attributes, ...stamp] }, key);
}
