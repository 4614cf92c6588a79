import { type AddressOctets, formatAddress, parseAddress } from '../bytes/address.js';
import type { Drbg } from '../bytes/drbg.js';
import type { Secret } from '../bytes/secret.js';
import { derivePsk } from '../keys/kdf.js';
import { CAPABILITY, type MobilityAssignment } from '../mip6/assignment.js';
import { isReservedIdentifier } from '../mip6/home-address.js';
import { type HomeAgentOffer, IKE_BITS } from '../mip6/home-agent-offer.js';
import type { Client } from './clients.js';

/** The home agent of the access network (RFC 5447 4.2.5). */
export interface LocalHomeAgentConfig {
  /** Canonical text. */
  readonly address: string;
  readonly host: string;
  /** 16 octets, of which only the first 64 bits are used. */
  readonly prefix: AddressOctets;
  /** Maximum number of home addresses that are proposed or assigned at the same time. */
  readonly capacity: number;
  readonly ike: 'ikev1' | 'ikev2';
}

/** An assigned home address. */
export interface LocalLease {
  readonly homeAddress: string;
  readonly mnId: string;
}

export type LocalHomeAgentOutput =
  /** Run the hook of the home agent. `lifetime`: milliseconds. `psk`: the receiver wipes it. */
  | {
      readonly type: 'homeAgent';
      readonly event: 'up' | 'refresh' | 'down';
      readonly homeAgent: LocalHomeAgentConfig;
      readonly mnId: string;
      readonly homeAddress: string | undefined;
      readonly lifetime: number | undefined;
      readonly psk: Secret | undefined;
    }
  /** The assigned home addresses have changed. They must survive a restart. */
  | { readonly type: 'leases'; readonly leases: readonly LocalLease[] };

/**
 * Manages the home addresses of the access network's home agent: which addresses are proposed to the AAA server and
 * assigned to users, and when the home agent's hook runs. The NAS derives the key, because it has the MSK.
 */
export class LocalHomeAgent {
  #config: LocalHomeAgentConfig;
  #isOffered = true;
  readonly #realm: string;
  /** User by home address; undefined until the AAA server has accepted the proposal and named the user. */
  readonly #used = new Map<string, string | undefined>();

  /** `realm`: the Diameter realm of the access network. */
  constructor(config: LocalHomeAgentConfig, realm: string) {
    this.#config = config;
    this.#realm = realm;
  }

  get config(): LocalHomeAgentConfig {
    return this.#config;
  }

  /** Number of home addresses that are proposed or assigned. */
  get used(): number {
    return this.#used.size;
  }

  /** Whether the configuration names the same home agent. The capacity may differ. */
  isAt({ address, host, prefix, ike }: LocalHomeAgentConfig): boolean {
    const own = this.#config;
    const same = own.address === address && own.host === host && own.ike === ike;
    return same && own.prefix.every((octet, at) => octet === prefix[at]);
  }

  /** Changes the capacity. Without a configuration the home agent is no longer proposed. */
  reconfigure(config: LocalHomeAgentConfig | undefined): void {
    this.#isOffered = config !== undefined;
    if (config) this.#config = config;
  }

  /**
   * Reserves a home address and proposes it for a node with these capability bits, if an address is free and both
   * support a common version of IKE.
   */
  propose(client: Client, wish: number, drbg: Drbg): void {
    client.local ??= this.#offer(wish, drbg);
  }

  #offer(wish: number, drbg: Drbg): HomeAgentOffer | undefined {
    const { prefix, address, capacity, host } = this.#config;
    const ike = this.#config.ike === 'ikev2' ? CAPABILITY.IKEV2_PSK : CAPABILITY.IKEV1_PSK;
    const homeAgent = parseAddress(address);
    const speaksOther = (wish & IKE_BITS) !== 0 && (wish & ike) === 0;
    if (!homeAgent || !this.#isOffered || this.#used.size >= capacity || speaksOther) return undefined;
    for (;;) {
      const homeAddress = new Uint8Array(prefix);
      const identifier = drbg.bytes(8);
      homeAddress.set(identifier, 8);
      const text = formatAddress(homeAddress);
      if (isReservedIdentifier(identifier) || text === address || this.#used.has(text)) continue;
      this.#used.set(text, undefined);
      return {
        homeAgent,
        homeAddress,
        prefix: { length: 64, octets: prefix },
        host: { realm: this.#realm, host },
        ike,
      };
    }
  }

  /** Assigns the proposed address, which the AAA server has accepted, to a user. Does not take ownership of `msk`. */
  bringUp(client: Client, mnId: string, assignment: MobilityAssignment, msk: Secret): LocalHomeAgentOutput[] {
    const homeAddress = assignment.homeAddress && formatAddress(assignment.homeAddress);
    const out: LocalHomeAgentOutput[] = [];
    if (homeAddress !== undefined && this.#used.get(homeAddress) !== mnId) {
      this.#used.set(homeAddress, mnId);
      out.push(this.#leases());
    }
    out.push({
      type: 'homeAgent',
      event: client.localUser === undefined ? 'up' : 'refresh',
      homeAgent: this.#config,
      mnId,
      homeAddress,
      lifetime: client.granted?.grant.lifetime,
      psk: derivePsk(msk, assignment.homeAgent, assignment.homeAddress),
    });
    client.localUser = mnId;
    return out;
  }

  /** Frees the address of a client that has left or has another home agent. */
  takeDown(client: Client): LocalHomeAgentOutput[] {
    const homeAddress = client.local?.homeAddress && formatAddress(client.local.homeAddress);
    const out: LocalHomeAgentOutput[] = [];
    const { localUser: mnId } = client;
    if (mnId !== undefined) {
      const job = { homeAgent: this.#config, mnId, homeAddress, lifetime: undefined, psk: undefined };
      out.push({ type: 'homeAgent', event: 'down', ...job });
    }
    client.localUser = undefined;
    client.local = undefined;
    if (homeAddress === undefined) return out;
    const wasGiven = this.#used.get(homeAddress) !== undefined;
    this.#used.delete(homeAddress);
    return wasGiven ? [...out, this.#leases()] : out;
  }

  #leases(): LocalHomeAgentOutput {
    const leases: LocalLease[] = [];
    for (const [homeAddress, mnId] of this.#used) if (mnId !== undefined) leases.push({ homeAddress, mnId });
    return { type: 'leases', leases };
  }
}
