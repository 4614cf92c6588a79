import { DecodeError } from '../bytes/decode-error.js';
import { decodeEap, EAP_CODE, EAP_TYPE, type EapPacket, encodeEap } from './codec.js';
import { ACKNOWLEDGEMENT, decodeEapTls, type EapTlsData, encodeEapTls } from './eap-tls.js';
import { FragmentExchange, MAX_FLIGHT } from './fragments.js';
import type { Refusal } from './refusal.js';
import {
  type Accepted,
  type ServerTlsInput,
  type ServerTlsQuestion,
  type ServerTlsStep,
  TlsAuthenticator,
} from './tls-authenticator.js';

/**
 * Maximum number of EAP packets in a conversation. A certificate chain of 64 KiB at the smallest practical MTU needs
 * fewer.
 */
export const MAX_SERVER_ROUNDS = 128;

/** Maximum number of characters of a claimed identity that are stored. */
export const MAX_IDENTITY = 253;

/** RFC 4072 2.4: number of invalid packets after which the conversation ends. */
export const MAX_INVALID = 5;

/** Maximum number of methods of a Nak that the reason lists. */
const MAX_METHODS = 8;

const NOTHING = new Uint8Array(0);

/** Answers to one Response. */
export type EapServerAnswer<G> =
  | { readonly type: 'request'; readonly packet: Uint8Array }
  /** The receiver takes ownership of the keys. */
  | ({ readonly type: 'success'; readonly packet: Uint8Array } & Accepted<G>)
  /** The conversation ended without a decision about the client, which may try again. */
  | { readonly type: 'busy'; readonly packet: undefined }
  | { readonly type: 'failure'; readonly packet: Uint8Array; readonly reason: Refusal; readonly detail: string }
  /** The packet is not a Response to the last Request, which is `packet` (RFC 4072 2.4, EAP-Reissued-Payload). */
  | { readonly type: 'invalid'; readonly packet: Uint8Array | undefined; readonly reason: string };

export type AuthenticatorInput<G> =
  /** One Response. Empty at the start (RFC 4072 3.1). */
  | { readonly type: 'response'; readonly octets: Uint8Array }
  | ServerTlsInput<G>
  /** An internal error ends this conversation. */
  | { readonly type: 'fault' }
  /** Ends the conversation. A Response that is still being processed gets `invalid`. */
  | { readonly type: 'close' };

/** Each Response gets exactly one answer: immediately, or after the questions to the TLS engine have been answered. */
export type AuthenticatorOutput<G> = ServerTlsQuestion | EapServerAnswer<G>;

export interface AuthenticatorOptions {
  /** Maximum size of EAP packets to send, in octets. */
  readonly mtu: number;
  /**
   * Maximum size of a TLS flight of the client, which consists mostly of certificates, in octets; undefined:
   * MAX_FLIGHT.
   */
  readonly maxFlight?: number | undefined;
  /**
   * The Identifier before that of the first Request, 0 to 255. It is random, so that off-path attackers cannot guess
   * the Identifiers.
   */
  readonly identifier: number;
}

/**
 * The server side of one EAP conversation with EAP-TLS (RFC 3748, 5216, 9190), in lock step. It has no deadline: PANA
 * retransmits Requests, and the caller drops a silent conversation. The caller must perform all outputs of a step
 * before it provides the next input.
 */
export class EapAuthenticator<G> {
  readonly #fragments: FragmentExchange;
  readonly #tls = new TlsAuthenticator<G>();
  #request: Uint8Array | undefined;
  #identifier: number;
  #identity: string | undefined;
  #rounds = 0;
  #invalid = 0;
  #over = false;

  constructor({ mtu, maxFlight = MAX_FLIGHT, identifier }: AuthenticatorOptions) {
    this.#fragments = new FragmentExchange(mtu, maxFlight);
    this.#identifier = identifier;
  }

  /** Whether the client has proven possession of an accepted certificate. */
  get proven(): boolean {
    return this.#tls.proven;
  }

  /** The identity that the peer claimed, unprotected. */
  get claimedIdentity(): string | undefined {
    return this.#identity;
  }

  /** Whether a Response is still being processed. */
  get busy(): boolean {
    return this.#tls.busy;
  }

  handle(input: AuthenticatorInput<G>): AuthenticatorOutput<G>[] {
    if (input.type === 'response') return this.#response(input.octets);
    if (input.type === 'close') return this.#close();
    if (input.type === 'fault') return this.#over ? [] : this.#fail('protocol', 'internal error');
    return this.#perform(this.#tls.answered(input));
  }

