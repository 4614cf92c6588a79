import { EXPIRY_INTERVAL } from '../../src/protocol/home/upkeep.js';
import { KILL_AFTER, LONGEST_RETRY } from '../../src/protocol/hooks/alphabet.js';
import { STR_RETRY, STR_TRIES } from '../../src/protocol/nas/session-terminations.js';
import { PCI_DEFAULTS } from '../../src/protocol/pana/session/retransmission.js';

/** Times in the configuration of the daemons, in milliseconds. */
export const TIMES = {
  /** Longest wait of a node before a new attempt. */
  retry: 60_000,
  /** A phase of PANA without progress is given up after this time, and so is an unanswered request at the AAA server. */
  progress: 60_000,
  hook: 5_000,
  /** How long a lease outlives its session. */
  grace: 30_000,
  /** How long a PAA keeps a session after the lifetime that it announced. */
  lifetimeGrace: 2_000,
  reconnect: 10_000,
  request: 10_000,
} as const;

/** Largest random increase of intervals: RAND of RFC 5191 9, RETRY_JITTER of the attachment, and the watchdog's two seconds. */
const JITTER = 1.1;
const WATCHDOG_JITTER = 2_000;

/**
 * Longest time in milliseconds after a fault until the PAAs reach the AAA servers again. A dead connection is suspected after two
 * watchdog intervals (RFC 3539 3.4.1) and closed after a third; then a new one is established. `watchdog`: the interval in
 * milliseconds.
 */
export function aaaRecovery(watchdog: number): number {
  return 3 * (watchdog + WATCHDOG_JITTER) + JITTER * TIMES.reconnect + TIMES.request;
}

/** Longest duration of an undisturbed authentication with its hooks, in milliseconds. */
export const SETTLED_AFTER = 2_000;

/**
 * Longest time in milliseconds after the last fault until every node has access and nothing is left over. `lifetime` of a session
 * and `watchdog` interval in seconds.
 *
 * Node: its next attempt comes after the longest PCI interval, may meet a dead AAA connection and make no progress, and is
 * repeated after the longest wait.
 *
 * Leftovers: a session committed while its PAA is unreachable lasts for its lifetime. Then follow the grace time of its lease,
 * the next round of the upkeep, and the longest retry interval of the home agent's hook.
 */
export function recoveryTime(options: { readonly lifetime: number; readonly watchdog: number }): number {
  const [lifetime, watchdog] = [options.lifetime * 1_000, options.watchdog * 1_000];
  const nextTry = JITTER * Math.max(PCI_DEFAULTS.mrt, TIMES.retry);
  const node = nextTry + TIMES.progress + JITTER * TIMES.retry;
  const hook = LONGEST_RETRY + TIMES.hook + KILL_AFTER;
  const lease = lifetime + TIMES.grace + EXPIRY_INTERVAL + hook;
  const termination = TIMES.lifetimeGrace + (STR_RETRY * STR_TRIES * (STR_TRIES - 1)) / 2 + STR_TRIES * TIMES.request;
  return Math.ceil(aaaRecovery(watchdog) + Math.max(node, lease, lifetime + termination) + SETTLED_AFTER);
}
