import {
  isFirstInterval,
  nextRetransmission,
  type Retransmission,
  type RetransmissionParameters,
  resumeRetransmission,
  startRetransmission,
} from './retransmission.js';

/**
 * Maximum number of restarts of the PCI interval in one attempt because a PAA was heard. At 40 % loss, eight
 * consecutive losses occur once in 1,500 starts. A PAA that makes offers but never continues refuses the PaC; the
 * interval must then grow again.
 */
export const PCI_RESTARTS = 8;

/** Source of RAND (RFC 5191 9): uniform numbers in [0, 1). */
interface Units {
  unit(): number;
}

/** The retransmission timer of PCI, RFC 5191 9. An immutable value. */
export class PciTimer {
  readonly #timer: Retransmission;
  readonly #restarts: number;

  private constructor(timer: Retransmission, restarts: number) {
    this.#timer = timer;
    this.#restarts = restarts;
  }

  /** The timer after the first PCI. */
  static start(parameters: RetransmissionParameters, now: number, random: Units): PciTimer {
    return new PciTimer(startRetransmission(parameters, now, random.unit()), 0);
  }

  /** When PCI is due again. */
  get at(): number {
    return this.#timer.at;
  }

  /** The timer after another PCI; undefined: its limits are reached. */
  next(now: number, random: Units): PciTimer | undefined {
    const timer = nextRetransmission(this.#timer, now, random.unit());
    return timer && new PciTimer(timer, this.#restarts);
  }

  /**
   * The timer after a PAA was heard. Not RFC: RFC 5191 9 doubles the interval up to PCI_MRT in any case. If a link
   * loses PAR[S] or PAN[S], the next try could then be two minutes away although the PAA is reachable. The interval
   * therefore restarts with PCI_IRT, up to PCI_RESTARTS times. The next PCI is never later than before, and PCI_MRC and
   * PCI_MRD are not reset.
   */
  heard(now: number, random: Units): PciTimer {
    if (isFirstInterval(this.#timer) || this.#restarts >= PCI_RESTARTS) return this;
    return new PciTimer(resumeRetransmission(this.#timer, now, random.unit()), this.#restarts + 1);
  }
}
