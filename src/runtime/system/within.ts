import { type Host, systemHost } from './host.js';

/** Waits for a promise, but at most this many milliseconds. */
export function within(promise: Promise<unknown>, milliseconds: number, host: Host = systemHost): Promise<void> {
  return new Promise((resolve) => {
    const cancel = host.after(milliseconds, resolve);
    void promise.finally(() => {
      cancel();
      resolve();
    });
  });
}
