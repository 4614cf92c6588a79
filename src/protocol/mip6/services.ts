import { type AddressOctets, formatAddress } from '../bytes/address.js';
import { DecodeError } from '../bytes/decode-error.js';
import { equalOctets } from '../bytes/octets.js';
import { Reader } from '../bytes/reader.js';
import { Writer } from '../bytes/writer.js';
import { hostAddressProblem } from './address-checks.js';
import { CAPABILITY } from './assignment.js';

/** Services besides Mobile IPv6 that an authentication can bring to a node. */
export const SERVICES = ['mip4', 'hip'] as const;
export type Service = (typeof SERVICES)[number];

/** The bit of CAPABILITY that requests a service. */
export const SERVICE_BIT = { mip4: CAPABILITY.MIP4, hip: CAPABILITY.HIP } as const satisfies Record<Service, number>;

/** The bits of all services. */
export const SERVICE_BITS = CAPABILITY.MIP4 | CAPABILITY.HIP;

/** The services that capability bits request. */
export function servicesOf(bits: number): Service[] {
  return SERVICES.filter((service) => (bits & SERVICE_BIT[service]) !== 0);
}

/** The bits of the services that have an assignment. */
export function bitsOf(assignments: { readonly [S in Service]?: unknown }): number {
  return SERVICES.reduce(
    (bits, service) => (assignments[service] === undefined ? bits : bits | SERVICE_BIT[service]),
    0,
  );
}

/** Mobile IPv4 (RFC 5944). The key of node and home agent is derived by each; see `deriveMip4Key`. */
export interface Mip4Assignment {
  readonly service: 'mip4';
  /** 4 octets each. */
  readonly homeAgent: AddressOctets;
  readonly homeAddress: AddressOctets;
  /** Of the home network, in bits. */
  readonly prefixLength: number;
  readonly spi: number;
  /** Seconds that the key is valid. */
  readonly lifetime: number;
}

/** A HIP rendezvous server (RFC 8004). The registration token is derived by each end; see `deriveHipToken`. */
export interface HipAssignment {
  readonly service: 'hip';
  /** Host Identity Tag of the server, 16 octets. */
  readonly hit: Uint8Array;
  readonly rendezvous: AddressOctets;
  /** Identifies the token without revealing it. */
  readonly tokenId: number;
  /** Seconds that the token is valid. */
  readonly lifetime: number;
}

export type ServiceAssignment = Mip4Assignment | HipAssignment;

/** Encoded assignments, as the AAA protocols and PANA carry them. */
export type EncodedServices = { readonly [S in Service]?: Uint8Array | undefined };

/** SPIs below this are reserved (RFC 5944 3.5.1). */
export const MIN_SPI = 256;

/** HMAC-MD5, the algorithm of RFC 5944 3.5.1. The only one that is defined. */
const HMAC_MD5 = 1;
/** Replay protection by timestamps, RFC 5944 5.7.1. Numbered as in MIP-Replay-Mode, RFC 4004 9.9. */
const TIMESTAMPS = 2;

/*
 * MIP4-Assignment, 20 octets:
 *  +-----------------+-------------------+---------+--------------+--------+-----------+--------+----------+
 *  | Home agent (4)  | Home address (4)  | SPI (4) | Lifetime (4) | Prefix | Algorithm | Replay | Reserved |
 *  +-----------------+-------------------+---------+--------------+--------+-----------+--------+----------+
 *
 * HIP-Assignment, 28 octets with an IPv4 address, 40 with an IPv6 address:
 *  +----------------------+---------------+--------------+-----------------------------------+
 *  | HIT of the server 16 | Token-Id (4)  | Lifetime (4) | Address of the server (4 or 16)   |
 *  +----------------------+---------------+--------------+-----------------------------------+
 */

export function encodeService(assignment: ServiceAssignment): Uint8Array {
  if (assignment.service === 'mip4') {
    const { homeAgent, homeAddress, prefixLength, spi, lifetime } = assignment;
    const writer = new Writer(20).bytes(homeAgent).bytes(homeAddress).u32(spi).u32(lifetime);
    return writer.u8(prefixLength).u8(HMAC_MD5).u8(TIMESTAMPS).u8(0).finish();
  }
  const { hit, rendezvous, tokenId, lifetime } = assignment;
  return new Writer(40).bytes(hit).u32(tokenId).u32(lifetime).bytes(rendezvous).finish();
}

