import {
  DEFAULT_VENDOR_ID,
  HIP_ASSIGNMENT,
  MIP4_ASSIGNMENT,
  MOBILITY_CAPABILITY,
  SEALED_ASSIGNMENT,
} from '../../bytes/assigned-numbers.js';
import { inverse } from '../../bytes/value-names.js';
import type { DataFormat } from './formats.js';

/** Names of AVPs that a group or command must, may, may repeatedly, and must not contain. All others are `*[AVP]`. */
export interface Grammar {
  /** `{ }` and `< >`: exactly one. */
  readonly one?: readonly string[];
  /** `[ ]`: none or one. */
  readonly maybe?: readonly string[];
  /** `*[ ]`: any number. */
  readonly many?: readonly string[];
  /** `1*{ }`: at least one. */
  readonly some?: readonly string[];
  /** Excluded by the RFC's table: DIAMETER_AVP_NOT_ALLOWED. */
  readonly never?: readonly string[];
}

export interface SimpleSpec {
  readonly code: number;
  readonly vendorId?: number;
  readonly type: DataFormat;
  /** Sent with the M flag; accepted with or without it. */
  readonly m: boolean;
  /** Names of values, for display. */
  readonly values?: Readonly<Record<number, string>>;
  /** Only the named values are valid: DIAMETER_INVALID_AVP_VALUE. */
  readonly closed?: true;
  /** Minimum and maximum length in octets, if the RFC defines it: DIAMETER_INVALID_AVP_LENGTH. */
  readonly octets?: readonly [number, number];
}

interface GroupedSpec {
  readonly code: number;
  readonly vendorId?: number;
  readonly type: 'Grouped';
  readonly m: boolean;
  /** `any`: `* [ AVP ]`, members are kept as undecoded AVPs. */
  readonly group: Grammar | 'any';
}

export type AvpSpec = SimpleSpec | GroupedSpec;

/**
 * Names of enumerated values. The lists of RFC 6733 are complete, except Termination-Cause, for which IANA has
 * registered more (RFC 7155 5).
 */
const NAMES = {
  terminationCause: {
    1: 'LOGOUT',
    2: 'SERVICE_NOT_PROVIDED',
    3: 'BAD_ANSWER',
    4: 'ADMINISTRATIVE',
    5: 'LINK_BROKEN',
    6: 'AUTH_EXPIRED',
    7: 'USER_MOVED',
    8: 'SESSION_TIMEOUT',
  },
  authRequestType: { 1: 'AUTHENTICATE_ONLY', 2: 'AUTHORIZE_ONLY', 3: 'AUTHORIZE_AUTHENTICATE' },
  authSessionState: { 0: 'STATE_MAINTAINED', 1: 'NO_STATE_MAINTAINED' },
  disconnectCause: { 0: 'REBOOTING', 1: 'BUSY', 2: 'DO_NOT_WANT_TO_TALK_TO_YOU' },
  failover: { 0: 'REFUSE_SERVICE', 1: 'TRY_AGAIN', 2: 'ALLOW_SERVICE', 3: 'TRY_AGAIN_ALLOW_SERVICE' },
  reAuthRequestType: { 0: 'AUTHORIZE_ONLY', 1: 'AUTHORIZE_AUTHENTICATE' },
} as const;

/** Values of Enumerated AVPs by name. */
export const TERMINATION_CAUSE = inverse(NAMES.terminationCause);
export const AUTH_REQUEST_TYPE = inverse(NAMES.authRequestType);
export const DISCONNECT_CAUSE = inverse(NAMES.disconnectCause);
export const AUTH_SESSION_STATE = inverse(NAMES.authSessionState);
export const SESSION_SERVER_FAILOVER = inverse(NAMES.failover);
export const RE_AUTH_REQUEST_TYPE = inverse(NAMES.reAuthRequestType);

/** Bits of Session-Binding, RFC 6733 8.17: these commands may go to any server of the realm. */
export const SESSION_BINDING = { RE_AUTH: 1, STR: 2 } as const;

