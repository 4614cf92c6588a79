import { type AddressOctets, parseAddress } from '../bytes/address.js';
import { hostAddressProblem } from '../mip6/address-checks.js';
import type { HomeLinkPrefix } from '../mip6/assignment.js';
import { checkName } from '../mip6/names.js';

/** Limits of what a DNS or DHCPv6 server can make this node process: SRV records, home agents, and their addresses. */
export const MAX_SRV_RECORDS = 64;
export const MAX_TARGETS = 4;
export const MAX_AGENTS = 16;

/** A home agent that DNS or DHCPv6 names. */
export interface FoundAgent {
  /** IPv6. */
  readonly address: AddressOctets;
  readonly host: string | undefined;
  readonly prefix?: HomeLinkPrefix | undefined;
}

/** An SRV record, RFC 2782. */
export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly name: string;
}

/**
 * The home agents of SRV records in the order of RFC 2782: by priority, and at random by weight within one. Names that
 * must not reach a hook are left out, and so is the root, which says that there is no home agent. `random`: uniform in
 * [0, 1).
 */
export function targetsOf(records: readonly SrvRecord[], random: () => number): string[] {
  const usable = records.slice(0, MAX_SRV_RECORDS).filter(({ name }) => hostProblem(name) === undefined);
  const ordered: SrvRecord[] = [];
  for (const priority of [...new Set(usable.map((record) => record.priority))].sort((a, b) => a - b)) {
    const left = usable.filter((record) => record.priority === priority);
    while (left.length > 0) ordered.push(...left.splice(chosen(left, random()), 1));
  }
  return [...new Set(ordered.map(({ name }) => name.toLowerCase()))].slice(0, MAX_TARGETS);
}

/** The index of the record that a number from [0, 1) selects by weight. One without weight has a small chance. */
function chosen(records: readonly SrvRecord[], unit: number): number {
  const weights = records.map(({ weight }) => Math.max(weight, 0.01));
  let rest = unit * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    if (rest < weight) return i;
    rest -= weight;
  }
  return records.length - 1;
}

/** The home agents with these addresses as text. Those that no home agent can have are left out. */
export function agentsAt(addresses: readonly string[], host: string | undefined): FoundAgent[] {
  return usableAgents(
    addresses.slice(0, MAX_AGENTS).flatMap((text) => parseAddress(text) ?? []),
    host,
  );
}

/** The same for addresses as octets. */
export function usableAgents(addresses: readonly AddressOctets[], host: string | undefined): FoundAgent[] {
  return addresses
    .filter((octets) => octets.length === 16 && hostAddressProblem(octets) === undefined)
    .slice(0, MAX_AGENTS)
    .map((address) => ({ address, host }));
}

/** Why a name is not that of a host; undefined if it is. */
export function hostProblem(name: string): string | undefined {
  return checkName(name) ?? (/[@+]/.test(name) ? 'it contains "@" or "+"' : undefined);
}
