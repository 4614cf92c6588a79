import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { missing } from '../access-network.js';

const run = promisify(execFile);

/** What a Debian with these daemons has beyond the minimum. */
const INCLUDED = ['systemd-sysv', 'dbus', 'debconf', 'iproute2', 'procps', 'libstdc++6'];

/** Programs that make a root; mmdebstrap needs half of the time. */
const MAKERS = ['mmdebstrap', 'debootstrap'];

/** Why there can be no root of a bare Debian; undefined: there can be one. */
export function rootMissing(): string | undefined {
  const reasons = MAKERS.map((program) => missing(program));
  return reasons.includes(undefined) ? undefined : reasons[0];
}

/**
 * The root of a bare Debian 12, made at `path` from the mirror that its maker knows. PANA_DEBIAN_ROOT names one that is
 * there, which is then used and not changed.
 */
export async function debianRoot(path: string): Promise<string> {
  const given = process.env['PANA_DEBIAN_ROOT'];
  if (given !== undefined && existsSync(given)) return given;
  const maker = MAKERS.find((program) => missing(program) === undefined) ?? '';
  const parameters = ['--variant=minbase', `--include=${INCLUDED.join(',')}`, 'bookworm', path];
  await run(maker, parameters, { maxBuffer: 2 ** 24 });
  return path;
}
