import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../system/folder.js';

/** Origin-State-Id is an Unsigned32. */
const MAX = 2 ** 32 - 1;

/**
 * Returns the Origin-State-Id for a node that starts: the wall clock in seconds, but always greater than in the last
 * run, even if the clock was set back (RFC 6733 8.16). Otherwise peers would not notice that the node lost its
 * sessions. The value is stored in `folder`, which is created if missing. Rejects with the system's error.
 */
export async function nextOriginState(folder: string, now: number): Promise<number> {
  const path = join(folder, 'origin-state');
  const text = await naming(path, readFile(path, 'utf8')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return '';
  });
  const last = /^\d{1,10}\n$/.test(text) ? Number(text) : 0;
  const next = Math.max(Math.floor(now / 1000), last < MAX ? last + 1 : 0);
  await makeFolder(folder, 0o700);
  await naming(`${path}.new`, writeFile(`${path}.new`, `${next}\n`, { mode: 0o600 }));
  await rename(`${path}.new`, path);
  return next;
}

/** Adds the path to a system error that does not name it, such as that of a failed write to a full disk. */
async function naming<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw Object.assign(error as NodeJS.ErrnoException, { path });
  }
}
