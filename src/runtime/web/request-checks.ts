import { isIP } from 'node:net';
import { isLoopback, withoutScope } from '../../protocol/bytes/address-set.js';

/** What decides whether a request may come from a page of this server. */
export interface RequestFacts {
  readonly method: string;
  /** Headers; undefined: the request has none. */
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly site: string | undefined;
  /** The address of this host that the connection came to. */
  readonly localAddress: string;
  readonly scheme: 'http' | 'https';
}

export type RequestProblem = 'host' | 'origin';

/**
 * Checks Host, Origin and Sec-Fetch-Site. A page of another name that resolves to this host (DNS rebinding) has another
 * Host; a page of another site has another Origin. `names`: host names of this server. Undefined: the request is good.
 */
export function requestProblem(facts: RequestFacts, names: readonly string[]): RequestProblem | undefined {
  const { method, host, origin, site, localAddress, scheme } = facts;
  if (host === undefined || !isOwnHost(host, localAddress, names)) return 'host';
  if (origin === undefined) {
    // Browsers send Origin with every POST.
    if (method !== 'GET') return 'origin';
  } else if (origin.toLowerCase() !== `${scheme}://${host.toLowerCase()}`) return 'origin';
  const isOwnSite = site === undefined || site === 'same-origin' || (site === 'none' && method === 'GET');
  return isOwnSite ? undefined : 'origin';
}

/** Whether a Host header names this server: its address, localhost on loopback, or a configured name. Any port. */
function isOwnHost(host: string, localAddress: string, names: readonly string[]): boolean {
  const [, name = ''] = /^(\[[0-9a-fA-F:.]+\]|[^:/?#@[\]\\\s]+)(?::\d{1,5})?$/.exec(host) ?? [];
  const own = withoutScope(localAddress.toLowerCase());
  const bare = name.replaceAll(/[[\]]/g, '').toLowerCase();
  if (isIP(bare) !== 0) return withoutScope(bare) === own;
  if (bare === 'localhost') return isLoopback(own);
  return names.some((known) => known.toLowerCase() === bare);
}
