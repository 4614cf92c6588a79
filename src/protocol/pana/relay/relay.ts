import { isLinkLocal } from '../../bytes/address.js';
import { DecodeError, type DecodeErrorCode } from '../../bytes/decode-error.js';
import { PciLimiter, type PciLimits, type PciRefusal } from '../agent/pci-limiter.js';
import { withoutScope } from '../agent/relays.js';
import { HEADER_LENGTH, MESSAGE_TYPE } from '../wire/codec.js';
import { decodeRelay, encodeRelay, isRelay, MAX_RELAYED } from '../wire/relayed.js';
import { MessageLimiter } from './message-limiter.js';

/** A local address that clients send to. */
export interface ClientSide {
  /** Name of its socket. */
  readonly local: string;
  /** Its address; a link-local one has the interface as its scope. */
  readonly address: string;
}

export interface RelayConfig {
  readonly limits: PciLimits;
  /** Maximum number of other messages that are relayed per second and client address. */
  readonly messages: number;
}

/** Why a datagram was dropped. */
export type RelayDrop =
  | DecodeErrorCode
  | PciRefusal
  /** More messages than a client may send in a second. */
  | 'messages-of-address'
  /** RFC 768: the sender expects no answer. */
  | 'source-port'
  /** A PRY of a client: relays cannot be nested (RFC 6345 2). */
  | 'nested'
  /** The relay has no address to send from to this client. */
  | 'no-way';

export type RelayInput =
  /** A datagram of a client. The machine takes ownership of the octets. */
  | {
      readonly type: 'fromPac';
      readonly octets: Uint8Array;
      readonly address: string;
      readonly port: number;
    }
  /** A datagram of the PAA; the caller has checked that it is from there. */
  | { readonly type: 'fromPaa'; readonly octets: Uint8Array }
  | { readonly type: 'configure'; readonly config: RelayConfig };

export type RelayOutput =
  | { readonly type: 'toPaa'; readonly octets: Uint8Array }
  | {
      readonly type: 'toPac';
      readonly octets: Uint8Array;
      /** Name of the socket to send from. */
      readonly local: string;
      readonly address: string;
      readonly port: number;
    }
  | { readonly type: 'dropped'; readonly code: RelayDrop; readonly address: string | undefined };

/**
 * The PANA relay element, RFC 6345. It keeps no state of clients: what is from a client goes to the PAA in a PRY, and
 * what is in a PRY of the PAA goes to the client that it names. PCIs are limited like at a PAA, because anyone on the
 * access link can send them, and other messages by client, so that one cannot fill the way of all to the PAA.
 */
export class PanaRelay {
  readonly #sides: readonly ClientSide[];
  readonly #limiter: PciLimiter;
  readonly #messages: MessageLimiter;

  /** `key`: 16 octets, random. */
  constructor(sides: readonly ClientSide[], config: RelayConfig, key: Uint8Array) {
    this.#sides = sides;
    this.#limiter = new PciLimiter(key, config.limits);
    this.#messages = new MessageLimiter(key.subarray(0, 8), config.messages);
  }

  /** `now`: milliseconds. */
  handle(input: RelayInput, now: number): RelayOutput[] {
    switch (input.type) {
      case 'fromPac': {
        const { octets, address, port } = input;
        const code = this.#refuse(octets, address, port, now);
        if (code) return [{ type: 'dropped', code, address }];
        const pac = { address: withoutScope(address), port };
        return [{ type: 'toPaa', octets: encodeRelay({ pac, octets }) }];
      }
      case 'fromPaa':
        return [this.#toPac(input.octets)];
      case 'configure':
        this.#limiter.limits = input.config.limits;
        this.#messages.limit = input.config.messages;
        return [];
    }
  }

  #refuse(octets: Uint8Array, address: string, port: number, now: number): RelayDrop | undefined {
    if (port === 0) return 'source-port';
    const length = ((octets[2] ?? 0) << 8) | (octets[3] ?? 0);
    if (octets.length < HEADER_LENGTH || octets.length < length) return 'truncated';
    if (octets.length > length) return 'leftover';
    if (octets.length > MAX_RELAYED) return 'bad-length';
    if (isRelay(octets)) return 'nested';
    const isPci = octets[6] === 0 && octets[7] === MESSAGE_TYPE.PCI;
    if (isPci) return this.#limiter.refuse(address, now);
    return this.#messages.refuses(address, now) ? 'messages-of-address' : undefined;
  }

  #toPac(octets: Uint8Array): RelayOutput {
    try {
      const { pac, octets: inner } = decodeRelay(octets);
      const side = this.#sideOf(pac.address);
      if (!side) return { type: 'dropped', code: 'no-way', address: pac.address };
      const [, scope] = side.address.split('%');
      const address = isLinkLocal(pac.address) && scope !== undefined ? `${pac.address}%${scope}` : pac.address;
      return { type: 'toPac', octets: inner, local: side.local, address, port: pac.port };
    } catch (error) {
      if (error instanceof DecodeError) return { type: 'dropped', code: error.code, address: undefined };
      throw error;
    }
  }

  /**
   * The local address that a client has sent to, which a PRY does not tell: of its family, and a link-local one for a
   * link-local client if there is one (RFC 6724 5 makes clients choose so).
   */
  #sideOf(address: string): ClientSide | undefined {
    const isV6 = address.includes(':');
    const own = this.#sides.filter((side) => side.address.includes(':') === isV6);
    const wanted = isLinkLocal(address);
    return own.find((side) => isLinkLocal(side.address) === wanted) ?? own[0];
  }
}
