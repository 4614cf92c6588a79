import type { Drbg } from '../../bytes/drbg.js';
import type { PacEndpoint, Start } from '../session/start.js';
import { ENCRYPTION } from '../wire/algorithms.js';
import type { PanaAvp } from '../wire/codec.js';
import { makeAvp } from '../wire/dictionary.js';
import type { PaaConfig } from './paa-interface.js';
import { PRE_AUTHENTICATION, STARTS_PER_EPOCH, StatelessStart, VARIANT } from './stateless-start.js';

/** Number of kinds of offers, which alternate: optimised (if configured), full, plain. */
const OFFERS = 3;

/** Chooses the PAR[S] for a PaC and verifies PAN[S]. It keeps no state per PaC. */
export class PaaOffers {
  readonly #drbg: Drbg;
  #config: PaaConfig;
  #starts: StatelessStart;
  /** Offers from before the last `configure`, which may still be in transit. */
  #former: StatelessStart | undefined;

  constructor(config: PaaConfig, drbg: Drbg) {
    this.#drbg = drbg;
    this.#config = config;
    this.#starts = this.#startsOf(config);
  }

  configure(config: PaaConfig): void {
    this.#config = config;
    this.#former = this.#starts;
    this.#starts = this.#startsOf(config);
  }

  #startsOf(config: PaaConfig): StatelessStart {
    const { vendorId, mobility, firstRequest } = config;
    const encryption = config.encryption ?? 'off';
    const ciphers = encryption === 'off' ? [] : [makeAvp('Encryption-Algorithm', ENCRYPTION.AES128_CTR)];
    const plain = [...algorithmOffer(config), ...(encryption === 'required' ? ciphers : [])];
    const full = [...algorithmOffer(config), ...ciphers];
    const capability = mobility === undefined ? [] : [makeAvp('Mobility-Capability', mobility, vendorId)];
    const request = firstRequest ? [makeAvp('EAP-Payload', firstRequest)] : [];
    // AVPs that strict peers may not support come last.
    const variants = [[...full, ...capability], plain, [...full, ...request, ...capability]];
    return new StatelessStart(this.#drbg.bytes(32), variants);
  }

  /**
   * The PAR[S] for a PaC to which `before` offers were sent, with a session identifier that is not `taken`. Undefined:
   * this address and port have used up the starts of the epoch. `preAuthentication`: with the E flag (RFC 5873).
   */
  offer(
    peer: PacEndpoint,
    before: number,
    now: number,
    taken: (sessionId: number) => boolean,
    preAuthentication = false,
  ): Start | undefined {
    const variant = this.#variantOf(before) + (preAuthentication ? PRE_AUTHENTICATION : 0);
    for (let salt = 0; salt < STARTS_PER_EPOCH; salt += 1) {
      const start = this.#starts.offer(peer, now, variant, salt);
      if (!taken(start.sessionId)) return start;
    }
    return undefined;
  }

  /** The PAR[S] that this PAN[S] answers; undefined: none was sent to this address and port. */
  prove(from: PacEndpoint, sessionId: number, sequence: number, now: number): Start | undefined {
    return this.#starts.prove(from, sessionId, sequence, now) ?? this.#former?.prove(from, sessionId, sequence, now);
  }

  /**
   * A strict PaC drops offers with unknown AVPs and sends PCI again, so every third offer is plain. Some PaCs ignore a
   * PAR[S] with EAP-Payload, so only every third offer has one.
   */
  #variantOf(before: number): number {
    const { mobility, firstRequest, peers, encryption = 'off' } = this.#config;
    if (peers === 'legacy') return VARIANT.PLAIN;
    const turn = before % OFFERS;
    if (turn === 0 && firstRequest) return VARIANT.OPTIMISED;
    const hasMore = mobility !== undefined || encryption === 'wanted';
    return turn === OFFERS - 1 && hasMore ? VARIANT.PLAIN : VARIANT.FULL;
  }
}

/** RFC 5191 4.1: one AVP for each supported algorithm. */
function algorithmOffer({ prf, integrity }: PaaConfig): PanaAvp[] {
  return [
    ...prf.map((id) => makeAvp('PRF-Algorithm', id)),
    ...integrity.map((id) => makeAvp('Integrity-Algorithm', id)),
  ];
}
