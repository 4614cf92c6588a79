import type { AddressOctets } from '../bytes/address.js';

/** Bits of the Mobility-Capability AVP. Undefined bits are sent as 0 and ignored. */
export const CAPABILITY = {
  /** Mobile IPv6 bootstrapping. */
  MIP6: 0x001,
  LOCAL_HA: 0x002,
  HOME_HA: 0x004,
  /** The AAA server assigns the home address. If this bit is clear, IKEv2 assigns it. */
  HOA_ASSIGN: 0x008,
  IKEV1_PSK: 0x010,
  IKEV2_PSK: 0x020,
  PSK_FROM_EMSK: 0x040,
  /** The assignment is encrypted from the AAA server to the node. Implies PSK_FROM_EMSK. */
  SEALED: 0x080,
  /** Mobile IPv4, and a HIP rendezvous server: see services.ts. */
  MIP4: 0x100,
  HIP: 0x200,
  /**
   * Independent of mobility: the PaC copies the Echo AVP of a PNR into its answer, which confirms the PaC's address to
   * the PAA. Used in PAR[S] and PAN[S] only.
   */
  ECHO: 0x400,
} as const;

/** The home agent that a mobile node requests. */
export type HomeAgentWish = 'home' | 'local' | 'any';

/** A home link prefix: its length in bits, and 16 octets in which all bits after the length are zero. */
export interface HomeLinkPrefix {
  readonly length: number;
  readonly octets: Uint8Array;
}

/** The Mobile IPv6 parameters that a mobile node gets from a successful bootstrap. */
export interface MobilityAssignment {
  /** The granted bits of CAPABILITY. */
  readonly capability: number;
  readonly homeAgent: AddressOctets;
  /** Undefined if IKEv2 assigns it. */
  readonly homeAddress: AddressOctets | undefined;
  readonly prefix: HomeLinkPrefix | undefined;
  /** Domain name of the home agent. */
  readonly host: string | undefined;
  /** NAI or FQDN that the mobile node presents to the home agent. */
  readonly ikeIdentity: string | undefined;
  /** Seconds; undefined: the lifetime of the session applies. */
  readonly lifetime: number | undefined;
}

/** A sealed assignment. Only the node and its AAA server can open it; the access network forwards it unread. */
export interface SealedAssignment {
  /** The bits of CAPABILITY that the access network may see. */
  readonly capability: number;
  readonly value: Uint8Array;
}

/** The bits of CAPABILITY that stand beside a sealed assignment. */
export const SEALED_BITS = CAPABILITY.MIP6 | CAPABILITY.SEALED;

/** Maximum length of a sealed assignment in octets, so that PAR[C] fits a datagram. */
export const MAX_SEALED = 2_048;

/** Names of the bits that are set, for output to operators. */
export function capabilityNames(bits: number): string[] {
  return Object.entries(CAPABILITY).flatMap(([name, bit]) => (bits & bit ? [name] : []));
}

/** The home agent that these bits request. Only one of LOCAL_HA and HOME_HA expresses a preference. */
export function wishOf(bits: number): HomeAgentWish {
  const local = (bits & CAPABILITY.LOCAL_HA) !== 0;
  const home = (bits & CAPABILITY.HOME_HA) !== 0;
  if (local === home) return 'any';
  return local ? 'local' : 'home';
}

/**
 * The 17 octets of a MIP6-Home-Link-Prefix (RFC 5447 4.2.3): the length, then the prefix with the remaining bits
 * cleared.
 */
export function encodePrefix(prefix: HomeLinkPrefix): Uint8Array {
  const out = new Uint8Array(17);
  out[0] = prefix.length;
  out.set(clearTail(prefix.octets, prefix.length), 1);
  return out;
}

/** Decodes the 17 octets of a MIP6-Home-Link-Prefix. Undefined if they are invalid. */
export function decodePrefix(octets: Uint8Array): HomeLinkPrefix | undefined {
  const length = octets[0] ?? 0;
  if (octets.length !== 17 || length > 128) return undefined;
  return { length, octets: clearTail(octets.subarray(1), length) };
}

function clearTail(octets: Uint8Array, length: number): Uint8Array {
  return octets.map((octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))) & 0xff);
}
