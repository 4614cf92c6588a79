import type { AddressOctets } from '../bytes/address.js';
import { equalOctets } from '../bytes/octets.js';
import type { HomeLinkPrefix, MobilityAssignment } from './assignment.js';
import { checkName } from './names.js';

/** Minimum length of a home link prefix in bits: a home link is at most a /64 (RFC 4291 2.5.4). */
const MIN_PREFIX_LENGTH = 64;
const MAX_PREFIX_LENGTH = 128;

/** Why these octets cannot be the address of a home agent or mobile node; undefined if they can. */
export function hostAddressProblem(octets: AddressOctets): string | undefined {
  if (octets.length === 4) return v4Problem(octets);
  if (octets.length !== 16) return `it has ${octets.length} octets`;
  const [first = 0, second = 0] = octets;
  if (octets.subarray(0, 10).every(isZero)) {
    if (octets[10] === 0xff && octets[11] === 0xff) return 'it is an IPv4-mapped address';
    if (octets[10] === 0 && octets[11] === 0) return 'it is unspecified, loopback or IPv4-compatible';
  }
  if (first === 0xff) return 'it is a multicast address';
  if (first === 0xfe && (second & 0xc0) === 0x80) return 'it is a link-local address';
  return undefined;
}

/** RFC 1122 3.2.1.3, RFC 3927, RFC 5771. */
function v4Problem(octets: AddressOctets): string | undefined {
  const [first = 0, second = 0] = octets;
  if (first === 0) return 'it is unspecified';
  if (first === 127) return 'it is a loopback address';
  if (first >= 224) return 'it is a multicast or broadcast address';
  if (first === 169 && second === 254) return 'it is a link-local address';
  return undefined;
}

/** Why a home link prefix is invalid; undefined if it is valid. */
export function prefixProblem({ length, octets }: HomeLinkPrefix): string | undefined {
  if (!Number.isInteger(length) || length < MIN_PREFIX_LENGTH || length > MAX_PREFIX_LENGTH) {
    return `its length is ${length}, not ${MIN_PREFIX_LENGTH} to ${MAX_PREFIX_LENGTH}`;
  }
  if (octets.length !== 16) return `it has ${octets.length} octets`;
  return hostAddressProblem(octets);
}

/** Whether a prefix contains an address. */
export function isInPrefix(address: AddressOctets, { length, octets }: HomeLinkPrefix): boolean {
  if (address.length !== 16) return false;
  return address.every((octet, i) => {
    const mask = (0xff00 >> Math.min(8, Math.max(0, length - i * 8))) & 0xff;
    return ((octet ^ (octets[i] ?? 0)) & mask) === 0;
  });
}

/**
 * Why an assignment received from another node is unusable; undefined if it is usable. Hooks write its values into
 * configuration files, and an address that no host can have would divert this node's traffic.
 */
export function assignmentProblem(
  assignment: Pick<MobilityAssignment, 'homeAgent' | 'homeAddress' | 'prefix' | 'host' | 'ikeIdentity'>,
): string | undefined {
  const { homeAgent, homeAddress, prefix, host, ikeIdentity } = assignment;
  const checks: readonly (readonly [what: string, problem: string | undefined])[] = [
    ['home agent', hostAddressProblem(homeAgent)],
    ['home address', homeAddress && hostAddressProblem(homeAddress)],
    ['home address', homeAddress && equalOctets(homeAddress, homeAgent) ? "it is the home agent's" : undefined],
    ['home link prefix', prefix && prefixProblem(prefix)],
    [
      'home address',
      homeAddress && prefix && !isInPrefix(homeAddress, prefix) ? 'it is outside the prefix' : undefined,
    ],
    ['home agent host', host === undefined ? undefined : checkName(host)],
    ['IKE identity', ikeIdentity === undefined ? undefined : checkName(ikeIdentity)],
  ];
  const found = checks.find(([, problem]) => problem !== undefined);
  return found && `${found[0]}: ${found[1]}`;
}

function isZero(octet: number): boolean {
  return octet === 0;
}
