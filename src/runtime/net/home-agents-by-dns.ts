import { Resolver } from 'node:dns/promises';
import { agentsAt, type FoundAgent, MAX_AGENTS, targetsOf } from '../../protocol/attachment/found-agents.js';
import type { Host } from '../system/host.js';

/** Limits of one query, in milliseconds and tries for each server. */
const QUERY_TIMEOUT = 2_000;
const QUERY_TRIES = 2;

/** Maximum time of all queries together, in milliseconds. */
const TOTAL_TIMEOUT = 15_000;

export interface DnsQuestion {
  /** The domain of the home network. */
  readonly domain: string;
  /** Addresses of the DNS servers, with a port if it is not 53. Empty: those of the system. */
  readonly servers: readonly string[];
}

export interface DnsAnswer {
  readonly agents: readonly FoundAgent[];
  /** Shortest lifetime of the addresses in milliseconds. */
  readonly held: number | undefined;
}

/** Finds home agents. Rejects with an error of node:dns. */
export type FindHomeAgents = (question: DnsQuestion, host: Pick<Host, 'after' | 'random'>) => Promise<DnsAnswer>;

/** Finds home agents by the SRV records of `_mip6._ipv6.DOMAIN` and their addresses, RFC 5026 4.1. */
export const findHomeAgents: FindHomeAgents = async ({ domain, servers }, host) => {
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT, tries: QUERY_TRIES });
  if (servers.length > 0) resolver.setServers(servers);
  const cancel = host.after(TOTAL_TIMEOUT, () => resolver.cancel());
  try {
    const records = await resolver.resolveSrv(`_mip6._ipv6.${domain}`);
    const found = await Promise.all(
      targetsOf(records, () => (host.random(1)[0] ?? 0) / 256).map(async (name) => {
        // A home agent without an address must not hide the others.
        const addresses = await resolver.resolve6(name, { ttl: true }).catch(() => []);
        const agents = agentsAt(
          addresses.map(({ address }) => address),
          name,
        );
        return { agents, ttls: addresses.map(({ ttl }) => ttl) };
      }),
    );
    const ttls = found.flatMap((each) => each.ttls);
    return {
      agents: found.flatMap((each) => each.agents).slice(0, MAX_AGENTS),
      held: ttls.length === 0 ? undefined : ttls.reduce((least, ttl) => Math.min(least, ttl)) * 1000,
    };
  } finally {
    cancel();
  }
};
