import { Drbg } from '../../../../src/protocol/bytes/drbg.js';
import { encodeUtf8 } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import type { AccessRequest, HomeAnswer, Token } from '../../../../src/protocol/home/alphabet.js';
import type {
  RadiusConfig,
  RadiusEnd,
  RadiusInput,
  RadiusOutput,
  RadiusService,
} from '../../../../src/protocol/home/radius/alphabet.js';
import type { RadiusClient } from '../../../../src/protocol/home/radius/clients.js';
import { RadiusServer } from '../../../../src/protocol/home/radius/server.js';
import { AttributeReader, attribute } from '../../../../src/protocol/radius/wire/attributes.js';
import {
  checkResponse,
  encodeDigestedRequest,
  encodeRandomRequest,
} from '../../../../src/protocol/radius/wire/authenticators.js';
import { type Attribute, CODE, decodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { SECRET } from '../../radius/wire/vectors.js';
import { IDENTITY } from '../home-rig.js';

export const NAS: RadiusEnd = { address: '192.0.2.7', port: 50_000, local: '127.0.0.1|1812' };
export const VENDOR = 32473;

export function clientOf(name: string, from: readonly string[], more: Partial<RadiusClient> = {}): RadiusClient {
  return { name, from, secret: SECRET, isHomeAgent: false, dynamic: undefined, ...more };
}

export const HA_SECRET = Secret.take(encodeUtf8('secret of the home agent'));

const CONFIG: RadiusConfig = {
  clients: [
    clientOf('ap1', ['192.0.2.0/24', '2001:db8:ff::/64']),
    clientOf('ha1', ['192.0.2.99'], { isHomeAgent: true, secret: HA_SECRET }),
  ],
  vendorId: VENDOR,
  realm: 'home.example',
};

type Of<T extends RadiusOutput['type']> = Extract<RadiusOutput, { type: T }>;

/** The RADIUS server in virtual time. The test acts as its clients and as the home machine. */
export class RadiusRig {
  readonly machine: RadiusServer;
  now = 0;
  outputs: RadiusOutput[] = [];
  readonly #drbg = new Drbg(Uint8Array.of(1));
  #identifier = 0;

  constructor(config: Partial<RadiusConfig> = {}) {
    this.machine = new RadiusServer({ ...CONFIG, ...config }, (octets) => this.#drbg.bytes(octets));
  }

  /** The packets so far: direction, code, client, session. */
  readonly packets: (readonly ['in' | 'out', number, string, string | undefined])[] = [];

  /** Returns the outputs without those that only tell of packets. */
  feed(input: RadiusInput): readonly RadiusOutput[] {
    this.outputs = this.machine.handle(input, this.now).filter((output) => {
      const { type } = output;
      if (type === 'packet') this.packets.push([output.direction, output.code, output.client, output.sessionId]);
      if (type === 'served') this.packets.push(['out', output.code, output.client, output.sessionId]);
      return type !== 'packet';
    });
    return this.outputs;
  }

  packet(octets: Uint8Array, end: Partial<RadiusEnd> = {}, service: RadiusService = 'authentication') {
    return this.feed({ type: 'packet', octets, end: { ...NAS, ...end }, service, names: undefined });
  }

  /** An authentic Access-Request with a new identifier. */
  request(attributes: readonly Attribute[] = attribute('EAP-Message', IDENTITY), secret = SECRET): Uint8Array {
    this.#identifier = (this.#identifier + 1) % 256;
    const request = { code: CODE['Access-Request'], identifier: this.#identifier, attributes };
    return encodeRandomRequest(request, this.#drbg.bytes(16), secret);
  }

  of<T extends RadiusOutput['type']>(type: T): Of<T>[] {
    return this.outputs.filter((output): output is Of<T> => output.type === type);
  }

  /** The request that the home machine has got. */
  get asked(): { readonly token: Token; readonly request: AccessRequest } {
    const [output] = this.of('home');
    if (output?.input.type !== 'request') throw new Error('no request');
    return output.input;
  }

  /** What the home machine has to store about sessions. */
  get reports() {
    return this.of('home').flatMap(({ input }) => (input.type === 'report' ? [input] : []));
  }

  /** An authentic Accounting-Request with a new identifier. */
  accounting(attributes: readonly Attribute[], secret = SECRET): Uint8Array {
    this.#identifier = (this.#identifier + 1) % 256;
    return encodeDigestedRequest(
      { code: CODE['Accounting-Request'], identifier: this.#identifier, attributes },
      secret,
    );
  }

  /** The answer that was sent, checked with the secret. */
  sent(request: Uint8Array, secret = SECRET) {
    const [output, second] = this.of('send');
    if (!output || second) throw new Error('not one answer');
    const packet = decodeRadius(output.octets);
    const authenticity = checkResponse(output.octets, decodeRadius(request).authenticator, secret);
    const hiding = { secret, requestAuthenticator: decodeRadius(request).authenticator };
    return { ...output, packet, authenticity, reader: new AttributeReader(packet, hiding) };
  }

  /** Sends a request and answers it as the home machine. */
  serve(answer: HomeAnswer, request = this.request(), end: Partial<RadiusEnd> = {}, secret = SECRET) {
    this.packet(request, end);
    this.feed({ type: 'answer', token: this.asked.token, answer });
    const [report] = this.reports;
    if (report) this.feed({ type: 'answer', token: report.token, answer: { type: 'reported', known: true } });
    return this.sent(request, secret);
  }
}
