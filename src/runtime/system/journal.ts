import { fstatSync } from 'node:fs';

/** File descriptors of standard output and standard error. */
export const STDOUT = 1;
export const STDERR = 2;

/**
 * Whether this descriptor is connected to systemd's journal, which adds the time and reads the priority from a prefix
 * (sd-daemon(3)). $JOURNAL_STREAM contains device and inode of the journal's stream (systemd.exec(5)), but the
 * descriptor may have been redirected.
 */
export function isJournal(descriptor: number, { JOURNAL_STREAM: stream }: NodeJS.ProcessEnv): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  return stream === `${dev}:${ino}`;
}
