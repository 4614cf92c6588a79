import { CAPABILITY } from '../../mip6/assignment.js';
import type { PacMobility } from './pac-interface.js';

/**
 * A PaC that wants mobility asks again when an offer has no Mobility-Capability. Our PAA sends such a plain offer to each third
 * PCI, and the other offers may be lost. Plain offers to more PCIs than that show that the PAA has no other; one more is allowed
 * for, as a copy that the network made. The PaC asks again at once so many times, then with the timer of PCI.
 */
export const PCIS_PER_PLAIN_OFFER = 3;
const ASKED_AT_ONCE = 2;

/** How long an unsolicited plain offer waits for a better one, in milliseconds: our PAA repeats its own by then. */
export const UNASKED_OFFER_WAIT = 5_000;

/** Plain offers after which a PaC that has seen an offer with Mobility-Capability before takes one. */
export const PLAIN_OFFERS_IGNORED = 8;

/**
 * What to do about an offer: take it; drop it and wait for the timer of PCI; drop it and ask again at once; or keep it and
 * take it if no better one comes.
 */
export type OfferVerdict = 'take' | 'drop' | 'ask' | 'keep';

/** Where the start stands when a plain offer comes. */
export interface OfferContext {
  /** INITIAL, with so many plain offers before this one that were not taken; undefined: another offer has been answered. */
  readonly before: number | undefined;
  /** The PaC sends PCI itself. */
  readonly asks: boolean;
}

/**
 * Which offers a PaC takes when it wants mobility. Nothing in a plain offer tells whether its PAA also makes another one,
 * so PCIs and offers are counted.
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

  /** A PCI was sent. */
  asked(): void {
    this.#pcis += 1;
  }

  /** No better offer came: the PAA has no other. */
  settleForPlain(): void {
    this.#believesPlain = true;
  }

  /** `capability`: Mobility-Capability of the offer; undefined: the offer is plain. */
  judge(capability: number | undefined, { before, asks }: OfferContext): OfferVerdict {
    if (capability !== undefined) {
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

  /** Mobility-Capability of PAN[S]: the wish, cut to what PAR[S] offers, and ECHO where it is offered; 0: none. */
  answerTo(capability: number | undefined): number {
    if (capability === undefined) return 0;
    const isOffered = this.#mobility !== undefined && (capability & CAPABILITY.MIP6) !== 0;
    const wish = isOffered ? this.#mobility.wish & capability : 0;
    return wish | (capability & CAPABILITY.ECHO);
  }
}
