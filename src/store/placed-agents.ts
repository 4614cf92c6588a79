import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import { parsePrefix } from './rows.js';

/** A home agent, as far as its addresses are concerned, and how its hook reaches it. */
export interface PlacedAgent {
  readonly name: string;
  readonly address: string;
  readonly prefix: string;
  readonly host: string;
  readonly target: string | null;
}

/** What a look at a store finds. */
export interface StoreState {
  /** Migrations of this version that the store does not have yet. */
  readonly pending: number;
  /** Undefined: the store is of an older version. */
  readonly homeAgents: readonly PlacedAgent[] | undefined;
}

export const PLACED_AGENTS = 'SELECT name, address, prefix, host, target FROM home_agents ORDER BY name';

/**
 * RFC 6275 4.1: a home agent is a router on the home link, with a global unicast address. Undefined: it has one that is in
 * its prefix.
 */
export function placeProblem({ address, prefix }: Pick<PlacedAgent, 'address' | 'prefix'>): string | undefined {
  const [octets, network] = [parseAddress(address), parsePrefix(prefix)];
  if (octets?.length !== 16 || !network) return undefined;
  if (!isGlobal(octets)) return `the address ${formatAddress(octets)} is not a global unicast address`;
  if (network.subarray(0, 8).every((octet, i) => octet === octets[i])) return undefined;
  return `the address ${formatAddress(octets)} is not in the prefix ${formatAddress(network)}/64`;
}

/** Other scopes than global: multicast, link-local, and ::/64 with loopback and mapped IPv4 addresses (RFC 4291 2.4). */
function isGlobal(octets: Uint8Array): boolean {
  const [first = 0, second = 0] = octets;
  if (first === 0xff || (first === 0xfe && (second & 0xc0) === 0x80)) return false;
  return octets.subarray(0, 8).some((octet) => octet !== 0);
}
