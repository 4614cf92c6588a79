import { formatAddress, parseAddress } from '../bytes/address.js';

/** Octets of the network that one party is taken to control: an IPv6 /64, an IPv4 /24. */
const NETWORK_V6 = 8;
const NETWORK_V4 = 3;

/** Characters of a name in a path; what is longer is told apart by its beginning. */
const MAX_NAME = 64;

/**
 * Whom something is done for, from the widest party to the narrowest: a peer, a network, an address. Each element has a meaning
 * only within the one before it.
 */
export type PartyPath = readonly string[];

/**
 * Network and address of an IP address in text, which may have a scope: an IPv6 /64 or an IPv4 /24, and the address itself
 * (/128, /32). An IPv4-mapped address counts as IPv4. What is no IP address is its own network.
 */
export function addressPath(text: string): readonly [network: string, address: string] {
  const bare = text.split('%', 1)[0] ?? '';
  const octets = parseAddress(bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice('::ffff:'.length) : bare);
  if (octets === undefined) return [text.slice(0, MAX_NAME), text.slice(0, MAX_NAME)];
  const network = octets.slice();
  network.fill(0, octets.length === 4 ? NETWORK_V4 : NETWORK_V6);
  return [formatAddress(network), formatAddress(octets)];
}

/** One text for a path, as a key. */
export function pathKey(path: PartyPath): string {
  return path.join('\n');
}
