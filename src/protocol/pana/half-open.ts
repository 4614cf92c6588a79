import { networkOf } from './networks.js';
import type { DropCode } from './session.js';

/** What the table asks of a session whose first authentication is not over. */
export interface HalfOpenMember {
  /** Where its PAN[S] came from. It never changes, whatever the session does afterwards. */
  readonly origin: { readonly address: string };
  /** The PaC has answered the first PAR: it is not a sender of PAN[S] alone. */
  readonly hasAnswered: boolean;
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
  /** The oldest first; one that has answered since is taken out when it is found. */
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
   * Whether one more from this address has room. If its network's share is used up, the oldest session of that network
   * that never answered gives way; if all room is used up, that of the fullest network. A real PaC answers within a round
   * trip, and then stays.
   */
  room(address: string, limits: HalfOpenLimits): Room<M> {
    if ((this.#addresses.get(address)?.size ?? 0) >= limits.perAddress) return 'half-open-of-address';
    const network = this.#networks.get(networkOf(address));
    if (network && network.members.size >= limits.perNetwork) {
      const instead = oldestSilent(network);
      return instead ? { instead } : 'half-open-of-network';
    }
    if (this.#all.size < limits.inAll) return { instead: undefined };
    const fullest = this.#fullest();
    const instead = fullest && oldestSilent(fullest);
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

  #fullest(): Network<M> | undefined {
    let fullest: Network<M> | undefined;
    for (const network of this.#networks.values()) {
      if (network.members.size > (fullest?.members.size ?? 0)) fullest = network;
    }
    return fullest;
  }
}

function oldestSilent<M extends HalfOpenMember>({ silent }: Network<M>): M | undefined {
  for (const member of silent) {
    if (!member.hasAnswered) return member;
    silent.delete(member);
  }
  return undefined;
}
