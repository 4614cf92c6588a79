import { fstatSync } from 'node:fs';

/** Of standard output and standard error. */
export const STDOUT = 1;
export const STDERR = 2;

/**
 * Whether what is written there goes to systemd's journal, which adds the time and takes the priority from a prefix
 * (sd-daemon(3)). $JOURNAL_STREAM is device and inode of the journal's stream (systemd.exec(5)); what we were given may be
 * another one.
 */
export function isJournal(descriptor: number, { JOURNAL_STREAM: stream }: NodeJS.ProcessEnv): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(descriptor, { bigint: true });
  return stream === `${dev}:${ino}`;
}
