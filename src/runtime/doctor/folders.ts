import { dirname } from 'node:path';
import type { Computer } from './computer.js';
import { error, type Finding, findingsOf, warning } from './finding.js';

/** Free octets below which a folder soon cannot be written to, or cannot now. */
const LITTLE = 256 * 1024 * 1024;
const NONE = 16 * 1024 * 1024;
const FEW_INODES = 1_000;

/** Permission bits of others, and those to write. */
const OTHERS = 0o007;
const WRITE_BY_OTHERS = 0o002;
const GROUP_AND_OTHERS = 0o077;

type Needs = Pick<Computer, 'files' | 'user' | 'service'>;

/** Checks a folder that the daemon writes to, and creates if it does not exist. */
export async function folderFindings(
  key: string,
  path: string,
  computer: Needs,
  { isPrivate }: { readonly isPrivate: boolean },
): Promise<Finding[]> {
  const { files, user, service } = computer;
  let found: Awaited<ReturnType<typeof files.stat>>;
  try {
    found = await files.stat(path);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== 'ENOENT') {
      return findingsOf(failure, key, `let ${user} into the folders above it, or configure another path`);
    }
    // systemd creates the folders of its services at their start.
    if (service && isOfService(path)) return [];
    const above = await existingAbove(path, computer);
    if (await files.may(above, 'write')) return roomFindings(key, above, computer);
    return [
      error(
        key,
        `${path} does not exist, and ${user} may not create it in ${above}`,
        `install -d -o ${user} -m 700 ${path}`,
      ),
    ];
  }
  if (!found.isDirectory())
    return [error(key, `${path} is not a folder`, 'configure another path, or move the file away')];
  if (!((await files.may(path, 'write')) && (await files.may(path, 'execute')))) {
    return [error(key, `${user} may not write to ${path}`, `chown ${user} ${path}`)];
  }
  const open: Finding[] = [];
  if ((found.mode & WRITE_BY_OTHERS) !== 0 && isPrivate) {
    open.push(error(key, `every user of this host can write to ${path}`, `chmod 700 ${path}`));
  } else if (isPrivate && (found.mode & GROUP_AND_OTHERS) !== 0) {
    open.push(warning(key, `other users can look into ${path}, which has keys`, `chmod 700 ${path}`));
  }
  return [...open, ...(await roomFindings(key, path, computer))];
}

/** Whether the service manager creates a folder: RuntimeDirectory and StateDirectory of the shipped units. */
function isOfService(path: string): boolean {
  return /^\/(var\/)?(run|lib|db)\/pana-(pac|paa|aaa)(\/|$)/.test(path);
}

async function existingAbove(path: string, computer: Needs): Promise<string> {
  const above = dirname(path);
  if (above === path) return above;
  const exists = await computer.files.stat(above).then(
    () => true,
    () => false,
  );
  return exists ? above : existingAbove(above, computer);
}

/** Checks the room on the file system of a folder. */
async function roomFindings(key: string, path: string, { files }: Needs): Promise<Finding[]> {
  const { octets, inodes } = await files.room(path);
  const remedy = 'remove what is not needed, or move it to a larger file system';
  const left = `${Math.floor(octets / 1_000_000)} MB are free on the file system of ${path}`;
  if (octets < NONE) return [error(key, left, remedy)];
  if (octets < LITTLE) return [warning(key, left, remedy)];
  if (inodes !== undefined && inodes < FEW_INODES) {
    return [warning(key, `${inodes} files can still be created on the file system of ${path}`, remedy)];
  }
  return [];
}

/** Checks who can change the configuration, and read passwords in it. */
export async function configurationFindings(
  file: string | undefined,
  hasSecrets: boolean,
  { files }: Needs,
): Promise<Finding[]> {
  if (file === undefined) return [];
  const { mode } = await files.stat(file);
  if ((mode & WRITE_BY_OTHERS) !== 0) {
    return [error(file, 'every user of this host can change the configuration', `chmod o-w ${file}`)];
  }
  if (hasSecrets && (mode & OTHERS) !== 0) {
    return [warning(file, 'every user of this host can read the password in it', `chmod o= ${file}`)];
  }
  return [];
}

/** Files that the unit cannot see, whatever their permissions: it has ProtectHome and PrivateTmp. */
export function hiddenFindings(
  named: readonly (readonly [key: string, path: string | undefined])[],
  { service }: Pick<Computer, 'service'>,
): Finding[] {
  if (!service) return [];
  return named.flatMap(([key, path]) => {
    if (path === undefined || !/^\/(home|root|run\/user|tmp|var\/tmp)\//.test(path)) return [];
    return [error(key, `${path} is hidden from the service (ProtectHome, PrivateTmp)`, 'move it to /etc/pana-mip6')];
  });
}
