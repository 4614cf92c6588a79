import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { missing } from '../access-network.js';

const run = promisify(execFile);

/** What a Debian that systemd boots has beyond the minimum. */
const INCLUDED = ['systemd-sysv', 'dbus', 'debconf'];

/** Programs that make a root; mmdebstrap needs half of the time. */
const MAKERS = ['mmdebstrap', 'debootstrap'];

/** Why there can be no root of a bare Debian; undefined: there can be one. */
export function rootMissing(): string | undefined {
  const reasons = MAKERS.map((program) => missing(program));
  return reasons.includes(undefined) ? undefined : reasons[0];
}

/**
 * The root of a bare Debian, made at `path` from the mirror that its maker knows. PANA_DEBIAN_ROOTS names a folder with
 * roots by their release, such as `trixie`, which are then used and not changed.
 */
export async function debianRoot(
  release: 'bookworm' | 'trixie',
  path: string,
  more: readonly string[] = [],
): Promise<string> {
  const given = join(process.env['PANA_DEBIAN_ROOTS'] ?? '/nonexistent', release);
  if (existsSync(given)) return given;
  const maker = MAKERS.find((program) => missing(program) === undefined) ?? '';
  const parameters = ['--variant=minbase', `--include=${[...INCLUDED, ...more].join(',')}`, release, path];
  await run(maker, parameters, { maxBuffer: 2 ** 24 });
  return path;
}
