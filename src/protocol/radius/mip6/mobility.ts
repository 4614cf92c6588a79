import type { AddressOctets } from '../../bytes/address.js';
import { DecodeError } from '../../bytes/decode-error.js';
import { concat, decodeUtf8, encodeUtf8 } from '../../bytes/octets.js';
import { Reader } from '../../bytes/reader.js';
import { Writer } from '../../bytes/writer.js';
import type { HomeLinkPrefix } from '../../mip6/assignment.js';
import type { EncodedServices } from '../../mip6/services.js';
import { AttributeReader, attribute, readVendor, vendorAttribute } from '../wire/attributes.js';
import type { Attribute, RadiusPacket } from '../wire/codec.js';

/**
 * Sub-attributes of this project's Vendor-Specific attributes, because RADIUS has no standard attributes for them. The
 * enterprise number is configured.
 */
export const MOBILITY_SUBTYPE = {
  /** Bits of CAPABILITY, 4 octets. */
  CAPABILITY: 1,
  /** 16 octets, or 4 for IPv4. */
  HOME_AGENT_ADDRESS: 2,
  HOME_ADDRESS: 3,
  /** Domain name of the home agent. */
  HOME_AGENT_HOST: 4,
  /** A sealed assignment. It fits no single attribute; the values of several are concatenated in their order. */
  SEALED_ASSIGNMENT: 5,
  /** Assignments of services. */
  MIP4_ASSIGNMENT: 6,
  HIP_ASSIGNMENT: 7,
} as const;

/**
 * The Mobile IPv6 attributes of an Access-Request or Access-Accept: RFC 5447 4.2.3 and 4.2.5, and this project's own.
 * They carry the same values as in Diameter.
 */
export interface RadiusMobility {
  /** Bits of FEATURE. */
  readonly features: bigint | undefined;
  /** Bits of CAPABILITY. */
  readonly capability: number | undefined;
  readonly homeAgent: AddressOctets | undefined;
  readonly homeAgentHost: string | undefined;
  readonly homeAddress: AddressOctets | undefined;
  readonly prefix: HomeLinkPrefix | undefined;
  readonly sealed: Uint8Array | undefined;
  readonly services?: EncodedServices | undefined;
}

/** Length of the value of a sub-attribute in octets: 255 without the headers of the attribute, the vendor and itself. */
const MAX_VALUE = 247;

/** Encodes the attributes that have a value. Throws RangeError if one is too long. */
export function writeMobility(mobility: RadiusMobility, vendorId: number): Attribute[] {
  const { features, capability, homeAgent, homeAgentHost, homeAddress, prefix, sealed, services = {} } = mobility;
  const own = (type: number, value: Uint8Array | undefined) =>
    value === undefined ? [] : [vendorAttribute(vendorId, { type, value })];
  return [
    ...(features === undefined ? [] : attribute('MIP6-Feature-Vector', features)),
    ...(prefix ? attribute('MIP6-Home-Link-Prefix', { length: prefix.length, address: prefix.octets }) : []),
    ...own(MOBILITY_SUBTYPE.CAPABILITY, capability === undefined ? undefined : new Writer(4).u32(capability).finish()),
    ...own(MOBILITY_SUBTYPE.HOME_AGENT_ADDRESS, homeAgent),
    ...own(MOBILITY_SUBTYPE.HOME_ADDRESS, homeAddress),
    ...own(MOBILITY_SUBTYPE.HOME_AGENT_HOST, homeAgentHost === undefined ? undefined : encodeUtf8(homeAgentHost)),
    ...partsOf(sealed).flatMap((part) => own(MOBILITY_SUBTYPE.SEALED_ASSIGNMENT, part)),
    ...serviceAttributes(services, vendorId),
  ];
}

/** Encodes assignments of services. */
export function serviceAttributes({ mip4, hip }: EncodedServices, vendorId: number): Attribute[] {
  return [
    ...(mip4 ? [vendorAttribute(vendorId, { type: MOBILITY_SUBTYPE.MIP4_ASSIGNMENT, value: mip4 })] : []),
    ...(hip ? [vendorAttribute(vendorId, { type: MOBILITY_SUBTYPE.HIP_ASSIGNMENT, value: hip })] : []),
  ];
}

/** Decodes the attributes that a packet has. Throws DecodeError, also for a second one of a kind. */
export function readMobility(packet: Pick<RadiusPacket, 'attributes'>, vendorId: number): RadiusMobility {
  const reader = new AttributeReader(packet);
  const prefix = reader.one('MIP6-Home-Link-Prefix');
  const subs = packet.attributes.flatMap(readVendor).filter((sub) => sub.vendorId === vendorId);
  const own = (type: number): Uint8Array | undefined => {
    const [first, second] = subs.filter((sub) => sub.type === type);
    if (second) throw new DecodeError('too-many', 0, `more than one sub-attribute ${type} of vendor ${vendorId}`);
    return first?.value;
  };
  const parts = subs.filter(({ type }) => type === MOBILITY_SUBTYPE.SEALED_ASSIGNMENT);
  const mip4 = own(MOBILITY_SUBTYPE.MIP4_ASSIGNMENT);
  const hip = own(MOBILITY_SUBTYPE.HIP_ASSIGNMENT);
  const capability = own(MOBILITY_SUBTYPE.CAPABILITY);
  const host = own(MOBILITY_SUBTYPE.HOME_AGENT_HOST);
  return {
    features: reader.one('MIP6-Feature-Vector'),
    capability: capability && integerOf(capability),
    homeAgent: addressOf(own(MOBILITY_SUBTYPE.HOME_AGENT_ADDRESS)),
    homeAgentHost: host && decodeUtf8(host),
    homeAddress: addressOf(own(MOBILITY_SUBTYPE.HOME_ADDRESS)),
    prefix: prefix && { length: prefix.length, octets: prefix.address },
    sealed: parts.length > 0 ? concat(...parts.map(({ value }) => value)) : undefined,
    ...(mip4 || hip ? { services: { ...(mip4 ? { mip4 } : {}), ...(hip ? { hip } : {}) } } : {}),
  };
}

function partsOf(octets: Uint8Array | undefined): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; octets && at < octets.length; at += MAX_VALUE) parts.push(octets.subarray(at, at + MAX_VALUE));
  return parts;
}

function integerOf(octets: Uint8Array): number {
  if (octets.length !== 4) throw new DecodeError('bad-length', 0, `a capability of ${octets.length} octets`);
  return new Reader(octets).u32();
}

function addressOf(octets: Uint8Array | undefined): AddressOctets | undefined {
  if (octets === undefined || octets.length === 4 || octets.length === 16) return octets;
  throw new DecodeError('bad-length', 0, `an address of ${octets.length} octets`);
}
