/** RFC 5191 9: times in milliseconds; 0 means no limit. */
export interface RetransmissionParameters {
  /** Initial retransmission time. */
  readonly irt: number;
  /** Maximum retransmission time. */
  readonly mrt: number;
  /** Maximum number of transmissions, including the first one. */
  readonly mrc: number;
  /** Maximum duration since the first transmission. */
  readonly mrd: number;
}

/** RFC 5191 9.1: PCI_IRT, PCI_MRT, PCI_MRC, PCI_MRD. */
export const PCI_DEFAULTS: RetransmissionParameters = { irt: 1000, mrt: 120_000, mrc: 0, mrd: 0 };
/** RFC 5191 9.1: REQ_IRT, REQ_MRT, REQ_MRC, REQ_MRD. */
export const REQUEST_DEFAULTS: RetransmissionParameters = { irt: 1000, mrt: 30_000, mrc: 10, mrd: 0 };

/**
 * A running timer. `at`: when it expires. `rt`: the current retransmission time. `sent`: the number of transmissions so
 * far.
 */
export interface Retransmission {
  readonly parameters: RetransmissionParameters;
  readonly firstAt: number;
  readonly rt: number;
  readonly sent: number;
  readonly at: number;
}

/** RAND of RFC 5191 9: uniform in [-0.1, +0.1] from `unit` uniform in [0, 1). */
function rand(unit: number): number {
  return unit * 0.2 - 0.1;
}

/** RT for the first transmission: IRT + RAND*IRT. */
export function startRetransmission(parameters: RetransmissionParameters, now: number, unit: number): Retransmission {
  const rt = parameters.irt + rand(unit) * parameters.irt;
  return { parameters, firstAt: now, rt, sent: 1, at: bounded(parameters, now, now + rt) };
}

/** The timer after another transmission at `now`; undefined: its limits are reached. */
export function nextRetransmission(timer: Retransmission, now: number, unit: number): Retransmission | undefined {
  const { parameters, firstAt, sent } = timer;
  if (parameters.mrc !== 0 && sent >= parameters.mrc) return undefined;
  if (parameters.mrd !== 0 && now - firstAt >= parameters.mrd) return undefined;
  let rt = 2 * timer.rt + rand(unit) * timer.rt;
  if (parameters.mrt !== 0 && rt > parameters.mrt) rt = parameters.mrt + rand(unit) * parameters.mrt;
  return { parameters, firstAt, rt, sent: sent + 1, at: bounded(parameters, firstAt, now + rt) };
}

/** Whether RT is that of the first transmission: it has not doubled yet, or was restarted. */
export function isFirstInterval({ parameters, rt }: Retransmission): boolean {
  return rt <= parameters.irt * 1.1;
}

/** Restarts the interval at `now` without resetting the limits. The timer expires no later than before. */
export function resumeRetransmission(timer: Retransmission, now: number, unit: number): Retransmission {
  const { parameters } = timer;
  const rt = parameters.irt + rand(unit) * parameters.irt;
  return { ...timer, rt, at: Math.min(timer.at, now + rt) };
}

function bounded(parameters: RetransmissionParameters, firstAt: number, at: number): number {
  return parameters.mrd === 0 ? at : Math.min(at, firstAt + parameters.mrd);
}
