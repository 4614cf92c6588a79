import type { AddressOctets } from '../../bytes/address.js';
import { addressFamily, addressLength, DEFAULT_VENDOR_ID } from '../../bytes/assigned-numbers.js';
import { assignmentProblem } from '../../mip6/address-checks.js';
import { decodePrefix, encodePrefix, type MobilityAssignment, type SealedAssignment } from '../../mip6/assignment.js';
import {
  decodeService,
  type EncodedServices,
  SERVICES,
  type Service,
  type ServiceAssignment,
} from '../../mip6/services.js';
import type { PanaAvp } from './codec.js';
import { type AvpName, makeAvp, type PanaValues } from './dictionary.js';

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

/** The AVP of each service. */
const SERVICE_AVP = { mip4: 'MIP4-Assignment', hip: 'HIP-Assignment' } as const satisfies Record<Service, AvpName>;

/** The AVPs in PAR[C] that carry the assignments of services to the PaC. */
export function serviceAvps(services: EncodedServices, vendorId: number): PanaAvp[] {
  return SERVICES.flatMap((service) => {
    const value = services[service];
    return value ? [makeAvp(SERVICE_AVP[service], value, vendorId)] : [];
  });
}

/** What a PAR[C] says about services. A string: why the assignment of that service is unusable. */
export type ReceivedServices = { readonly [S in Service]?: ServiceAssignment | string };

export function readServices(values: PanaValues): ReceivedServices {
  const received: { [S in Service]?: ServiceAssignment | string } = {};
  for (const service of SERVICES) {
    const value = values[SERVICE_AVP[service]];
    if (value) received[service] = decodeService(service, value);
  }
  return received;
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
