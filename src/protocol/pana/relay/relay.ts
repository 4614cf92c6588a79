import { isLinkLocal } from '../../bytes/address.js';
import { DecodeError, type DecodeErrorCode } from '../../bytes/decode-error.js';
import { PciLimiter, type PciLimits, type PciRefusal } from '../agent/pci-limiter.js';
import { withoutScope } from '../agent/relays.js';
import { HEADER_LENGTH, MESSAGE_TYPE } from '../wire/codec.js';
import { decodeRelay, encodeRelay, isRelay, MAX_RELAYED, type RelayedPac } from '../wire/relayed.js';
import { KnownClients, LEARNING } from './known-clients.js';
import { MessageLimiter, SecondLimit } from './message-limiter.js';

/** Maximum number of messages per second to clients that a relay has not heard since it started. */
const UNHEARD = 100;

/** A local address that clients send to. */
export interface ClientSide {
  /** Name of its socket. */
  readonly local: string;
  /** Its address; a link-local one has the interface as its scope. */
  readonly address: string;
}

export interface RelayConfig {
  readonly limits: PciLimits;
  /** Maximum number of other messages that are relayed per second from and to a client address. */
  readonly messages: number;
  /** Maximum number of these per second from all clients that have not proven their address. */
  readonly unproven: number;
}

/** Why a datagram was dropped. */
export type RelayDrop =
  | DecodeErrorCode
  | PciRefusal
  /** More messages than a client may send in a second. */
  | 'messages-of-address'
  /** More messages of clients that have not proven their address than the relay passes on in a second. */
  | 'messages-in-all'
  /** More messages than the PAA may send to a client in a second. */
  | 'messages-to-address'
  /** A PRY for a client that has sent nothing. */
  | 'unknown-client'
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
 * The PANA relay element, RFC 6345: what is from a client goes to the PAA in a PRY, and what is in a PRY of the PAA goes
 * to the client that it names. It keeps no state of clients that it needs: a relay that is started again passes on what
 * comes. PCIs are limited like at a PAA, because anyone on the access link can send them. Other messages are limited by
 * client, so that one cannot fill the way of all to the PAA, and in total for those that have not proven their address,
 * because they may be forged. A PRY is refused if its client has sent nothing.
 */
export class PanaRelay {
  readonly #sides: readonly ClientSide[];
  readonly #limiter: PciLimiter;
  readonly #known: KnownClients;
  readonly #up: MessageLimiter;
  readonly #down: MessageLimiter;
  readonly #unproven: SecondLimit;
  readonly #unheard = new SecondLimit(UNHEARD);
  readonly #learnedAt: number;

  /** `key`: 16 octets, random. `now`: milliseconds. */
  constructor(sides: readonly ClientSide[], config: RelayConfig, key: Uint8Array, now: number) {
    this.#sides = sides;
    this.#limiter = new PciLimiter(key, config.limits);
    this.#known = new KnownClients(key.subarray(8, 16));
    this.#up = new MessageLimiter(config.messages);
    this.#down = new MessageLimiter(config.messages);
    this.#unproven = new SecondLimit(config.unproven);
    this.#learnedAt = now + LEARNING;
  }

  /** `now`: milliseconds. */
  handle(input: RelayInput, now: number): RelayOutput[] {
    switch (input.type) {
      case 'fromPac': {
        const { octets, address, port } = input;
        const code = this.#refuse(octets, address, port, now);
        if (code) return [{ type: 'dropped', code, address }];
        const pac = { address: withoutScope(address), port };
        this.#known.hear(pac.address, port, now);
        return [{ type: 'toPaa', octets: encodeRelay({ pac, octets }) }];
      }
      case 'fromPaa':
        return [this.#toPac(input.octets, now)];
      case 'configure':
        this.#limiter.limits = input.config.limits;
        this.#up.limit = input.config.messages;
        this.#down.limit = input.config.messages;
        this.#unproven.limit = input.config.unproven;
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
    // Who forges the address of a client does not know its session, and uses up no limit of it.
    const host = withoutScope(address);
    const session = this.#known.prove(host, port, sessionIdOf(octets), now);
    if (this.#up.refuses(session ?? this.#known.ofAddress(host), now)) return 'messages-of-address';
    return session === undefined && this.#unproven.refuses(now) ? 'messages-in-all' : undefined;
  }

  #toPac(octets: Uint8Array, now: number): RelayOutput {
    try {
      const { pac, octets: inner } = decodeRelay(octets);
      const side = this.#sideOf(pac.address);
      const code = side ? this.#refuseDown(pac, sessionIdOf(inner), now) : 'no-way';
      if (!side || code) return { type: 'dropped', code: code ?? 'no-way', address: pac.address };
      this.#known.answer(pac.address, pac.port, sessionIdOf(inner), now);
      const [, scope] = side.address.split('%');
      const address = isLinkLocal(pac.address) && scope !== undefined ? `${pac.address}%${scope}` : pac.address;
      return { type: 'toPac', octets: inner, local: side.local, address, port: pac.port };
    } catch (error) {
      if (error instanceof DecodeError) return { type: 'dropped', code: error.code, address: undefined };
      throw error;
    }
  }

  #refuseDown({ address, port }: RelayedPac, sessionId: number, now: number): RelayDrop | undefined {
    const isKnown = this.#known.includes(address, port, now);
    // Sessions outlive a restart of the relay: the PAA may reach their clients before these have sent anything.
    if (!isKnown && (now >= this.#learnedAt || this.#unheard.refuses(now))) return 'unknown-client';
    const session = this.#known.proven(address, port, sessionId, now);
    return this.#down.refuses(session ?? this.#known.ofAddress(address), now) ? 'messages-to-address' : undefined;
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

/** The Session Identifier of a message that has a whole header. */
function sessionIdOf(octets: Uint8Array): number {
  return new DataView(octets.buffer, octets.byteOffset).getUint32(8);
}
