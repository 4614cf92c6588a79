import { CAPABILITY } from '../../mip6/assignment.js';
import { SERVICE_BITS } from '../../mip6/services.js';
import type { PacMobility } from './pac-interface.js';

/**
 * A PaC that prefers mobility sends PCI again if an offer has no Mobility-Capability. The PAA of this project sends
 * such a plain offer in answer to every third PCI, and its other offers may be lost. If more plain offers than that
 * arrive, the PAA makes only plain ones; one extra is tolerated as a duplicate from the network. The first
 * ASKED_AT_ONCE times the PaC sends PCI immediately, afterwards when the timer of PCI expires.
 */
const PCIS_PER_PLAIN_OFFER = 3;
const ASKED_AT_ONCE = 2;

/**
 * How long the PaC waits for a better offer after an unsolicited plain one, in milliseconds. The PAA of this project
 * repeats its own offer within this time.
 */
export const UNASKED_OFFER_WAIT = 5_000;

/**
 * Number of plain offers after which a PaC accepts one although it has received an offer with Mobility-Capability.
 */
const PLAIN_OFFERS_IGNORED = 8;

/**
 * The decision about an offer: accept it; drop it and wait for the timer of PCI; drop it and send PCI immediately; or
 * keep it and accept it if no better one arrives.
 */
export type OfferVerdict = 'take' | 'drop' | 'ask' | 'keep';

/** State of the start when a plain offer arrives. */
export interface OfferContext {
  /**
   * In INITIAL: the number of plain offers that were not accepted before. Undefined: another offer has been answered.
   */
  readonly before: number | undefined;
  /** Whether the PaC sends PCI. */
  readonly asks: boolean;
}

/**
 * Decides which offers a PaC accepts if it wants mobility. A plain offer does not show whether its PAA also makes
 * others, so the numbers of PCIs and of plain offers are compared.
 */
export class Offers {
  readonly #mobility: PacMobility | undefined;
  #pcis = 0;
  #seen = false;
  #plain = 0;
  #believesPlain = false;

  constructor(mobility: PacMobility | undefined) {
    this.#mobility = mobility;
  }

  /** Records that a PCI was sent. */
  asked(): void {
    this.#pcis += 1;
  }

  /** Accepts plain offers from now on, because no better one arrived. */
  settleForPlain(): void {
    this.#believesPlain = true;
  }

  /** `capability`: Mobility-Capability of the offer; undefined: the offer is plain. */
  judge(capability: number | undefined, { before, asks }: OfferContext): OfferVerdict {
    if (capability !== undefined) {
      if (this.#mobility?.mode === 'required' && this.#mobility.sealed && !this.#isUsable(capability)) return 'drop';
      this.#seen = true;
      this.#plain = 0;
      return 'take';
    }
    if (!this.#mobility || this.#believesPlain) return 'take';
    if (this.#mobility.mode === 'required') return 'drop';
    if (this.#seen || before === undefined) {
      this.#plain += 1;
      return this.#plain < PLAIN_OFFERS_IGNORED ? 'drop' : 'take';
    }
    if (before + 1 > Math.ceil(this.#pcis / PCIS_PER_PLAIN_OFFER) + 1) {
      this.#believesPlain = true;
      return 'take';
    }
    if (!asks) return 'keep';
    return before < ASKED_AT_ONCE ? 'ask' : 'drop';
  }

  /** Mobility-Capability for PAN[S]: the requested bits that PAR[S] offers, and ECHO if it is offered; 0: none. */
  answerTo(capability: number | undefined): number {
    if (capability === undefined) return 0;
    const { wish = 0 } = this.#mobility ?? {};
    // A PAA without Mobile IPv6 may forward services.
    const usable = this.#isUsable(capability) ? wish : wish & (SERVICE_BITS | CAPABILITY.PSK_FROM_EMSK);
    const asked = usable & capability;
    const any = CAPABILITY.MIP6 | SERVICE_BITS;
    return ((asked & any) === 0 ? 0 : asked) | (capability & CAPABILITY.ECHO);
  }

  /** Whether an offer has what the PaC does not do without. */
  #isUsable(capability: number): boolean {
    const needed = CAPABILITY.MIP6 | (this.#mobility?.sealed ? CAPABILITY.SEALED : 0);
    return (capability & needed) === needed;
  }
}
