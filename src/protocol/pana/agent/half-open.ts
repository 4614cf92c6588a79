import type { DropCode } from '../session/session.js';
import { networkOf } from './networks.js';

/**
 * A PaC that has left a request without an answer for so long has had it three times (RFC 5191 9.1), and may have to give
 * way. Milliseconds.
 */
export const STALLED_AFTER = 4_000;

/** What the table asks of a session whose first authentication is not over. */
export interface HalfOpenMember {
  /** Where its PAN[S] came from. It never changes, whatever the session does afterwards. */
  readonly origin: { readonly address: string };
  /** Since when the PaC owes an answer; undefined: it owes none. Milliseconds. */
  readonly owesSince: number | undefined;
}

export interface HalfOpenLimits {
  readonly perAddress: number;
  readonly perNetwork: number;
  readonly inAll: number;
}

/** Room for one more, if `instead` gives way; or the limit that it would exceed. */
export type Room<M> = { readonly instead: M | undefined } | Extract<DropCode, `half-open-${string}`>;

interface Network<M> {
  readonly members: Set<M>;
  /** Those that have not answered the first PAR: senders of PAN[S] alone, perhaps. The oldest first. */
  readonly silent: Set<M>;
}

/**
 * Sessions whose first authentication is not over, by the network that they were begun from. Each count is the size of a
 * set of sessions, found by what never changes in a session: nothing is counted up in one place and down in another.
 */
export class HalfOpen<M extends HalfOpenMember> {
  readonly #all = new Set<M>();
  readonly #networks = new Map<string, Network<M>>();
  readonly #addresses = new Map<string, Set<M>>();

  get size(): number {
    return this.#all.size;
  }

  /**
   * Whether one more from this address has room at `now` (milliseconds). If the share of the address or of its network is
   * used up, the oldest session of it that never answered gives way; if all room is used up, that of the network with the
   * most of them. Where all have answered once, the one gives way that has owed an answer for the longest time, if that is
   * STALLED_AFTER: a real PaC answers within a round trip, and then stays.
   */
  room(address: string, limits: HalfOpenLimits, now: number): Room<M> {
    const network = this.#networks.get(networkOf(address));
    const ofAddress = this.#addresses.get(address);
    if (network && ofAddress && ofAddress.size >= limits.perAddress) {
      const silent = [...ofAddress].find((member) => network.silent.has(member));
      const instead = silent ?? longestStalled(ofAddress, now);
      return instead ? { instead } : 'half-open-of-address';
    }
    if (network && network.members.size >= limits.perNetwork) {
      const [silent] = network.silent;
      const instead = silent ?? longestStalled(network.members, now);
      return instead ? { instead } : 'half-open-of-network';
    }
    if (this.#all.size < limits.inAll) return { instead: undefined };
    const instead = this.#oldestSilent() ?? longestStalled(this.#all, now);
    return instead ? { instead } : 'half-open-in-all';
  }

  add(member: M): void {
    const { address } = member.origin;
    const key = networkOf(address);
    const network = this.#networks.get(key) ?? { members: new Set(), silent: new Set() };
    const ofAddress = this.#addresses.get(address) ?? new Set();
    this.#all.add(member);
    network.members.add(member);
    network.silent.add(member);
    this.#networks.set(key, network);
    this.#addresses.set(address, ofAddress.add(member));
  }

  /** Its PaC has answered the first PAR. */
  answered(member: M): void {
    if (this.#all.has(member)) this.#networks.get(networkOf(member.origin.address))?.silent.delete(member);
  }

  /** It is authenticated, or over. */
  delete(member: M): void {
    if (!this.#all.delete(member)) return;
    const { address } = member.origin;
    const key = networkOf(address);
    const network = this.#networks.get(key);
    network?.members.delete(member);
    network?.silent.delete(member);
    if (network?.members.size === 0) this.#networks.delete(key);
    const ofAddress = this.#addresses.get(address);
    ofAddress?.delete(member);
    if (ofAddress?.size === 0) this.#addresses.delete(address);
  }

  /** Of the network with the most that never answered. */
  #oldestSilent(): M | undefined {
    let most: Set<M> = new Set();
    for (const { silent } of this.#networks.values()) if (silent.size > most.size) most = silent;
    const [oldest] = most;
    return oldest;
  }
}

function longestStalled<M extends HalfOpenMember>(members: Iterable<M>, now: number): M | undefined {
  let longest: M | undefined;
  let since = now - STALLED_AFTER;
  for (const member of members) {
    const { owesSince } = member;
    if (owesSince === undefined || owesSince > since || (longest && owesSince === since)) continue;
    longest = member;
    since = owesSince;
  }
  return longest;
}
