import { EXPIRY_INTERVAL } from '../../src/protocol/home/upkeep.js';
import { KILL_AFTER, LONGEST_RETRY } from '../../src/protocol/hooks/alphabet.js';
import { STR_RETRY, STR_TRIES } from '../../src/protocol/nas/session-terminations.js';
import { PCI_DEFAULTS } from '../../src/protocol/pana/session/retransmission.js';

/** How the daemons of a world are configured, in milliseconds. */
export const TIMES = {
  /** Longest wait of a node before a new attempt. */
  retry: 60_000,
  /** A phase of PANA without progress ends after this time, and so does a request without an answer at the AAA server. */
  progress: 60_000,
  hook: 5_000,
  /** How long a lease outlives its session. */
  grace: 30_000,
  /** How long a PAA keeps a session after the lifetime that it told the node. */
  lifetimeGrace: 2_000,
  reconnect: 10_000,
  request: 10_000,
} as const;

/** Random lengthening of intervals: RAND of RFC 5191 9, RETRY_JITTER of the attachment, and the watchdog's two seconds. */
const JITTER = 1.1;
const WATCHDOG_JITTER = 2_000;

/**
 * How long the way from the PAAs to the AAA servers may be disturbed after the fault itself is over: a connection whose other
 * end is gone is found by two watchdog intervals (RFC 3539 3.4.1), one more closes it, and then it is made again.
 * `watchdog`: that interval in milliseconds.
 */
export function aaaRecovery(watchdog: number): number {
  return 3 * (watchdog + WATCHDOG_JITTER) + JITTER * TIMES.reconnect + TIMES.request;
}

/** How long an authentication takes at most with its hooks, when nothing is wrong. */
export const SETTLED_AFTER = 2_000;

/**
 * How long a world takes at most, once nothing is wrong any more, until every node is in and nothing is left over. `lifetime`: of
 * a session, and `watchdog`: of Diameter connections, in seconds.
 *
 * A node: its next try comes after the longest interval of PCI, which is longer than the longest wait for a new attempt. That try
 * may still meet an AAA connection that is gone, make no progress, and be followed by another one after the longest wait.
 *
 * What is left over: a session that is committed when the way to its PAA is gone lasts for its lifetime. After it come the grace
 * of its lease, the next round of the upkeep, and the hook of the home agent, whose next try may be the longest wait away. An STR
 * that gets no answer takes less.
 */
export function recoveryTime(options: { readonly lifetime: number; readonly watchdog: number }): number {
  const [lifetime, watchdog] = [options.lifetime * 1_000, options.watchdog * 1_000];
  const nextTry = JITTER * Math.max(PCI_DEFAULTS.mrt, TIMES.retry);
  const node = nextTry + TIMES.progress + JITTER * TIMES.retry;
  const hook = LONGEST_RETRY + TIMES.hook + KILL_AFTER;
  const lease = lifetime + TIMES.grace + EXPIRY_INTERVAL + hook;
  const told = TIMES.lifetimeGrace + (STR_RETRY * STR_TRIES * (STR_TRIES - 1)) / 2 + STR_TRIES * TIMES.request;
  return Math.ceil(aaaRecovery(watchdog) + Math.max(node, lease, lifetime + told) + SETTLED_AFTER);
}