  #close(): AuthenticatorOutput<G>[] {
    const isDue = this.#tls.busy;
    this.#over = true;
    this.#tls.close();
    return [{ type: 'abandon' }, ...(isDue ? [this.#stray('the conversation is over')] : [])];
  }

  #response(octets: Uint8Array): AuthenticatorOutput<G>[] {
    if (this.#over) return [this.#stray('the conversation is over')];
    // RFC 3748 2: EAP is a lock-step protocol. A packet that arrives before the last Response was processed cannot be a
    // valid Response.
    if (this.#tls.busy) return [this.#stray('the previous Response is still being processed')];
    if (octets.length === 0 && !this.#request) return this.#ask(EAP_TYPE.IDENTITY, NOTHING);
    let packet: EapPacket;
    try {
      packet = decodeEap(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return this.#isInvalid(error.message);
    }
    if (packet.code === EAP_CODE.REQUEST) {
      // RFC 4072 2.8.4: a server does not answer Requests.
      this.#identifier = packet.identifier;
      return this.#fail('protocol', 'received an EAP Request');
    }
    if (packet.code !== EAP_CODE.RESPONSE || packet.type === undefined)
      return this.#isInvalid(`unexpected EAP code ${packet.code}`);
    // RFC 3748 4.1: the Identifier of a Response matches that of the Request.
    if (this.#request && packet.identifier !== this.#request[1]) return this.#isInvalid('wrong EAP identifier');
    this.#identifier = packet.identifier;
    this.#rounds += 1;
    if (this.#rounds > MAX_SERVER_ROUNDS)
      return this.#fail('too-many-rounds', `more than ${MAX_SERVER_ROUNDS} packets`);
    return this.#method(packet.type, packet.data);
  }

  #method(type: number, data: Uint8Array): AuthenticatorOutput<G>[] {
    switch (type) {
      case EAP_TYPE.IDENTITY:
        if (this.#tls.begun) return this.#isInvalid('Identity after the method began');
        this.#identity = Buffer.from(data).toString('utf8').slice(0, MAX_IDENTITY);
        return this.#ask(EAP_TYPE.EAP_TLS, encodeEapTls({ ...ACKNOWLEDGEMENT, start: true }));
      case EAP_TYPE.NAK:
        // RFC 3748 5.3.1: a Nak is valid only in reply to the first Request of a method.
        if (this.#tls.begun) return this.#isInvalid('Nak after the method began');
        return this.#fail('no-common-method', `the peer requests method ${methodsOf(data)}`);
      case EAP_TYPE.EAP_TLS:
        return this.#eapTls(data);
      default:
        return this.#isInvalid(`unexpected EAP type ${type}`);
    }
  }

  #eapTls(octets: Uint8Array): AuthenticatorOutput<G>[] {
    let data: EapTlsData;
    try {
      data = decodeEapTls(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return this.#fail('fragments', error.message);
    }
    const step = this.#fragments.receive(data);
    switch (step.type) {
      case 'fragment':
        return this.#askTls(step.data);
      case 'acknowledge': {
        // After the handshake the client must not send a flight in fragments.
        const refused = this.#perform(this.#tls.flight(data.fragment, false));
        return refused.length > 0 ? refused : this.#askTls(step.data);
      }
      case 'flight':
        return this.#perform(this.#tls.flight(step.flight));
      case 'refused':
        return this.#fail('fragments', step.detail);
    }
  }

  #perform(steps: readonly ServerTlsStep<G>[]): AuthenticatorOutput<G>[] {
    return steps.flatMap((step): AuthenticatorOutput<G>[] => {
      switch (step.type) {
        case 'send':
          return this.#askTls(this.#fragments.send(step.flight));
        case 'accepted':
          this.#over = true;
          return [{ type: 'success', packet: this.#end(EAP_CODE.SUCCESS), ...step.accepted }];
        case 'refused':
          return this.#fail(step.reason, step.detail);
        case 'turnedAway':
          this.#over = true;
          return [{ type: 'busy', packet: undefined }];
        default:
          return [step];
      }
    });
  }

  #askTls(data: EapTlsData): AuthenticatorOutput<G>[] {
    return this.#ask(EAP_TYPE.EAP_TLS, encodeEapTls(data));
  }

  #ask(type: number, data: Uint8Array): AuthenticatorOutput<G>[] {
    // RFC 3748 4.1: each new Request must have a different Identifier.
    this.#identifier = (this.#identifier + 1) & 0xff;
    this.#request = encodeEap({ code: EAP_CODE.REQUEST, identifier: this.#identifier, type, data });
    return [{ type: 'request', packet: this.#request }];
  }

  /** RFC 3748 4.2: Success and Failure have the Identifier of the Response. */
  #end(code: number): Uint8Array {
    return encodeEap({ code, identifier: this.#identifier, type: undefined, data: NOTHING });
  }

  #fail(reason: Refusal, detail: string): AuthenticatorOutput<G>[] {
    this.#over = true;
    this.#tls.close();
    return [{ type: 'abandon' }, { type: 'failure', packet: this.#end(EAP_CODE.FAILURE), reason, detail }];
  }

  #isInvalid(reason: string): AuthenticatorOutput<G>[] {
    this.#invalid += 1;
    if (this.#invalid <= MAX_INVALID) return [this.#stray(reason)];
    return this.#fail('protocol', `${MAX_INVALID} invalid packets, last: ${reason}`);
  }

  #stray(reason: string): AuthenticatorOutput<G> {
    return { type: 'invalid', packet: this.#request, reason };
  }
}

/** Formats the methods of a Nak. A Nak can be as long as an EAP packet, so the list is truncated. */
function methodsOf(types: Uint8Array): string {
  const some = types.subarray(0, MAX_METHODS).join(', ');
  return types.length > MAX_METHODS ? `${some} and ${types.length - MAX_METHODS} more` : some;
}
