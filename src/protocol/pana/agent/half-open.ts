import type { DropCode } from '../session/session.js';
import { networkOf } from './networks.js';

/**
 * After this time without an answer, a request has been sent three times (RFC 5191 9.1), and the session may be
 * evicted. Milliseconds.
 */
export const STALLED_AFTER = 4_000;

/** The properties of a half-open session that the table uses. */
export interface HalfOpenMember {
  /** Source of its PAN[S], which does not change. */
  readonly origin: { readonly address: string };
  /** When the request was sent that the PaC still has to answer, in milliseconds; undefined: no answer is due. */
  readonly owesSince: number | undefined;
}

export interface HalfOpenLimits {
  readonly perAddress: number;
  readonly perNetwork: number;
  readonly inAll: number;
}

/** The session to evict for a new one, if any; or the limit that the new one would exceed. */
export type Room<M> = { readonly instead: M | undefined } | Extract<DropCode, `half-open-${string}`>;

interface Network<M> {
  readonly members: Set<M>;
  /** Sessions without an answer to the first PAR, oldest first. Their sender may never send more than PAN[S]. */
  readonly silent: Set<M>;
}

/**
 * Half-open sessions: their first authentication is not complete. They are grouped by the network of their PAN[S]. Each
 * count is the size of a set, so counts cannot drift.
 */
export class HalfOpen<M extends HalfOpenMember> {
  readonly #all = new Set<M>();
  readonly #networks = new Map<string, Network<M>>();
  readonly #addresses = new Map<string, Set<M>>();

  get size(): number {
    return this.#all.size;
  }

  /**
   * Whether there is room for one more session from this address at `now` (milliseconds). If the share of the address
   * or its network is used up, its oldest session that never answered is evicted. If all room is used up, the oldest
   * such session of the network with the most of them is evicted. If all sessions have answered once, the one that has
   * owed an answer for the longest time is evicted, provided that it exceeds STALLED_AFTER. A working PaC answers
   * within a round trip, so its session is not evicted.
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

  /** Records that the PaC has answered the first PAR. */
  answered(member: M): void {
    if (this.#all.has(member)) this.#networks.get(networkOf(member.origin.address))?.silent.delete(member);
  }

  /** Removes a session that is authenticated or has ended. */
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

  /** The oldest session that never answered, from the network with the most of them. */
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
