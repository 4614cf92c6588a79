import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { promisify } from 'node:util';

/** Maximum number of addresses read from a file; further ones are ignored. */
const MAX_ADDRESSES = 32;

export interface DiscoverySources {
  /** The configured PAAs. */
  readonly configured: readonly string[];
  /** A file that a DHCP client's hook writes: addresses separated by white space or commas. `#` starts a comment. */
  readonly file: string | undefined;
  /** Whether to try the default router if there is no other PAA. */
  readonly defaultRouter: boolean;
}

/** Finds PAAs and returns them in the order in which to try them. */
export type DiscoverPaas = (sources: DiscoverySources) => Promise<string[]>;

/**
 * Returns the PAAs in the order in which to try them: the configured ones, those that the DHCP client's hook wrote from
 * DHCPv6 option 40 or DHCPv4 option 136 (RFC 5192), and as a last resort the default router.
 */
export async function discoverPaas({ configured, file, defaultRouter }: DiscoverySources): Promise<string[]> {
  const found = [...configured];
  if (file !== undefined) found.push(...addressesIn(await readFile(file, 'utf8').catch(() => '')));
  if (found.length === 0 && defaultRouter) found.push(...(await defaultRouters()));
  return [...new Set(found)];
}

/** The addresses in the text of a discovery file. Everything else is ignored. */
export function addressesIn(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, ''))
    .join(' ')
    .split(/[\s,]+/)
    .filter((word) => isIP(word.split('%', 1)[0] ?? '') !== 0)
    .slice(0, MAX_ADDRESSES);
}

const run = promisify(execFile);

/** The default routers, IPv6 first; a link-local one with its interface. */
async function defaultRouters(): Promise<string[]> {
  const routers: string[] = [];
  for (const family of ['6', '4']) {
    const text =
      process.platform === 'freebsd'
        ? await output('route', ['-n', `-${family}`, 'get', 'default'])
        : await output('ip', [`-${family}`, 'route', 'show', 'default']);
    const router = /(?:via|gateway:) (\S+)/.exec(text)?.[1];
    const link = /(?:dev|interface:) (\S+)/.exec(text)?.[1];
    if (router === undefined || isIP(router.split('%', 1)[0] ?? '') === 0) continue;
    const scoped = router.toLowerCase().startsWith('fe80:') && !router.includes('%') && link !== undefined;
    routers.push(scoped ? `${router}%${link}` : router);
  }
  return routers;
}

/** The output of a program. Empty if the program or the route does not exist. */
async function output(program: string, parameters: readonly string[]): Promise<string> {
  return run(program, [...parameters]).then(
    ({ stdout }) => stdout,
    () => '',
  );
}
