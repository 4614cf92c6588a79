import type { AddressOctets } from '../../bytes/address.js';
import { assignmentProblem } from '../../mip6/address-checks.js';
import {
  CAPABILITY,
  decodePrefix,
  encodePrefix,
  MAX_SEALED,
  type MobilityAssignment,
  SEALED_BITS,
  type SealedAssignment,
  wishOf,
} from '../../mip6/assignment.js';
import { FEATURE } from '../../mip6/feature-vector.js';
import { type HomeAgentOffer, IKE_BITS, proposesLocal } from '../../mip6/home-agent-offer.js';
import { decodeService, type EncodedServices, SERVICE_BITS, type Service, servicesOf } from '../../mip6/services.js';
import type { DEA, DER } from '../wire/commands.js';
import type { Message, ValueOf } from '../wire/grammar.js';

/** The value of MIP6-Agent-Info, RFC 5447 4.2.1. */
export type AgentInfo = ValueOf<'MIP6-Agent-Info'>;

/** The mobility AVPs of a DER or DEA: RFC 5447, RFC 4004 for the home address, and this project's own AVPs. */
export type DiameterMobility = Partial<
  Pick<
    Message<typeof DER> & Message<typeof DEA>,
    | 'MIP6-Feature-Vector'
    | 'MIP6-Agent-Info'
    | 'MIP-Mobile-Node-Address'
    | 'Mobility-Capability'
    | 'MIP6-Sealed-Assignment'
    | 'MIP4-Assignment'
    | 'HIP-Assignment'
  >
>;

/**
 * The mobility AVPs of the first DER of an authentication. `wish`: the requested bits of CAPABILITY. `local`: the
 * proposal of the visited network.
 */
export function requestMobility(wish: number | undefined, local: HomeAgentOffer | undefined): DiameterMobility {
  if (wish === undefined) return {};
  // The standard AVPs ask for Mobile IPv6.
  if ((wish & CAPABILITY.MIP6) === 0) return wish & SERVICE_BITS ? { 'Mobility-Capability': wish } : {};
  const own = { 'Mobility-Capability': wish };
  if (!local || !proposesLocal(wish)) return { 'MIP6-Feature-Vector': FEATURE.MIP6_INTEGRATED, ...own };
  return {
    'MIP6-Feature-Vector': FEATURE.MIP6_INTEGRATED | FEATURE.LOCAL_HOME_AGENT_ASSIGNMENT,
    'MIP6-Agent-Info': [agentInfo(local)],
    ...(local.homeAddress ? { 'MIP-Mobile-Node-Address': [local.homeAddress] } : {}),
    ...own,
  };
}

/** Encodes a home agent and a home address as MIP6-Agent-Info. */
export function agentInfo(offer: HomeAgentOffer): AgentInfo {
  return {
    'MIP-Home-Agent-Address': [offer.homeAgent],
    ...(offer.host
      ? { 'MIP-Home-Agent-Host': { 'Destination-Realm': offer.host.realm, 'Destination-Host': offer.host.host } }
      : {}),
    ...(offer.prefix ? { 'MIP6-Home-Link-Prefix': encodePrefix(offer.prefix) } : {}),
  };
}

export interface AnswerContext {
  readonly wish: number | undefined;
  /** The proposal in the DER. */
  readonly local: HomeAgentOffer | undefined;
  readonly ikeIdentity: string | undefined;
  /** Seconds. */
  readonly lifetime: number | undefined;
}

/**
 * The assignment in an answer. `problem`: why the assignment is unusable; the node then gets network access without
 * Mobile IPv6.
 */
export type AnsweredMobility =
  | {
      readonly assignment: MobilityAssignment;
      readonly kind: 'home' | 'local';
      readonly sealed?: undefined;
      readonly problem?: undefined;
    }
  | {
      readonly sealed: SealedAssignment;
      readonly kind: 'sealed';
      readonly assignment?: undefined;
      readonly problem?: undefined;
    }
  | {
      readonly problem: string;
      readonly assignment?: undefined;
      readonly kind?: undefined;
      readonly sealed?: undefined;
    }
  | undefined;

/**
 * Chooses the assignment for the PaC by the table of RFC 5447 4.2.5. If LOCAL is clear in the answer, only a home agent
 * of the home domain is allowed. If LOCAL is set and MIP6-Agent-Info is absent or equal to the proposal of the visited
 * network, that proposal is used. If LOCAL is set and MIP6-Agent-Info names another home agent, the PaC's preference
 * decides; without a preference the home agent of the home domain is used, because its address survives a move to
 * another network.
 */
