import { formatAddress, parseAddress } from '../bytes/address.js';
import { assignmentProblem } from '../mip6/address-checks.js';
import { CAPABILITY, type MobilityAssignment, SEALED_BITS, wishOf } from '../mip6/assignment.js';
import { FEATURE } from '../mip6/feature-vector.js';
import { type HomeAgentOffer, IKE_BITS } from '../mip6/home-agent-offer.js';
import { SERVICE_BITS } from '../mip6/services.js';
import type { HomeAgent, Ike, Lease, LocalProposal, Subscriber } from './records.js';

/** The Mobile IPv6 request of a node, from the first message of a conversation. */
export interface MobilityWish {
  /** Bits of CAPABILITY. */
  readonly bits: number;
  /** The proposal of the visited network, already checked: in the form for the store, and as received. */
  readonly local: (LocalProposal & { readonly offer: HomeAgentOffer }) | undefined;
}

/** The Mobile IPv6 assignment to a node. */
export type MobilityGrant =
  | {
      readonly kind: 'home';
      readonly lease: Lease;
      readonly ike: Ike;
      readonly root: 'msk' | 'emsk';
      /** The answer names the home agent only: the node gets the home address there, by IKEv2. */
      readonly byIke: boolean;
      /** The assignment for the node alone; undefined: the access network may see it. */
      readonly sealed?: Uint8Array | undefined;
    }
  /** The proposal of the visited network is accepted. `bits`: the requested capability bits. */
  | { readonly kind: 'local'; readonly offer: HomeAgentOffer; readonly bits: number };

/**
 * The request assumed for a NAS that supports only the standard attributes. These express only that a client may use
 * MIPv6.
 */
const STANDARD_WISH = CAPABILITY.MIP6 | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV1_PSK | CAPABILITY.IKEV2_PSK;

/**
 * The request of a NAS (RFC 5447 4.2.5) in its MIP6-Feature-Vector, capability bits, and the proposal of the visited
 * network, which is ignored if it is unusable. Undefined: it does not request Mobile IPv6.
 */
export function requestedMobility(
  features: bigint,
  bits = STANDARD_WISH,
  offer: () => HomeAgentOffer | undefined,
): MobilityWish | undefined {
  if ((features & FEATURE.MIP6_INTEGRATED) === 0n || (bits & CAPABILITY.MIP6) === 0) return undefined;
  const proposed = (features & FEATURE.LOCAL_HOME_AGENT_ASSIGNMENT) === 0n ? undefined : offer();
  const homeAddress = proposed?.homeAddress;
  if (!proposed || !homeAddress) return { bits, local: undefined };
  if (assignmentProblem({ ...proposed, host: proposed.host?.host, ikeIdentity: undefined }) !== undefined) {
    return { bits, local: undefined };
  }
  const local = {
    homeAgent: formatAddress(proposed.homeAgent),
    homeAddress: formatAddress(homeAddress),
    offer: proposed,
  };
  return { bits, local };
}

/** The capability bits of a request that includes services; undefined: it includes none. */
export function requestedServices(bits: number | undefined): number | undefined {
  return bits !== undefined && bits & SERVICE_BITS ? bits : undefined;
}

/** Whether a node asks for its home agent only, and for its home address by IKEv2. */
export function wantsIke({ bits }: Pick<MobilityWish, 'bits'>): boolean {
  return (bits & CAPABILITY.HOA_ASSIGN) === 0;
}

/** A grant in the values that AAA protocols send. */
export interface GrantedMobility {
  /** Bits of FEATURE. */
  readonly features: bigint;
  /** Bits of CAPABILITY. */
  readonly capability: number;
  /** Undefined: it is sealed. */
  readonly offer: HomeAgentOffer | undefined;
  readonly sealed: Uint8Array | undefined;
}

/** `realm`: the realm of the home agents. */
export function grantedMobility(grant: MobilityGrant, realm: string): GrantedMobility {
  if (grant.kind === 'local') {
    return {
      features: FEATURE.MIP6_INTEGRATED | FEATURE.LOCAL_HOME_AGENT_ASSIGNMENT,
      capability: CAPABILITY.MIP6 | CAPABILITY.LOCAL_HA | CAPABILITY.HOA_ASSIGN | (grant.bits & IKE_BITS),
      offer: grant.offer,
      sealed: undefined,
    };
  }
  const { lease, sealed, byIke } = grant;
  if (sealed) return { features: FEATURE.MIP6_INTEGRATED, capability: SEALED_BITS, offer: undefined, sealed };
  return {
    features: FEATURE.MIP6_INTEGRATED,
    capability: grantedBits(grant),
    offer: offerOf(lease, byIke, realm),
    sealed: undefined,
  };
}

