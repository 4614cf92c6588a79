/** Assigned numbers that several protocols use. Those of one protocol are in its dictionary. */

/** IANA Address Family Numbers. */
const ADDRESS_FAMILY = { IPV4: 1, IPV6: 2 } as const;

/** The address family of an address of 4 or 16 octets. */
export function addressFamily(address: Uint8Array): number {
  return address.length === 4 ? ADDRESS_FAMILY.IPV4 : ADDRESS_FAMILY.IPV6;
}

/** Number of octets of an address of a family; undefined for families other than IPv4 and IPv6. */
export function addressLength(family: number): 4 | 16 | undefined {
  if (family === ADDRESS_FAMILY.IPV4) return 4;
  return family === ADDRESS_FAMILY.IPV6 ? 16 : undefined;
}

/** Enterprise number reserved for documentation (RFC 5612), the Vendor-Id of this project unless configured. */
export const DEFAULT_VENDOR_ID = 32473;

/** Mobility-Capability of this project, which has the same code in PANA and Diameter. */
export const MOBILITY_CAPABILITY = 1001;

/** MIP6-Sealed-Assignment of this project, which has the same code in PANA and Diameter. */
export const SEALED_ASSIGNMENT = 1009;

/** Assignments of the services of this project, which have the same codes in PANA and Diameter. */
export const MIP4_ASSIGNMENT = 1010;
export const HIP_ASSIGNMENT = 1011;
