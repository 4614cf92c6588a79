import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { promisify } from 'node:util';

/** Addresses that a file may hold; more of them are left out. */
const MAX_ADDRESSES = 32;

export interface DiscoverySources {
  /** From the configuration. */
  readonly configured: readonly string[];
  /** What a DHCP client's hook writes: addresses with white space or commas between, `#` begins a comment. */
  readonly file: string | undefined;
  /** Whether the default router is tried when there is no other. */
  readonly defaultRouter: boolean;
}

/** Finds PAAs, in the order in which to try them. */
export type DiscoverPaas = (sources: DiscoverySources) => Promise<string[]>;

/**
 * PAAs in the order in which to try them: the configured ones, those of DHCPv6 option 40 or DHCPv4 option 136 (RFC 5192)
 * as the DHCP client's hook wrote them down, and as a last resort the default router.
 */
export async function discoverPaas({ configured, file, defaultRouter }: DiscoverySources): Promise<string[]> {
  const found = [...configured];
  if (file !== undefined) found.push(...addressesIn(await readFile(file, 'utf8').catch(() => '')));
  if (found.length === 0 && defaultRouter) found.push(...(await defaultRouters()));
  return [...new Set(found)];
}

/** The addresses of such a file; anything else in it is left out. */
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

/** Default routers, IPv6 first, with the interface of a link-local one. */
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

/** What a program prints; nothing if there is no such program, or no such route. */
async function output(program: string, parameters: readonly string[]): Promise<string> {
  return run(program, [...parameters]).then(
    ({ stdout }) => stdout,
    () => '',
  );
}
