import { randomBytes } from 'node:crypto';

/** Takes a timer back; it does nothing once the timer has fired. */
export type CancelTimer = () => void;

/**
 * Clock, timers and randomness of the computer. Whatever is not pure takes them as an argument, so that a test can run whole
 * daemons in virtual time from one seed.
 */
export interface Host {
  /** Milliseconds that only grow, whatever the wall clock does. */
  monotonic(): number;
  /** Milliseconds since 1970, UTC. The operator or NTP may step it. */
  wall(): number;
  /**
   * Calls `action` once, after at least so many milliseconds. `holds`: the timer keeps the process alive, which is the
   * default.
   */
  after(milliseconds: number, action: () => void, holds?: boolean): CancelTimer;
  /** So many octets from a generator that is fit for keys. */
  random(octets: number): Uint8Array;
}

/** Node's timers hold 31 bits of milliseconds. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** The real one. */
export const systemHost: Host = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after: (milliseconds, action, holds = true) => {
    const timer = setTimeout(action, Math.min(Math.max(0, milliseconds), LONGEST_TIMER));
    if (!holds) timer.unref();
    return () => clearTimeout(timer);
  },
  random: (octets) => randomBytes(octets),
};

/** Calls `action` at each end of an interval, until what comes back is called. `holds`: as `Host.after` has it. */
export function every(host: Host, milliseconds: number, action: () => void, holds = true): CancelTimer {
  let cancel: CancelTimer = () => undefined;
  const next = () => {
    cancel = host.after(
      milliseconds,
      () => {
        next();
        action();
      },
      holds,
    );
  };
  next();
  return () => cancel();
}
