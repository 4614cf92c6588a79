import { DecodeError } from '../bytes/decode-error.js';
import { encodeUtf8, equalOctets } from '../bytes/octets.js';
import { decodeEap, EAP_CODE, EAP_TYPE, type EapPacket, encodeEap } from './codec.js';
import { decodeEapTls, type EapTlsData, encodeEapTls } from './eap-tls.js';
import { FragmentExchange } from './fragments.js';
import type { EapKeys } from './keys.js';
import { type PeerFailure, type PeerTlsInput, type PeerTlsQuestion, type PeerTlsStep, TlsPeer } from './tls-peer.js';

/** Maximum number of EAP-TLS packets in a conversation; the peer then aborts. */
export const MAX_PEER_ROUNDS = 128;

const NOTHING = new Uint8Array(0);

export type PeerInput =
  /** One EAP packet from the authenticator. */
  | { readonly type: 'packet'; readonly octets: Uint8Array }
  | PeerTlsInput
  /** Discards all state. No further outputs follow. */
  | { readonly type: 'close' };

/** Events for the lower layer, PANA. */
export type EapPeerEvent =
  | { readonly type: 'response'; readonly packet: Uint8Array }
  /**
   * The server has committed to success: in TLS 1.3 with the octet 0x00 (RFC 9190 2.5). The receiver takes ownership of
   * the keys.
   */
  | ({ readonly type: 'keys'; readonly tlsVersion: string; readonly resumed: boolean } & EapKeys)
  | { readonly type: 'succeeded' }
  | { readonly type: 'failed'; readonly reason: PeerFailure; readonly detail: string }
  | { readonly type: 'discarded'; readonly reason: string };

export type PeerOutput = PeerTlsQuestion | EapPeerEvent;

export interface PeerMethodOptions {
  /** Sent unprotected. `@realm` reveals only what routing needs (RFC 9190 2.1.7). */
  readonly identity: string;
  /** Maximum size of EAP packets to send, in octets. */
  readonly mtu: number;
}

interface AskedPacket {
  readonly octets: Uint8Array;
  readonly identifier: number;
}

/**
 * The peer side of one EAP conversation with EAP-TLS (RFC 3748, 5216, 9190). It has no deadline: PANA retransmits, and
 * ends a session that makes no progress. The caller must perform all outputs of a step before it provides the next
 * input.
 */
export class EapPeerMethod {
  readonly #identity: string;
  readonly #fragments: FragmentExchange;
  readonly #tls = new TlsPeer();
  #last: { readonly request: Uint8Array; readonly response: Uint8Array } | undefined;
  /** The EAP-TLS Request that awaits a Response. */
  #asked: AskedPacket = { octets: NOTHING, identifier: 0 };
  #rounds = 0;
  #closed = false;

  constructor({ identity, mtu }: PeerMethodOptions) {
    this.#identity = identity;
    this.#fragments = new FragmentExchange(mtu);
  }

  handle(input: PeerInput): PeerOutput[] {
    if (input.type === 'close') return this.#close();
    if (input.type === 'packet') return this.#closed ? [] : this.#packet(input.octets);
    return this.#perform(this.#tls.answered(input));
  }

