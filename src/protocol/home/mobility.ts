import { parseAddress } from '../bytes/address.js';
import { CAPABILITY, wishOf } from '../mip6/assignment.js';
import { type HomeAgentOffer, IKE_BITS } from '../mip6/diameter-mobility.js';
import { assignmentProblem } from '../mip6/fitness.js';
import type { HomeAgent, Ike, Lease, LocalProposal, Subscriber } from './records.js';

/** What a node asks for, as the first request of a run says. */
export interface MobilityWish {
  /** Bits of CAPABILITY. */
  readonly bits: number;
  /** The visited network's own proposal, fit for use: as the store takes it, and with what it was named by. */
  readonly local: (LocalProposal & { readonly offer: HomeAgentOffer }) | undefined;
}

/** What was assigned to a node. */
export type Grant =
  | { readonly kind: 'home'; readonly lease: Lease; readonly ike: Ike; readonly root: 'msk' | 'emsk' }
  /** The visited network's proposal is allowed. `bits`: as wished. */
  | { readonly kind: 'local'; readonly offer: HomeAgentOffer; readonly bits: number };

/** Why a row of the store cannot be given to a node; undefined if it can. */
export function leaseProblem({ homeAgent: agent, homeAddress: home }: Lease): string | undefined {
  const [prefixText = '', length] = agent.prefix.split('/', 2);
  const [homeAgent, homeAddress, octets] = [agent.address, home, prefixText].map(parseAddress);
  if (!homeAgent || !homeAddress || !octets) return `${agent.address}, ${home}, ${agent.prefix}: not all are addresses`;
  const rest = { prefix: { length: Number(length), octets }, host: agent.host, ikeIdentity: undefined };
  return assignmentProblem({ homeAgent, homeAddress, ...rest });
}

/** Which key the IKE key comes from; undefined: the two ends cannot agree, and there is no Mobile IPv6. */
export function pskRoot(
  { bits }: MobilityWish,
  subscriber: Subscriber,
  fallback: 'msk' | 'emsk',
): 'msk' | 'emsk' | undefined {
  const able = (bits & CAPABILITY.PSK_FROM_EMSK) !== 0;
  const root = subscriber.pskRoot ?? (able ? 'emsk' : fallback);
  return (root === 'emsk') === able ? root : undefined;
}

/** What the store is asked for: a local home agent excludes the EMSK, which its network does not have. */
export function storeWish({ bits, local }: MobilityWish, root: 'msk' | 'emsk') {
  const wish = wishOf(bits);
  const possible = root === 'msk' ? local : undefined;
  return {
    wish: possible === undefined && wish === 'local' ? ('any' as const) : wish,
    local: possible && { homeAgent: possible.homeAgent, homeAddress: possible.homeAddress },
  };
}

/** The version of IKE for a node at a home agent: what both can, IKEv2 first; undefined if there is none. */
export function chooseIke(bits: number, agent: HomeAgent): Ike | undefined {
  const wanted = bits & IKE_BITS || IKE_BITS;
  if (agent.ike.includes('ikev2') && wanted & CAPABILITY.IKEV2_PSK) return 'ikev2';
  if (agent.ike.includes('ikev1') && wanted & CAPABILITY.IKEV1_PSK) return 'ikev1';
  return undefined;
}

/** Octets of an address that the store keeps as text. */
export function octetsOf(text: string): Uint8Array {
  const octets = parseAddress(text);
  if (!octets) throw new TypeError(`the store holds ${text} for an address`);
  return octets;
}
