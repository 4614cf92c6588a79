import { setTimeout as pause } from 'node:timers/promises';
import { Patience, USUAL_LIMIT } from '../src/lab/patience.js';

/** Milliseconds between two checks. */
const INTERVAL = 20;

/**
 * Repeats `check` until it no longer throws; resolves to its value. After `limit` ms (see Patience) it rejects with the
 * last error, which shows what was expected and received. Tests wait with this and `within`, not with their own timers.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { limit = USUAL_LIMIT, interval = INTERVAL }: { readonly limit?: number; readonly interval?: number } = {},
): Promise<T> {
  const patience = new Patience(limit);
  for (;;) {
    try {
      return await within((async () => check())(), 'the check ends', patience);
    } catch (error) {
      if (patience.over) {
        if (error instanceof Error) error.message += ` (waited ${patience})`;
        throw error;
      }
    }
    await pause(interval);
  }
}

/** Resolves as `promise` does. After `limit` ms (see Patience) it rejects with an error that names `what`. */
export async function within<T>(promise: Promise<T>, what: string, limit: number | Patience = USUAL_LIMIT): Promise<T> {
  const patience = typeof limit === 'number' ? new Patience(limit) : limit;
  const error = new Error();
  Error.captureStackTrace(error, within);
  let cancel: () => void = () => undefined;
  const late = new Promise<never>((_, reject) => {
    cancel = patience.whenOver(() => {
      error.message = `${what}: timed out after ${patience}`;
      reject(error);
    });
  });
  return Promise.race([promise, late]).finally(cancel);
}
