import { formatAddress, parseAddress } from '../bytes/address.js';

/** Octets of the network that is assumed to belong to one party: an IPv6 /64 or an IPv4 /24. */
const NETWORK_V6 = 8;
const NETWORK_V4 = 3;

/** Maximum number of characters of a name in a path. Longer names are truncated. */
const MAX_NAME = 64;

/**
 * The party that uses a resource, from the widest to the narrowest element: peer, network, address. An element has a
 * meaning only within the one before it.
 */
export type PartyPath = readonly string[];

/**
 * Network and address of an IP address in text form, which may have a scope: an IPv6 /64 or IPv4 /24, and the address
 * itself (/128, /32). An IPv4-mapped address counts as IPv4. A text that is not an IP address is its own network.
 */
export function addressPath(text: string): readonly [network: string, address: string] {
  const bare = text.split('%', 1)[0] ?? '';
  const octets = parseAddress(bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice('::ffff:'.length) : bare);
  if (octets === undefined) return [text.slice(0, MAX_NAME), text.slice(0, MAX_NAME)];
  const network = octets.slice();
  network.fill(0, octets.length === 4 ? NETWORK_V4 : NETWORK_V6);
  return [formatAddress(network), formatAddress(octets)];
}

/** Converts a path to a text that can serve as a key. */
export function pathKey(path: PartyPath): string {
  return path.join('\n');
}