export type HomeGrant = Extract<MobilityGrant, { kind: 'home' }>;

/** The assignment of a home agent of the home domain, for a seal. `lifetime`: seconds. */
export function sealableAssignment(grant: HomeGrant, lifetime: number): MobilityAssignment {
  const { lease, byIke } = grant;
  const { homeAgent, homeAddress, prefix } = offerOf(lease, byIke, '');
  return {
    capability: grantedBits(grant) | CAPABILITY.SEALED,
    homeAgent,
    homeAddress,
    prefix,
    host: lease.homeAgent.host,
    ikeIdentity: lease.nai,
    lifetime,
  };
}

function grantedBits({ ike, root, byIke }: HomeGrant): number {
  const ikeBit = ike === 'ikev2' ? CAPABILITY.IKEV2_PSK : CAPABILITY.IKEV1_PSK;
  const rootBit = root === 'emsk' ? CAPABILITY.PSK_FROM_EMSK : 0;
  return CAPABILITY.MIP6 | CAPABILITY.HOME_HA | (byIke ? 0 : CAPABILITY.HOA_ASSIGN) | ikeBit | rootBit;
}

function offerOf({ homeAgent, homeAddress }: Lease, byIke: boolean, realm: string): HomeAgentOffer {
  return {
    homeAgent: octetsOf(homeAgent.address),
    homeAddress: byIke ? undefined : octetsOf(homeAddress),
    prefix: { length: 64, octets: octetsOf(homeAgent.prefix.split('/', 1)[0] ?? '') },
    host: { realm, host: homeAgent.host },
  };
}

/** Why a lease from the store cannot be given to a node; undefined if it can. */
export function leaseProblem({ homeAgent: agent, homeAddress: home }: Lease): string | undefined {
  const [prefixText = '', length] = agent.prefix.split('/', 2);
  const [homeAgent, homeAddress, octets] = [agent.address, home, prefixText].map(parseAddress);
  if (!homeAgent || !homeAddress || !octets) return `invalid address among ${agent.address}, ${home}, ${agent.prefix}`;
  const rest = { prefix: { length: Number(length), octets }, host: agent.host, ikeIdentity: undefined };
  return assignmentProblem({ homeAgent, homeAddress, ...rest });
}

/**
 * The root of the IKE key. Undefined: node and subscriber settings do not agree, so that Mobile IPv6 is not possible.
 */
export function pskRoot(
  { bits }: MobilityWish,
  subscriber: Subscriber,
  fallback: 'msk' | 'emsk',
): 'msk' | 'emsk' | undefined {
  const able = (bits & (CAPABILITY.PSK_FROM_EMSK | CAPABILITY.SEALED)) !== 0;
  const root = subscriber.pskRoot ?? (able ? 'emsk' : fallback);
  return (root === 'emsk') === able ? root : undefined;
}

/**
 * The request to the store. If the root is the EMSK, a local home agent is excluded, because the visited network does
 * not have the EMSK.
 */
export function storeWish({ bits, local }: MobilityWish, root: 'msk' | 'emsk') {
  const wish = wishOf(bits);
  const possible = root === 'msk' ? local : undefined;
  return {
    wish: possible === undefined && wish === 'local' ? ('any' as const) : wish,
    local: possible && { homeAgent: possible.homeAgent, homeAddress: possible.homeAddress },
  };
}

/** The IKE version that both node and home agent support, IKEv2 first; undefined if there is none. */
export function chooseIke(bits: number, agent: HomeAgent): Ike | undefined {
  const wanted = bits & IKE_BITS || IKE_BITS;
  if (agent.ike.includes('ikev2') && wanted & CAPABILITY.IKEV2_PSK) return 'ikev2';
  if (agent.ike.includes('ikev1') && wanted & CAPABILITY.IKEV1_PSK) return 'ikev1';
  return undefined;
}

/** Octets of an address that the store keeps as text. Throws TypeError if the text is not an address. */
export function octetsOf(text: string): Uint8Array {
  const octets = parseAddress(text);
  if (!octets) throw new TypeError(`invalid address in the store: ${text}`);
  return octets;
}
