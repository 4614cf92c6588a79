import { setTimeout as pause } from 'node:timers/promises';
import { Patience, USUAL_LIMIT } from '../src/lab/patience.js';

/** Milliseconds between two tries. */
const INTERVAL = 20;

/**
 * Tries `check` until it throws no more; its value. After `limit` ms (see Patience) it rejects with the last error, whose
 * message says what was expected and what was seen. Tests wait with this and with `within`, not with clocks of their own.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { limit = USUAL_LIMIT, interval = INTERVAL }: { readonly limit?: number; readonly interval?: number } = {},
): Promise<T> {
  const patience = new Patience(limit);
  for (;;) {
    try {
      return await within((async () => check())(), 'a try comes to its end', patience);
    } catch (error) {
      if (patience.over) {
        if (error instanceof Error) error.message += ` (waited ${patience})`;
        throw error;
      }
    }
    await pause(interval);
  }
}

/** What `promise` resolves with; rejects after `limit` ms (see Patience) with an error that says that `what` did not happen. */
export async function within<T>(promise: Promise<T>, what: string, limit: number | Patience = USUAL_LIMIT): Promise<T> {
  const patience = typeof limit === 'number' ? new Patience(limit) : limit;
  const error = new Error();
  Error.captureStackTrace(error, within);
  let cancel: () => void = () => undefined;
  const late = new Promise<never>((_, reject) => {
    cancel = patience.whenOver(() => {
      error.message = `${what}: not so within ${patience}`;
      reject(error);
    });
  });
  return Promise.race([promise, late]).finally(cancel);
}
