import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isTunnelName, type PaasByLink, paasByLink } from '../protocol/attachment/care-of-address.js';
import { familyOf } from '../protocol/bytes/address.js';
import type { Surroundings } from '../runtime/surroundings/surroundings.js';
import type { PacOptions } from './options.js';

/** Maximum number of addresses read from a file; further ones are ignored. */
const MAX_ADDRESSES = 32;

export interface DiscoverySources {
  /** The configured PAAs. */
  readonly configured: readonly string[];
  /** A file that a DHCP client's hook writes: addresses separated by white space or commas. `#` starts a comment. */
  readonly file: string | undefined;
  /** Whether to try the default router if there is no other PAA. */
  readonly defaultRouter: boolean;
  /** The interface of the access link, whose default routers are used. Undefined: any interface except tunnels. */
  readonly access: string | undefined;
}

/** Finds PAAs and returns them in the order in which to try them. */
export type DiscoverPaas = (sources: DiscoverySources) => Promise<string[]>;

/**
 * Returns the PAAs in the order in which to try them: the configured ones, those that the DHCP client's hook wrote from
 * DHCPv6 option 40 or DHCPv4 option 136 (RFC 5192), and as a last resort the default router.
 */
export async function discoverPaas({ configured, file, defaultRouter, access }: DiscoverySources): Promise<string[]> {
  const found = [...configured];
  if (file !== undefined) found.push(...addressesIn(await readFile(file, 'utf8').catch(() => '')));
  if (found.length === 0 && defaultRouter) found.push(...(await defaultRouters(access)));
  return [...new Set(found)];
}

/** Discovers the PAAs of the network, and divides them by the node's link. */
export async function findPaas(
  { pana }: Pick<PacOptions, 'pana'>,
  homeAddresses: ReadonlySet<string>,
  {
    discoverPaas: discover,
    readAddresses,
  }: Pick<Surroundings, 'readAddresses'> & { readonly discoverPaas: DiscoverPaas },
): Promise<PaasByLink> {
  const { paa: configured, 'discovery-file': file, 'default-router': defaultRouter, interface: access } = pana;
  const paas = await discover({ configured, file, defaultRouter, access });
  if (paas.length < 2) return { onLink: [], others: paas };
  return paasByLink(paas, await readAddresses(), { interface: access, homeAddresses });
}

/** The addresses in the text of a discovery file. Everything else is ignored. */
export function addressesIn(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, ''))
    .join(' ')
    .split(/[\s,]+/)
    .filter((word) => familyOf(word.split('%', 1)[0] ?? '') !== undefined)
    .slice(0, MAX_ADDRESSES);
}

const run = promisify(execFile);

/** The default routers of the access link, IPv6 first. */
async function defaultRouters(access: string | undefined): Promise<string[]> {
  const isFreeBsd = process.platform === 'freebsd';
  const texts = await Promise.all(
    ['-6', '-4'].map((family) =>
      isFreeBsd
        ? output('route', ['-n', family, 'get', 'default'])
        : output('ip', ['-oneline', family, 'route', 'show', 'default']),
    ),
  );
  return texts.flatMap((text) => routersIn(text, access));
}

/** A router and its interface, in a route of `ip` or in the lines of `route get` on FreeBSD. */
const ROUTER = /(?:via(?: inet6?)?|gateway:) (\S+)\s+(?:fib: \d+\s+)?(?:dev|interface:) (\S+)/g;

/**
 * The routers in the output of `ip route show default` or `route get default`, at most MAX_ADDRESSES; link-local ones
 * with their interface. A default route into a tunnel leads to no router of the link.
 */
export function routersIn(text: string, access: string | undefined): string[] {
  const routers = [...text.matchAll(ROUTER)].flatMap(([, router = '', link = '']) => {
    const [address = ''] = router.split('%', 1);
    if (familyOf(address) === undefined || (access === undefined ? isTunnelName(link) : link !== access)) return [];
    return [/^fe[89ab]/i.test(address) ? `${address}%${link}` : address];
  });
  return routers.slice(0, MAX_ADDRESSES);
}

/** The output of a program. Empty if the program or the route does not exist. */
async function output(program: string, parameters: readonly string[]): Promise<string> {
  return run(program, [...parameters]).then(
    ({ stdout }) => stdout,
    () => '',
  );
}