/** Decodes and checks an assignment. A string: why it is unusable. */
export function decodeService(service: Service, octets: Uint8Array): ServiceAssignment | string {
  try {
    const read = service === 'mip4' ? decodeMip4(octets) : decodeHip(octets);
    return typeof read === 'string' ? read : (serviceProblem(read) ?? read);
  } catch (error) {
    if (error instanceof DecodeError) return `${service}: its assignment has ${octets.length} octets`;
    throw error;
  }
}

function decodeMip4(octets: Uint8Array): Mip4Assignment | string {
  const reader = new Reader(octets);
  const homeAgent = reader.bytes(4).slice();
  const homeAddress = reader.bytes(4).slice();
  const spi = reader.u32();
  const lifetime = reader.u32();
  const prefixLength = reader.u8();
  const algorithm = reader.u8();
  const replay = reader.u8();
  reader.u8();
  reader.done();
  if (algorithm !== HMAC_MD5) return `mip4: unknown algorithm ${algorithm}`;
  if (replay !== TIMESTAMPS) return `mip4: unknown replay protection ${replay}`;
  return { service: 'mip4', homeAgent, homeAddress, prefixLength, spi, lifetime };
}

function decodeHip(octets: Uint8Array): HipAssignment {
  const reader = new Reader(octets);
  const hit = reader.bytes(16).slice();
  const tokenId = reader.u32();
  const lifetime = reader.u32();
  const rendezvous = reader.bytes(octets.length === 28 ? 4 : 16).slice();
  reader.done();
  return { service: 'hip', hit, rendezvous, tokenId, lifetime };
}

/** Why an assignment is unusable; undefined if it is usable. Hooks write its values into configuration files. */
function serviceProblem(assignment: ServiceAssignment): string | undefined {
  if (assignment.service === 'hip') {
    const problem = hitProblem(assignment.hit);
    if (problem !== undefined) return `hip: HIT of the server: ${problem}`;
    const address = hostAddressProblem(assignment.rendezvous);
    return address && `hip: rendezvous server: ${address}`;
  }
  const { homeAgent, homeAddress, prefixLength, spi } = assignment;
  const agent = hostAddressProblem(homeAgent);
  if (agent !== undefined) return `mip4: home agent: ${agent}`;
  const home = hostAddressProblem(homeAddress);
  if (home !== undefined) return `mip4: home address: ${home}`;
  if (equalOctets(homeAgent, homeAddress)) return "mip4: home address: it is the home agent's";
  if (prefixLength < 1 || prefixLength > 32) return `mip4: the length of its prefix is ${prefixLength}, not 1 to 32`;
  return spi < MIN_SPI ? `mip4: SPI ${spi} is reserved` : undefined;
}

/** Why octets are no Host Identity Tag (RFC 7343 2: an ORCHIDv2 is in 2001:20::/28); undefined if they are one. */
export function hitProblem(octets: Uint8Array): string | undefined {
  const [first, second, third, fourth = 0] = octets;
  if (octets.length !== 16) return `it has ${octets.length} octets`;
  const isOrchid = first === 0x20 && second === 0x01 && third === 0 && (fourth & 0xf0) === 0x20;
  return isOrchid ? undefined : 'it is not in 2001:20::/28';
}

/** Whether both assignments name the same server and the same home address. Key and lifetime may differ. */
export function isSameService(a: ServiceAssignment, b: ServiceAssignment): boolean {
  if (a.service === 'mip4')
    return b.service === 'mip4' && equalOctets(a.homeAgent, b.homeAgent) && equalOctets(a.homeAddress, b.homeAddress);
  return b.service === 'hip' && equalOctets(a.hit, b.hit) && equalOctets(a.rendezvous, b.rendezvous);
}

/** An assignment as text, for output to operators and variables of hooks. */
export function serviceFields(assignment: ServiceAssignment) {
  const { lifetime } = assignment;
  if (assignment.service === 'hip') {
    const { hit, rendezvous, tokenId } = assignment;
    const id = tokenId.toString(16).padStart(8, '0');
    return { hipRvsHit: formatAddress(hit), hipRvsAddress: formatAddress(rendezvous), hipTokenId: id, lifetime };
  }
  const { homeAgent, homeAddress, prefixLength, spi } = assignment;
  return {
    mip4HomeAgent: formatAddress(homeAgent),
    mip4HomeAddress: formatAddress(homeAddress),
    mip4PrefixLength: prefixLength,
    mip4Spi: spi,
    lifetime,
  };
}
