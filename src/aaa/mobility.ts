import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import { CAPABILITY, decodePrefix, wishOf } from '../protocol/mip6/assignment.js';
import {
  type AgentInfo,
  agentInfo,
  type DiameterMobility,
  FEATURE,
  IKE_BITS,
} from '../protocol/mip6/diameter-mobility.js';
import { assignmentProblem } from '../protocol/mip6/fitness.js';
import type { BootstrapResult, HomeAgent, Ike, Lease, LocalProposal, Subscriber } from '../store/records.js';

/** What a node asks for, as the server reads it from the first DER of a run. */
export interface MobilityWish {
  /** Bits of CAPABILITY. */
  readonly bits: number;
  /** The visited network's own proposal, with the AVPs that name it. */
  readonly local:
    | (LocalProposal & { readonly info: NonNullable<DiameterMobility['MIP6-Agent-Info']>[number] })
    | undefined;
}

/** A NAS that knows only the standard AVPs says no more than that its client may have Mobile IPv6. */
const STANDARD_WISH = CAPABILITY.MIP6 | CAPABILITY.HOA_ASSIGN | CAPABILITY.IKEV1_PSK | CAPABILITY.IKEV2_PSK;

/** The wish in a DER (RFC 5447 4.2.5); undefined if there is none. */
export function readWish(der: DiameterMobility): MobilityWish | undefined {
  const features = der['MIP6-Feature-Vector'] ?? 0n;
  if ((features & FEATURE.MIP6_INTEGRATED) === 0n) return undefined;
  const bits = der['Mobility-Capability'] ?? STANDARD_WISH;
  if ((bits & CAPABILITY.MIP6) === 0) return undefined;
  const [info] = der['MIP6-Agent-Info'] ?? [];
  const homeAgent = info?.['MIP-Home-Agent-Address']?.[0];
  const homeAddress = der['MIP-Mobile-Node-Address']?.[0];
  const isAsked = (features & FEATURE.LOCAL_HOME_AGENT_ASSIGNMENT) !== 0n;
  const local =
    isAsked && info && homeAgent && homeAddress && isFit(info, homeAgent, homeAddress)
      ? { homeAgent: formatAddress(homeAgent), homeAddress: formatAddress(homeAddress), info: copyOf(info, homeAgent) }
      : undefined;
  return { bits, local };
}

/** What is used of it, holding on to nothing of the message. */
function copyOf(info: AgentInfo, homeAgent: Uint8Array): AgentInfo {
  return {
    'MIP-Home-Agent-Address': [homeAgent.slice()],
    'MIP-Home-Agent-Host': info['MIP-Home-Agent-Host'],
    'MIP6-Home-Link-Prefix': info['MIP6-Home-Link-Prefix']?.slice(),
  };
}

/** A proposal that is not fit for use is none. */
function isFit(info: AgentInfo, homeAgent: Uint8Array, homeAddress: Uint8Array): boolean {
  const { 'MIP6-Home-Link-Prefix': link, 'MIP-Home-Agent-Host': host } = info;
  const prefix = link && decodePrefix(link);
  if (link && !prefix) return false;
  const rest = { prefix, host: host?.['Destination-Host'], ikeIdentity: undefined };
  return assignmentProblem({ homeAgent, homeAddress, ...rest }) === undefined;
}

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

/** The AVPs of a success DEA for what was assigned. */
export function writeGrant(
  wish: MobilityWish,
  result: Extract<BootstrapResult, { result: 'home' | 'local' }>,
  root: 'msk' | 'emsk',
  ike: Ike | undefined,
  realm: string,
): DiameterMobility {
  const rootBit = root === 'emsk' ? CAPABILITY.PSK_FROM_EMSK : 0;
  if (result.result === 'local') {
    const capability = CAPABILITY.MIP6 | CAPABILITY.LOCAL_HA | CAPABILITY.HOA_ASSIGN | (wish.bits & IKE_BITS);
    return {
      'MIP6-Feature-Vector': FEATURE.MIP6_INTEGRATED | FEATURE.LOCAL_HOME_AGENT_ASSIGNMENT,
      'MIP6-Agent-Info': wish.local ? [wish.local.info] : [],
      'MIP-Mobile-Node-Address': [octetsOf(result.local.homeAddress)],
      'Mobility-Capability': capability,
    };
  }
  const { homeAgent, homeAddress } = result.lease;
  const prefix = octetsOf(homeAgent.prefix.split('/', 1)[0] ?? '');
  const ikeBit = ike === 'ikev2' ? CAPABILITY.IKEV2_PSK : CAPABILITY.IKEV1_PSK;
  const home = octetsOf(homeAddress);
  return {
    'MIP6-Feature-Vector': FEATURE.MIP6_INTEGRATED,
    'MIP6-Agent-Info': [
      agentInfo({
        homeAgent: octetsOf(homeAgent.address),
        homeAddress: home,
        prefix: { length: 64, octets: prefix },
        host: { realm, host: homeAgent.host },
      }),
    ],
    'MIP-Mobile-Node-Address': [home],
    'Mobility-Capability': CAPABILITY.MIP6 | CAPABILITY.HOME_HA | CAPABILITY.HOA_ASSIGN | ikeBit | rootBit,
  };
}

/** Octets of an address that the store keeps as text. */
export function octetsOf(text: string): Uint8Array {
  const octets = parseAddress(text);
  if (!octets) throw new TypeError(`the store holds ${text} for an address`);
  return octets;
}
