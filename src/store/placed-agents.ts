import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import { parsePrefix } from './rows.js';

/** A home agent, as far as its addresses are concerned. */
export interface PlacedAgent {
  readonly name: string;
  readonly address: string;
  readonly prefix: string;
}

/** What a look at a store finds. */
export interface StoreState {
  /** Migrations of this version that the store does not have yet. */
  readonly pending: number;
  /** Undefined: the store is of an older version. */
  readonly homeAgents: readonly PlacedAgent[] | undefined;
}

export const PLACED_AGENTS = 'SELECT name, address, prefix FROM home_agents ORDER BY name';

/** RFC 6275 4.1: a home agent is a router on the home link. Undefined: its address is in its prefix. */
export function placeProblem({ address, prefix }: Pick<PlacedAgent, 'address' | 'prefix'>): string | undefined {
  const [octets, network] = [parseAddress(address), parsePrefix(prefix)];
  if (octets?.length !== 16 || !network) return undefined;
  if (network.subarray(0, 8).every((octet, i) => octet === octets[i])) return undefined;
  return `the address ${formatAddress(octets)} is not in the prefix ${formatAddress(network)}/64`;
}
