import { type Host, systemHost } from '../runtime/system/host.js';

/**
 * The system's clock and timers, with a monotonic clock that is the same in all threads of a process. `performance.now`
 * is not: it counts from the start of its thread.
 */
export const threadHost: Host = { ...systemHost, monotonic: () => Number(process.hrtime.bigint()) / 1e6 };
