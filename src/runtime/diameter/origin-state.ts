import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../system/folder.js';

/** Origin-State-Id is an Unsigned32. */
const MAX = 2 ** 32 - 1;

/**
 * The Origin-State-Id of a node that starts: the wall clock in seconds, but greater than the last time also where that clock
 * was set back (RFC 6733 8.16), or others would not see that it has forgotten its sessions. It is kept in this folder, which is
 * made. Rejects with the system's error.
 */
export async function nextOriginState(folder: string, now: number): Promise<number> {
  const path = join(folder, 'origin-state');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return '';
  });
  const last = /^\d{1,10}\n$/.test(text) ? Number(text) : 0;
  const next = Math.max(Math.floor(now / 1000), last < MAX ? last + 1 : 0);
  await makeFolder(folder, 0o700);
  await writeFile(`${path}.new`, `${next}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return next;
}
