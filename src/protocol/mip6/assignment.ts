import type { AddressOctets } from '../bytes/address.js';

/** Bits of the Mobility-Capability AVP. Bits without a name are sent as 0 and ignored. */
export const CAPABILITY = {
  /** Mobile IPv6 bootstrapping. */
  MIP6: 0x001,
  LOCAL_HA: 0x002,
  HOME_HA: 0x004,
  /** The AAA server assigns the home address; clear: IKEv2 will. */
  HOA_ASSIGN: 0x008,
  IKEV1_PSK: 0x010,
  IKEV2_PSK: 0x020,
  PSK_FROM_EMSK: 0x040,
  /** Named by the paper, never granted yet. */
  MIP4: 0x100,
  HIP: 0x200,
  /** Not about mobility: the PaC sends the Echo of a PNR back, so that the PAA sees where it is. PAR[S] and PAN[S] only. */
  ECHO: 0x400,
} as const;

/** Which home agent a mobile node asks for. */
export type HomeAgentWish = 'home' | 'local' | 'any';

/** A home link prefix: its length in bits and 16 octets, whose bits past the length are zero. */
export interface HomeLinkPrefix {
  readonly length: number;
  readonly octets: Uint8Array;
}

/** What a successful bootstrap hands to the mobile node. */
export interface MobilityAssignment {
  /** Bits of CAPABILITY that were granted. */
  readonly capability: number;
  readonly homeAgent: AddressOctets;
  /** Undefined where IKEv2 assigns it. */
  readonly homeAddress: AddressOctets | undefined;
  readonly prefix: HomeLinkPrefix | undefined;
  /** Domain name of the home agent. */
  readonly host: string | undefined;
  /** NAI or FQDN that the mobile node presents to the home agent. */
  readonly ikeIdentity: string | undefined;
  /** Seconds; undefined: none but the session's. */
  readonly lifetime: number | undefined;
}

/** Names of the bits that are set, for logs and people. */
export function capabilityNames(bits: number): string[] {
  return Object.entries(CAPABILITY).flatMap(([name, bit]) => (bits & bit ? [name] : []));
}

/** The home agent that a wish's bits ask for: exactly one of LOCAL_HA and HOME_HA is a preference. */
export function wishOf(bits: number): HomeAgentWish {
  const local = (bits & CAPABILITY.LOCAL_HA) !== 0;
  const home = (bits & CAPABILITY.HOME_HA) !== 0;
  if (local === home) return 'any';
  return local ? 'local' : 'home';
}

/** 17 octets of a MIP6-Home-Link-Prefix (RFC 5447 4.2.3): length, then the prefix with its tail cleared. */
export function encodePrefix(prefix: HomeLinkPrefix): Uint8Array {
  const out = new Uint8Array(17);
  out[0] = prefix.length;
  out.set(clearTail(prefix.octets, prefix.length), 1);
  return out;
}

/** The prefix of 17 octets; undefined if they are not one. */
export function decodePrefix(octets: Uint8Array): HomeLinkPrefix | undefined {
  const length = octets[0] ?? 0;
  if (octets.length !== 17 || length > 128) return undefined;
  return { length, octets: clearTail(octets.subarray(1), length) };
}

function clearTail(octets: Uint8Array, length: number): Uint8Array {
  return octets.map((octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))) & 0xff);
}
