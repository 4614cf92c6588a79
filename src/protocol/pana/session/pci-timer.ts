import {
  isFirstInterval,
  nextRetransmission,
  type Retransmission,
  type RetransmissionParameters,
  resumeRetransmission,
  startRetransmission,
} from './retransmission.js';

/**
 * How often in one attempt the interval of PCI begins anew because a PAA was heard. Eight losses in a row at 40 % loss come
 * once in 1,500 starts; a PAA that offers and never goes on refuses by silence, and the interval must grow again.
 */
export const PCI_RESTARTS = 8;

/** Where RAND of RFC 5191 9 comes from: numbers uniform in [0, 1). */
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

  /** The timer after one more PCI; undefined: its limits are reached. */
  next(now: number, random: Units): PciTimer | undefined {
    const timer = nextRetransmission(this.#timer, now, random.unit());
    return timer && new PciTimer(timer, this.#restarts);
  }

  /**
   * The timer after a PAA was heard. Not RFC: RFC 5191 9 doubles the interval up to PCI_MRT whatever comes. Where a link loses
   * PAR[S] or PAN[S] the next try would then be up to two minutes away, although the PAA is there. So the interval begins anew
   * with PCI_IRT, up to PCI_RESTARTS times. The next PCI is never later than it was, and PCI_MRC and PCI_MRD count on.
   */
  heard(now: number, random: Units): PciTimer {
    if (isFirstInterval(this.#timer) || this.#restarts >= PCI_RESTARTS) return this;
    return new PciTimer(resumeRetransmission(this.#timer, now, random.unit()), this.#restarts + 1);
  }
}
