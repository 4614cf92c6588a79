import { waitAfter } from '../protocol/attachment/attachment-state.js';
import { NodeFailure, UNSERVED } from './node.js';

/** Attempts of one bootstrap. With the usual waits the last one begins after more than two minutes. */
const MOST_ATTEMPTS = 20;

/** Longest wait between attempts, so that the end of a run does not wait for long, in milliseconds. */
const LONGEST_WAIT = 8_000;

/** Wait of a closed loop after a bootstrap that failed, in milliseconds. It doubles with each failure in a row. */
const PAUSE = { first: 100, longest: 5_000 } as const;

/** Milliseconds before the next attempt; undefined: the bootstrap has failed. `attempts`: how many there were. */
export function retryAfter(
  error: unknown,
  attempts: number,
  waits: { readonly first: number; readonly longest: number },
): number | undefined {
  if (!(error instanceof NodeFailure) || error.reason !== UNSERVED || attempts >= MOST_ATTEMPTS) return undefined;
  const longest = Math.min(waits.longest, LONGEST_WAIT);
  return waitAfter(attempts - 1, { first: waits.first, longest }, Math.random());
}

/** How long one part of a closed loop waits after so many failures in a row, in milliseconds. */
export function pauseAfter(failures: number): number {
  return failures === 0 ? 0 : waitAfter(failures - 1, PAUSE, Math.random());
}
