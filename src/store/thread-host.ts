import { type Host, systemHost } from '../runtime/system/host.js';

/**
 * The computer's clock and timers with a monotonic clock that is the same in all threads of a process, which `performance.now`
 * is not: it counts from the start of its own thread.
 */
export const threadHost: Host = { ...systemHost, monotonic: () => Number(process.hrtime.bigint()) / 1e6 };
