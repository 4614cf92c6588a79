/** RFC 5080 2.2.1: initial and maximum retransmission time in milliseconds. */
export const IRT = 2_000;
export const MRT = 16_000;
/** Maximum number of transmissions. */
export const MRC = 5;
/** Default of the maximum duration in milliseconds. */
export const MRD = 30_000;

/** RAND is uniform in [-0.1, 0.1). */
const JITTER = 0.1;

/**
 * The next retransmission time in milliseconds, RFC 5080 2.2.1. `previous`: undefined for the first transmission.
 * `unit`: uniform in [0, 1).
 */
export function retransmissionTime(previous: number | undefined, unit: number): number {
  const jitter = JITTER * (2 * unit - 1);
  if (previous === undefined) return IRT + jitter * IRT;
  const next = 2 * previous + jitter * previous;
  return next > MRT ? MRT + jitter * MRT : next;
}
