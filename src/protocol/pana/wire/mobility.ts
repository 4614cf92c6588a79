import type { AddressOctets } from '../../bytes/address.js';
import { addressFamily, addressLength, DEFAULT_VENDOR_ID } from '../../bytes/assigned-numbers.js';
import { assignmentProblem } from '../../mip6/address-checks.js';
import { decodePrefix, encodePrefix, type MobilityAssignment, type SealedAssignment } from '../../mip6/assignment.js';
import type { PanaAvp } from './codec.js';
import { makeAvp, type PanaValues } from './dictionary.js';

/** The AVPs in PAR[C] that carry an assignment to the PaC. */
export function mobilityAvps(assignment: MobilityAssignment, vendorId = DEFAULT_VENDOR_ID): PanaAvp[] {
  const avps = [
    makeAvp('Mobility-Capability', assignment.capability, vendorId),
    makeAvp('MIP6-Home-Agent-Address', encodeAddress(assignment.homeAgent), vendorId),
  ];
  const { homeAddress, prefix, host, ikeIdentity, lifetime } = assignment;
  if (homeAddress) avps.push(makeAvp('MIP6-Home-Address', encodeAddress(homeAddress), vendorId));
  if (prefix) avps.push(makeAvp('MIP6-Home-Link-Prefix', encodePrefix(prefix), vendorId));
  if (host !== undefined) avps.push(makeAvp('MIP6-Home-Agent-Host', host, vendorId));
  if (ikeIdentity !== undefined) avps.push(makeAvp('MIP6-IKE-Identity', ikeIdentity, vendorId));
  if (lifetime !== undefined) avps.push(makeAvp('MIP6-Lifetime', lifetime, vendorId));
  return avps;
}

/** The AVPs in PAR[C] that carry a sealed assignment to the PaC. */
export function sealedAvps({ capability, value }: SealedAssignment, vendorId: number): PanaAvp[] {
  return [makeAvp('Mobility-Capability', capability, vendorId), makeAvp('MIP6-Sealed-Assignment', value, vendorId)];
}

/**
 * The assignment in a PAR[C]. Undefined: there is none. A string: why it is unusable. Not RFC: with an unusable
 * assignment the node gets network access without Mobile IPv6, although RFC 5191 5.5 would discard the message.
 */
export function readAssignment(values: PanaValues): MobilityAssignment | string | undefined {
  const agent = values['MIP6-Home-Agent-Address'];
  const address = values['MIP6-Home-Address'];
  const link = values['MIP6-Home-Link-Prefix'];
  if (agent === undefined) return undefined;
  const homeAgent = decodeAddress(agent);
  const homeAddress = address && decodeAddress(address);
  const prefix = link && decodePrefix(link);
  if (!homeAgent) return 'home agent: it is not an address';
  if (address && !homeAddress) return 'home address: it is not an address';
  if (link && !prefix) return 'home link prefix: it is not 17 octets with a length up to 128';
  const assignment = {
    capability: values['Mobility-Capability'] ?? 0,
    homeAgent,
    homeAddress,
    prefix,
    host: values['MIP6-Home-Agent-Host'],
    ikeIdentity: values['MIP6-IKE-Identity'],
    lifetime: values['MIP6-Lifetime'],
  };
  return assignmentProblem(assignment) ?? assignment;
}

function encodeAddress(address: AddressOctets): Uint8Array {
  const out = new Uint8Array(2 + address.length);
  out[1] = addressFamily(address);
  out.set(address, 2);
  return out;
}

function decodeAddress(octets: Uint8Array): AddressOctets | undefined {
  const [high = 0xff, low = 0xff] = octets;
  const address = octets.slice(2);
  return address.length === addressLength((high << 8) | low) ? address : undefined;
}
