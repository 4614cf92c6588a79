import { randomBytes } from 'node:crypto';
import { uptime } from 'node:os';

/** Cancels a timer. Has no effect once the timer has fired. */
export type CancelTimer = () => void;

/**
 * Clock, timers and randomness of the computer. Everything that is not pure takes them as an argument, so that a test
 * can run whole daemons in virtual time from one seed.
 */
export interface Host {
  /** Monotonic time in milliseconds, independent of the wall clock. */
  monotonic(): number;
  /** Milliseconds since 1970, UTC. The operator or NTP may step it. */
  wall(): number;
  /** Milliseconds since the host booted, including sleep. Undefined if the platform has no such clock. */
  boot(): number | undefined;
  /**
   * Calls `action` once, after at least this many milliseconds. `holds` (default true): the timer keeps the process
   * alive.
   */
  after(milliseconds: number, action: () => void, holds?: boolean): CancelTimer;
  /** Returns this many octets from a cryptographically secure generator. */
  random(octets: number): Uint8Array;
}

/** Node's timers hold 31 bits of milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The host of a real computer. */
export const systemHost: Host = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  // Elsewhere uptime() is the monotonic clock or depends on the wall clock.
  boot: () => (process.platform === 'linux' ? 1_000 * uptime() : undefined),
  after: (milliseconds, action, holds = true) => {
    const timer = setTimeout(action, Math.min(Math.max(0, milliseconds), LONGEST_TIMER));
    if (!holds) timer.unref();
    return () => clearTimeout(timer);
  },
  random: (octets) => randomBytes(octets),
};

/** Calls `action` periodically until the returned function is called. `holds`: as in `Host.after`. */
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