/**
 * The AVPs that this project supports: RFC 6733 4.5; from RFC 7155 those that RFC 4072 3 names, because a NAS sends
 * them with M; RFC 4072 4.1; RFC 5447 4.2; RFC 4004; RFC 5778 6; and its own Mobility-Capability. MIPv6 AVPs are sent
 * without M, because an existing application must not get new mandatory AVPs (RFC 6733 2.3).
 */
export const AVPS = {
  'User-Name': { code: 1, type: 'UTF8String', m: true },
  'NAS-IP-Address': { code: 4, type: 'OctetString', m: true, octets: [4, 4] },
  'NAS-Port': { code: 5, type: 'Unsigned32', m: true },
  'Service-Type': { code: 6, type: 'Enumerated', m: true },
  'Framed-Protocol': { code: 7, type: 'Enumerated', m: true },
  'Framed-IP-Address': { code: 8, type: 'OctetString', m: true, octets: [4, 4] },
  'Framed-IP-Netmask': { code: 9, type: 'OctetString', m: true, octets: [4, 4] },
  'Framed-Routing': { code: 10, type: 'Enumerated', m: true },
  'Filter-Id': { code: 11, type: 'UTF8String', m: true },
  'Framed-MTU': { code: 12, type: 'Unsigned32', m: true },
  'Framed-Compression': { code: 13, type: 'Enumerated', m: true },
  'Reply-Message': { code: 18, type: 'UTF8String', m: true },
  'Callback-Number': { code: 19, type: 'UTF8String', m: true },
  'Callback-Id': { code: 20, type: 'UTF8String', m: true },
  'Framed-Route': { code: 22, type: 'UTF8String', m: true },
  State: { code: 24, type: 'OctetString', m: true },
  Class: { code: 25, type: 'OctetString', m: true },
  'Session-Timeout': { code: 27, type: 'Unsigned32', m: true },
  'Idle-Timeout': { code: 28, type: 'Unsigned32', m: true },
  'Called-Station-Id': { code: 30, type: 'UTF8String', m: true },
  'Calling-Station-Id': { code: 31, type: 'UTF8String', m: true },
  'NAS-Identifier': { code: 32, type: 'UTF8String', m: true },
  'Proxy-State': { code: 33, type: 'OctetString', m: true },
  'Acct-Session-Id': { code: 44, type: 'OctetString', m: true },
  'Event-Timestamp': { code: 55, type: 'Time', m: true },
  'NAS-Port-Type': { code: 61, type: 'Enumerated', m: true },
  'Port-Limit': { code: 62, type: 'Unsigned32', m: true },
  'Connect-Info': { code: 77, type: 'UTF8String', m: true },
  'Configuration-Token': { code: 78, type: 'OctetString', m: true },
  'Acct-Interim-Interval': { code: 85, type: 'Unsigned32', m: true },
  'NAS-Port-Id': { code: 87, type: 'UTF8String', m: true },
  'Framed-Pool': { code: 88, type: 'OctetString', m: true },
  'Chargeable-User-Identity': { code: 89, type: 'OctetString', m: false },
  'Originating-Line-Info': { code: 94, type: 'OctetString', m: true },
  'NAS-IPv6-Address': { code: 95, type: 'OctetString', m: true, octets: [16, 16] },
  'Framed-Interface-Id': { code: 96, type: 'Unsigned64', m: true },
  'Framed-IPv6-Prefix': { code: 97, type: 'OctetString', m: true, octets: [2, 18] },
  'Framed-IPv6-Route': { code: 99, type: 'UTF8String', m: true },
  'Framed-IPv6-Pool': { code: 100, type: 'OctetString', m: true },
  'EAP-Key-Name': { code: 102, type: 'OctetString', m: true },
  'MIP6-Feature-Vector': { code: 124, type: 'Unsigned64', m: false },
  'MIP6-Home-Link-Prefix': { code: 125, type: 'OctetString', m: false },
  'Host-IP-Address': { code: 257, type: 'Address', m: true },
  'Auth-Application-Id': { code: 258, type: 'Unsigned32', m: true },
  'Acct-Application-Id': { code: 259, type: 'Unsigned32', m: true },
  'Vendor-Specific-Application-Id': {
    code: 260,
    type: 'Grouped',
    m: true,
    group: { maybe: ['Auth-Application-Id', 'Acct-Application-Id'], many: ['Vendor-Id'] },
  },
  'Redirect-Host-Usage': { code: 261, type: 'Enumerated', m: true },
  'Redirect-Max-Cache-Time': { code: 262, type: 'Unsigned32', m: true },
  'Session-Id': { code: 263, type: 'UTF8String', m: true },
  'Origin-Host': { code: 264, type: 'DiameterIdentity', m: true },
  'Supported-Vendor-Id': { code: 265, type: 'Unsigned32', m: true },
  'Vendor-Id': { code: 266, type: 'Unsigned32', m: true },
  'Firmware-Revision': { code: 267, type: 'Unsigned32', m: false },
  'Result-Code': { code: 268, type: 'Unsigned32', m: true },
  'Product-Name': { code: 269, type: 'UTF8String', m: false },
  'Session-Binding': { code: 270, type: 'Unsigned32', m: true },
  'Session-Server-Failover': { code: 271, type: 'Enumerated', m: true, values: NAMES.failover, closed: true },
  'Multi-Round-Time-Out': { code: 272, type: 'Unsigned32', m: true },
  'Disconnect-Cause': { code: 273, type: 'Enumerated', m: true, values: NAMES.disconnectCause, closed: true },
  'Auth-Request-Type': { code: 274, type: 'Enumerated', m: true, values: NAMES.authRequestType, closed: true },
  'Auth-Grace-Period': { code: 276, type: 'Unsigned32', m: true },
  'Auth-Session-State': { code: 277, type: 'Enumerated', m: true, values: NAMES.authSessionState, closed: true },
  'Origin-State-Id': { code: 278, type: 'Unsigned32', m: true },
  // Grouped in RFC 6733 7.5, but its members may be unknown, so they are kept undecoded.
  'Failed-AVP': { code: 279, type: 'Grouped', m: true, group: 'any' },
  'Proxy-Host': { code: 280, type: 'DiameterIdentity', m: true },
  'Error-Message': { code: 281, type: 'UTF8String', m: false },
  'Route-Record': { code: 282, type: 'DiameterIdentity', m: true },
  'Destination-Realm': { code: 283, type: 'DiameterIdentity', m: true },
  'Proxy-Info': { code: 284, type: 'Grouped', m: true, group: { one: ['Proxy-Host', 'Proxy-State'] } },
  'Re-Auth-Request-Type': { code: 285, type: 'Enumerated', m: true, values: NAMES.reAuthRequestType, closed: true },
  'Authorization-Lifetime': { code: 291, type: 'Unsigned32', m: true },
  'Redirect-Host': { code: 292, type: 'DiameterURI', m: true },
  'Destination-Host': { code: 293, type: 'DiameterIdentity', m: true },
  'Error-Reporting-Host': { code: 294, type: 'DiameterIdentity', m: false },
  'Termination-Cause': { code: 295, type: 'Enumerated', m: true, values: NAMES.terminationCause },
  'Origin-Realm': { code: 296, type: 'DiameterIdentity', m: true },
  'Experimental-Result': {
    code: 297,
    type: 'Grouped',
    m: true,
    group: { one: ['Vendor-Id', 'Experimental-Result-Code'] },
  },
  'Experimental-Result-Code': { code: 298, type: 'Unsigned32', m: true },
  'Inband-Security-Id': { code: 299, type: 'Unsigned32', m: true },
  'MIP-Mobile-Node-Address': { code: 333, type: 'Address', m: false },
  'MIP-Home-Agent-Address': { code: 334, type: 'Address', m: false },
  'MIP-MN-AAA-SPI': { code: 341, type: 'Unsigned32', m: false },
  'MIP-Session-Key': { code: 343, type: 'OctetString', m: false },
  'MIP-Algorithm-Type': { code: 345, type: 'Enumerated', m: false },
  'MIP-Replay-Mode': { code: 346, type: 'Enumerated', m: false },
  'MIP-Home-Agent-Host': {
    code: 348,
    type: 'Grouped',
    m: false,
    group: { one: ['Destination-Realm', 'Destination-Host'] },
  },
  'MIP-MSA-Lifetime': { code: 367, type: 'Unsigned32', m: false },
  'NAS-Filter-Rule': { code: 400, type: 'OctetString', m: true },
  Tunneling: { code: 401, type: 'Grouped', m: true, group: 'any' },
  'QoS-Filter-Rule': { code: 407, type: 'OctetString', m: true },
  'Origin-AAA-Protocol': { code: 408, type: 'Enumerated', m: true, values: { 1: 'RADIUS' } },
  'EAP-Payload': { code: 462, type: 'OctetString', m: true },
  'EAP-Reissued-Payload': { code: 463, type: 'OctetString', m: true },
  'EAP-Master-Session-Key': { code: 464, type: 'Key', m: true },
  'Accounting-EAP-Auth-Method': { code: 465, type: 'Unsigned64', m: true },
  'MIP6-Agent-Info': {
    code: 486,
    type: 'Grouped',
    m: false,
    group: { maybe: ['MIP-Home-Agent-Host', 'MIP6-Home-Link-Prefix'], many: ['MIP-Home-Agent-Address'] },
  },
  'MIP-Careof-Address': { code: 487, type: 'Address', m: false },
  'MIP-Authenticator': { code: 488, type: 'OctetString', m: false },
  'MIP-MAC-Mobility-Data': { code: 489, type: 'OctetString', m: false },
  'MIP-Timestamp': { code: 490, type: 'OctetString', m: false },
  'MIP-MN-HA-SPI': { code: 491, type: 'Unsigned32', m: false },
  'MIP-MN-HA-MSA': {
    code: 492,
    type: 'Grouped',
    m: false,
    group: {
      one: ['MIP-Session-Key', 'MIP-MSA-Lifetime'],
      maybe: ['MIP-MN-HA-SPI', 'MIP-Algorithm-Type', 'MIP-Replay-Mode'],
    },
  },
  'Service-Selection': { code: 493, type: 'UTF8String', m: false },
  'MIP6-Auth-Mode': { code: 494, type: 'Enumerated', m: false },
  'Mobility-Capability': { code: MOBILITY_CAPABILITY, vendorId: DEFAULT_VENDOR_ID, type: 'Unsigned32', m: false },
  'MIP6-Sealed-Assignment': { code: SEALED_ASSIGNMENT, vendorId: DEFAULT_VENDOR_ID, type: 'OctetString', m: false },
  'MIP4-Assignment': { code: MIP4_ASSIGNMENT, vendorId: DEFAULT_VENDOR_ID, type: 'OctetString', m: false },
  'HIP-Assignment': { code: HIP_ASSIGNMENT, vendorId: DEFAULT_VENDOR_ID, type: 'OctetString', m: false },
} as const satisfies Record<string, AvpSpec>;

