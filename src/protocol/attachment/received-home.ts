import { DecodeError } from '../bytes/decode-error.js';
import { fromHex } from '../bytes/octets.js';
import { OPTION } from '../dhcpv6/wire/codec.js';
import { decodeHomeNetwork } from '../dhcpv6/wire/home-network.js';
import { prefixProblem } from '../mip6/address-checks.js';
import { type FoundAgent, hostProblem, MAX_AGENTS, usableAgents } from './found-agents.js';

/** Maximum length of the text in characters; what exceeds it is ignored. */
export const MAX_RECEIVED_TEXT = 65_536;

/** The options with home network information, the best first: that which the node asked for, then those of this link. */
const ORDER: readonly number[] = [OPTION.MIP6_IDINF, OPTION.MIP6_UDINF, OPTION.MIP6_VDINF];

/**
 * Reads what the hook of a DHCPv6 client wrote: a line for each option with its code and its octets in hexadecimal.
 * Lines that are something else, options that cannot be decoded, and addresses that no home agent can have are left out.
 * A name without an address is not used.
 */
export function receivedAgents(text: string): FoundAgent[] {
  const lines = text.slice(0, MAX_RECEIVED_TEXT).split('\n');
  const options = lines.flatMap((line) => {
    const [, code, hex = ''] = /^(\d{1,3}) ((?:[0-9a-f]{2})+)$/i.exec(line.trim()) ?? [];
    return code === undefined ? [] : [{ code: Number(code), octets: fromHex(hex) }];
  });
  const agents = ORDER.flatMap((code) => {
    return options.filter((option) => option.code === code).flatMap(({ octets }) => agentsIn(octets));
  });
  return agents.slice(0, MAX_AGENTS);
}

function agentsIn(octets: Uint8Array): FoundAgent[] {
  try {
    const { agents, hosts, prefixes } = decodeHomeNetwork(octets);
    // The names are those of the addresses only if there is one of each.
    const [host, second] = hosts;
    const isNamed =
      host !== undefined && second === undefined && agents.length === 1 && hostProblem(host) === undefined;
    const [prefix] = prefixes;
    const found = usableAgents(agents, isNamed ? host : undefined);
    return found.map((agent) => ({
      ...agent,
      prefix: prefix && prefixProblem(prefix) === undefined ? prefix : undefined,
    }));
  } catch (error) {
    if (error instanceof DecodeError) return [];
    throw error;
  }
}