  #close(): PeerOutput[] {
    this.#closed = true;
    this.#tls.close();
    return [{ type: 'abandon' }];
  }

  #packet(octets: Uint8Array): PeerOutput[] {
    let packet: EapPacket;
    try {
      packet = decodeEap(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return discarded(error.code);
    }
    if (packet.code === EAP_CODE.SUCCESS) return this.#success();
    if (packet.code === EAP_CODE.FAILURE) return this.#failure();
    if (packet.code !== EAP_CODE.REQUEST || packet.type === undefined) return discarded('code');
    return this.#request(octets, packet.identifier, packet.type, packet.data);
  }

  /** Handles EAP-Success. RFC 3748 4.2: discards one that arrives before the method has ended. */
  #success(): PeerOutput[] {
    return this.#tls.keyed ? [{ type: 'succeeded' }] : discarded('success before the method ended');
  }

  #failure(): PeerOutput[] {
    const { reason, detail } = this.#tls.failure ?? { reason: 'refused' as const, detail: refusalIn(this.#tls) };
    return [...(this.#tls.keyed ? [{ type: 'forget' as const }] : []), { type: 'failed', reason, detail }];
  }

  #request(octets: Uint8Array, identifier: number, type: number, data: Uint8Array): PeerOutput[] {
    // RFC 3748 4.1: a repeated Request gets the same Response again and is not processed.
    if (this.#last && equalOctets(octets, this.#last.request)) {
      return [{ type: 'response', packet: this.#last.response }];
    }
    const asked = { octets, identifier };
    switch (type) {
      case EAP_TYPE.IDENTITY:
        return this.#respond(asked, type, encodeUtf8(this.#identity));
      case EAP_TYPE.NOTIFICATION:
        return this.#respond(asked, type, NOTHING);
      case EAP_TYPE.EAP_TLS:
        if (this.#tls.busy) return discarded('busy');
        this.#asked = asked;
        return this.#eapTls(data);
      default:
        // RFC 3748 5.3.1: a Nak is allowed only before the method has begun.
        if (this.#tls.begun) return discarded('method');
        return this.#respond(asked, EAP_TYPE.NAK, Uint8Array.of(EAP_TYPE.EAP_TLS));
    }
  }

  #eapTls(octets: Uint8Array): PeerOutput[] {
    this.#rounds += 1;
    let data: EapTlsData;
    try {
      data = decodeEapTls(octets);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return this.#giveUp('fragments', error.message);
    }
    if (this.#rounds > MAX_PEER_ROUNDS) return this.#giveUp('too-many-rounds', `more than ${MAX_PEER_ROUNDS} packets`);
    if (data.start === this.#tls.begun) return discarded(data.start ? 'second start' : 'no start');
    if (data.start) return this.#perform(this.#tls.flight(NOTHING));
    const step = this.#fragments.receive(data);
    switch (step.type) {
      case 'fragment':
      case 'acknowledge':
        return this.#respondTls(step.data);
      case 'flight':
        return this.#perform(this.#tls.flight(step.flight));
      case 'refused':
        return this.#giveUp('fragments', step.detail);
    }
  }

  #perform(steps: readonly PeerTlsStep[]): PeerOutput[] {
    return steps.flatMap((step): PeerOutput[] => {
      if (step.type === 'send') return this.#respondTls(this.#fragments.send(step.flight));
      return step.type === 'gaveUp' ? this.#giveUp(step.reason, step.detail) : [step];
    });
  }

  #respondTls(data: EapTlsData): PeerOutput[] {
    return this.#respond(this.#asked, EAP_TYPE.EAP_TLS, encodeEapTls(data));
  }

  #respond({ octets, identifier }: AskedPacket, type: number, data: Uint8Array): PeerOutput[] {
    const response = encodeEap({ code: EAP_CODE.RESPONSE, identifier, type, data });
    this.#last = { request: octets, response };
    return [{ type: 'response', packet: response }];
  }

  #giveUp(reason: PeerFailure, detail: string): PeerOutput[] {
    return [...this.#close(), { type: 'failed', reason, detail }];
  }
}

function discarded(reason: string): PeerOutput[] {
  return [{ type: 'discarded', reason }];
}

/**
 * What a refusal without an alert may mean. A server that has no TLS version in common with ClientHello can end the
 * conversation without a word of TLS.
 */
function refusalIn({ begun, heard }: TlsPeer): string {
  if (!begun) return 'EAP-Failure';
  return heard
    ? 'EAP-Failure without a TLS alert'
    : 'EAP-Failure in answer to ClientHello; is there a common TLS version?';
}
