import type { Computer } from './computer.js';
import { error, type Finding, warning } from './finding.js';

/** A time before this program was written: the clock was not set since the computer started. 2024-01-01. */
const EARLIEST = Date.UTC(2024, 0, 1);

/** Checks the clock of this host, which decides about the validity of certificates and CRLs. */
export async function clockFindings({ host, output }: Pick<Computer, 'host' | 'output'>): Promise<Finding[]> {
  const now = host.wall();
  if (now < EARLIEST) {
    return [error('clock', `the clock says ${new Date(now).toISOString()}`, 'set it, and synchronise it with NTP')];
  }
  const answer = await output('timedatectl', ['show', '--property=NTPSynchronized', '--value']);
  if (answer?.trim() !== 'no') return [];
  return [
    warning(
      'clock',
      'systemd says that the clock of this host is not synchronised',
      'run an NTP client: certificates and CRLs are judged by this clock',
    ),
  ];
}
