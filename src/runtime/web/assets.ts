import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the package with the pages. */
const FOLDER = fileURLToPath(new URL('../../../scripts/web', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** A file of a page. None holds data of the daemon. */
export interface Asset {
  readonly type: string;
  readonly octets: Buffer;
  readonly etag: string;
}

/** Reads the files of the pages, by name. Others than those in TYPES are left out. */
export async function readAssets(folder = FOLDER): Promise<ReadonlyMap<string, Asset>> {
  const names = (await readdir(folder)).filter((name) => extname(name) in TYPES);
  const read = names.map(async (name): Promise<[string, Asset]> => {
    const octets = await readFile(join(folder, name));
    const etag = `"${createHash('sha256').update(octets).digest('base64url').slice(0, 22)}"`;
    return [name, { type: TYPES[extname(name)] ?? '', octets, etag }];
  });
  return new Map(await Promise.all(read));
}