export type AvpName = keyof typeof AVPS;

/**
 * AVPs of Mobile IPv6 bootstrapping (RFC 5447, RFC 5778, and this project's own). Network access does not depend on
 * them.
 */
export const MOBILITY_AVPS: ReadonlySet<AvpName> = new Set(
  (Object.keys(AVPS) as AvpName[]).filter((name) => /^(MIP|HIP-|Mobility-)/.test(name)),
);

/** AVPs by vendor (0 for none) and code. A code is unique only within its vendor. */
export class Dictionary {
  readonly #byVendor = new Map<number, Map<number, AvpName>>();
  readonly #ownVendor: number;

  /** `ownVendor`: the enterprise number of this project's own AVPs. */
  constructor(ownVendor: number = DEFAULT_VENDOR_ID) {
    this.#ownVendor = ownVendor;
    for (const name of Object.keys(AVPS) as AvpName[]) {
      const vendor = this.vendorOf(name) ?? 0;
      const byCode = this.#byVendor.get(vendor) ?? new Map<number, AvpName>();
      this.#byVendor.set(vendor, byCode.set(AVPS[name].code, name));
    }
  }

  /** RFC 6733 4.1.1: a Vendor-Id of 0 means none. */
  nameOf(code: number, vendorId: number | undefined): AvpName | undefined {
    return this.#byVendor.get(vendorId ?? 0)?.get(code);
  }

  vendorOf(name: AvpName): number | undefined {
    return 'vendorId' in AVPS[name] ? this.#ownVendor : undefined;
  }
}

/** The specification of an AVP without its literal types. */
export function specOf(name: AvpName): AvpSpec {
  return AVPS[name];
}