export function answerMobility(answer: DiameterMobility, context: AnswerContext): AnsweredMobility {
  const { wish, local } = context;
  if (wish === undefined || (wish & CAPABILITY.MIP6) === 0) return undefined;
  const value = answer['MIP6-Sealed-Assignment'];
  if (value) return forwardedSeal(value, wish);
  const features = answer['MIP6-Feature-Vector'] ?? 0n;
  const infos = (answer['MIP6-Agent-Info'] ?? []).map((info) => ({ info, address: agentAddress(info) }));
  const home = infos.find(({ address }) => address && !(local && same(address, local.homeAgent)));
  const permitted = local !== undefined && (features & FEATURE.LOCAL_HOME_AGENT_ASSIGNMENT) !== 0n;
  const kind = permitted && (!home || wishOf(wish) === 'local') ? 'local' : 'home';

  const addresses = answer['MIP-Mobile-Node-Address'] ?? [];
  let offer: HomeAgentOffer | undefined;
  if (kind === 'local') {
    offer = local;
  } else if (home?.address) {
    const link = home.info['MIP6-Home-Link-Prefix'];
    const prefix = link && decodePrefix(link);
    if (link && !prefix) return { problem: 'home link prefix: it is not 17 octets with a length up to 128' };
    const host = home.info['MIP-Home-Agent-Host'];
    offer = {
      homeAgent: home.address,
      homeAddress: addresses.find((address) => !isUnassigned(address)),
      prefix,
      host: host && { realm: host['Destination-Realm'], host: host['Destination-Host'] },
    };
  }
  if (!offer) return undefined;
  const capability = answer['Mobility-Capability'] ?? deliveredBits(wish, kind, offer);
  const assignment: MobilityAssignment = {
    capability: kind === 'local' ? localBits(capability, offer) : capability,
    homeAgent: offer.homeAgent,
    homeAddress: offer.homeAddress,
    prefix: offer.prefix,
    host: offer.host?.host,
    ikeIdentity: context.ikeIdentity,
    lifetime: context.lifetime,
  };
  const problem = assignmentProblem(assignment);
  return problem === undefined ? { kind, assignment } : { problem };
}

/** The AVP of each service. */
export const SERVICE_AVP = { mip4: 'MIP4-Assignment', hip: 'HIP-Assignment' } as const satisfies Record<
  Service,
  keyof DiameterMobility
>;

/** The AVPs of assignments of services. */
export function serviceAvps({ mip4, hip }: EncodedServices): DiameterMobility {
  return { ...(mip4 ? { 'MIP4-Assignment': mip4 } : {}), ...(hip ? { 'HIP-Assignment': hip } : {}) };
}

/**
 * The assignments of the services that the node requested, to be forwarded as they are. `problems`: why others are not
 * forwarded. A node discards a message with an AVP that it did not request.
 */
export function answeredServices(
  answer: DiameterMobility,
  wish: number | undefined,
): { readonly services: EncodedServices; readonly problems: readonly string[] } {
  const services: { [S in Service]?: Uint8Array } = {};
  const problems: string[] = [];
  for (const service of servicesOf(wish ?? 0)) {
    const value = answer[SERVICE_AVP[service]];
    if (value === undefined) continue;
    const read = decodeService(service, value);
    if (typeof read === 'string') problems.push(read);
    else services[service] = value;
  }
  return { services, problems };
}

/**
 * A sealed assignment is forwarded unread, and only to a node that requested it: another one would discard the message
 * because of the AVP.
 */
function forwardedSeal(value: Uint8Array, wish: number): AnsweredMobility {
  if ((wish & CAPABILITY.SEALED) === 0) return { problem: 'sealed assignment: the node did not request it' };
  if (value.length > MAX_SEALED) return { problem: `sealed assignment: it has more than ${MAX_SEALED} octets` };
  return { kind: 'sealed', sealed: { capability: SEALED_BITS, value } };
}

/**
 * The bits to announce for the local home agent. The visited network does not have the EMSK, and its home agent decides
 * which IKE versions it supports.
 */
function localBits(capability: number, { ike }: HomeAgentOffer): number {
  const bits = capability & ~CAPABILITY.PSK_FROM_EMSK;
  return ike === undefined ? bits : (bits & ~IKE_BITS) | ike;
}

/**
 * Capability bits for an answer without Mobility-Capability. Its server supports only the standard AVPs, so the bits
 * are derived from what it assigned.
 */
function deliveredBits(wish: number, kind: 'home' | 'local', offer: HomeAgentOffer): number {
  const where = kind === 'local' ? CAPABILITY.LOCAL_HA : CAPABILITY.HOME_HA;
  const address = offer.homeAddress ? CAPABILITY.HOA_ASSIGN : 0;
  const ike = wish & CAPABILITY.IKEV2_PSK || wish & CAPABILITY.IKEV1_PSK;
  return CAPABILITY.MIP6 | where | address | ike;
}

/**
 * The home agent address that enters the key derivation: the first IPv6 address, or an IPv4 address if there is no IPv6
 * address.
 */
function agentAddress(info: AgentInfo): AddressOctets | undefined {
  const addresses = info['MIP-Home-Agent-Address'] ?? [];
  return addresses.find((address) => address.length === 16) ?? addresses.find((address) => address.length === 4);
}

/** Whether an address is only a request for one: `::`, or a prefix with zero in its low 64 bits. */
function isUnassigned(address: AddressOctets): boolean {
  return address.length === 16
    ? address.subarray(8).every((octet) => octet === 0)
    : address.every((octet) => octet === 0);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}
