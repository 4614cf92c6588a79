import { existsSync, readFileSync } from 'node:fs';

const PROCESSORS = '/proc/cpuinfo';

/** Whether processors with this description, that of /proc/cpuinfo, are those of user-mode Linux. */
export function isUserMode(processors: string): boolean {
  return /^vendor_id\s*: User Mode Linux$/m.test(processors);
}

/**
 * The factor of the lab's intervals and limits. In user-mode Linux system calls and starts of programs are 10 to 30 times
 * slower than usual, and packets that are sent as often as usual would need a third of the processor.
 */
export const PACE = existsSync(PROCESSORS) && isUserMode(readFileSync(PROCESSORS, 'utf8')) ? 5 : 1;
