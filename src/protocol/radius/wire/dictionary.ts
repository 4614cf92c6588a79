import { inverse } from '../../bytes/value-names.js';

/** How values are written, RFC 8044 3. `key`: hidden with a salt (RFC 2548 2.4.2). `concat`: in pieces (RFC 3579 3.1). */
export type RadiusType =
  | 'text'
  | 'string'
  | 'concat'
  | 'key'
  | 'integer'
  | 'enum'
  | 'time'
  | 'integer64'
  | 'ipv4addr'
  | 'ipv6addr'
  | 'ipv6prefix'
  | 'ifid';

export interface AttributeSpec {
  readonly type: number;
  /** The attribute is in a Vendor-Specific attribute of this vendor. */
  readonly vendorId?: number;
  readonly format: RadiusType;
  /** Names of values, for display. */
  readonly values?: Readonly<Record<number, string>>;
}

/** SMI number of Microsoft, RFC 2548. */
export const MICROSOFT = 311;

/** Names of enumerated values; those of Termination-Cause are complete (RFC 2866 5.10). */
const NAMES = {
  serviceType: {
    1: 'Login',
    2: 'Framed',
    3: 'Callback-Login',
    4: 'Callback-Framed',
    5: 'Outbound',
    6: 'Administrative',
    7: 'NAS-Prompt',
    8: 'Authenticate-Only',
    9: 'Callback-NAS-Prompt',
    10: 'Call-Check',
    11: 'Callback-Administrative',
    17: 'Authorize-Only',
  },
  terminationAction: { 0: 'Default', 1: 'RADIUS-Request' },
  acctStatusType: { 1: 'Start', 2: 'Stop', 3: 'Interim-Update', 7: 'Accounting-On', 8: 'Accounting-Off' },
  acctAuthentic: { 1: 'RADIUS', 2: 'Local', 3: 'Remote' },
  acctTerminateCause: {
    1: 'User-Request',
    2: 'Lost-Carrier',
    3: 'Lost-Service',
    4: 'Idle-Timeout',
    5: 'Session-Timeout',
    6: 'Admin-Reset',
    7: 'Admin-Reboot',
    8: 'Port-Error',
    9: 'NAS-Error',
    10: 'NAS-Request',
    11: 'NAS-Reboot',
    12: 'Port-Unneeded',
    13: 'Port-Preempted',
    14: 'Port-Suspended',
    15: 'Service-Unavailable',
    16: 'Callback',
    17: 'User-Error',
    18: 'Host-Request',
  },
  nasPortType: { 5: 'Virtual', 15: 'Ethernet', 19: 'Wireless-802.11' },
  errorCause: {
    201: 'Residual-Session-Context-Removed',
    202: 'Invalid-EAP-Packet',
    401: 'Unsupported-Attribute',
    402: 'Missing-Attribute',
    403: 'NAS-Identification-Mismatch',
    404: 'Invalid-Request',
    405: 'Unsupported-Service',
    406: 'Unsupported-Extension',
    407: 'Invalid-Attribute-Value',
    501: 'Administratively-Prohibited',
    502: 'Request-Not-Routable',
    503: 'Session-Context-Not-Found',
    504: 'Session-Context-Not-Removable',
    505: 'Other-Proxy-Processing-Error',
    506: 'Resources-Unavailable',
    507: 'Request-Initiated',
    508: 'Multiple-Session-Selection-Unsupported',
  },
} as const;

/**
 * The attributes that this project knows: RFC 2865 5, RFC 2866 5, RFC 2869 5, RFC 3162 2, RFC 3579 3, RFC 4372,
 * RFC 5176 3, RFC 5447 4.2, RFC 6911 3, and Microsoft's keys (RFC 2548 2.4).
 */
export const ATTRIBUTES = {
  'User-Name': { type: 1, format: 'text' },
  'User-Password': { type: 2, format: 'string' },
  'CHAP-Password': { type: 3, format: 'string' },
  'NAS-IP-Address': { type: 4, format: 'ipv4addr' },
  'NAS-Port': { type: 5, format: 'integer' },
  'Service-Type': { type: 6, format: 'enum', values: NAMES.serviceType },
  'Framed-Protocol': { type: 7, format: 'enum' },
  'Framed-IP-Address': { type: 8, format: 'ipv4addr' },
  'Framed-IP-Netmask': { type: 9, format: 'ipv4addr' },
  'Filter-Id': { type: 11, format: 'text' },
  'Framed-MTU': { type: 12, format: 'integer' },
  'Login-IP-Host': { type: 14, format: 'ipv4addr' },
  'Login-Service': { type: 15, format: 'enum' },
  'Reply-Message': { type: 18, format: 'text' },
  'Framed-Route': { type: 22, format: 'text' },
  State: { type: 24, format: 'string' },
  Class: { type: 25, format: 'string' },
  'Vendor-Specific': { type: 26, format: 'string' },
  'Session-Timeout': { type: 27, format: 'integer' },
  'Idle-Timeout': { type: 28, format: 'integer' },
  'Termination-Action': { type: 29, format: 'enum', values: NAMES.terminationAction },
  'Called-Station-Id': { type: 30, format: 'text' },
  'Calling-Station-Id': { type: 31, format: 'text' },
  'NAS-Identifier': { type: 32, format: 'text' },
  'Proxy-State': { type: 33, format: 'string' },
  'Acct-Status-Type': { type: 40, format: 'enum', values: NAMES.acctStatusType },
  'Acct-Delay-Time': { type: 41, format: 'integer' },
  'Acct-Input-Octets': { type: 42, format: 'integer' },
  'Acct-Output-Octets': { type: 43, format: 'integer' },
  'Acct-Session-Id': { type: 44, format: 'text' },
  'Acct-Authentic': { type: 45, format: 'enum', values: NAMES.acctAuthentic },
  'Acct-Session-Time': { type: 46, format: 'integer' },
  'Acct-Input-Packets': { type: 47, format: 'integer' },
  'Acct-Output-Packets': { type: 48, format: 'integer' },
  'Acct-Terminate-Cause': { type: 49, format: 'enum', values: NAMES.acctTerminateCause },
  'Acct-Multi-Session-Id': { type: 50, format: 'text' },
  'Acct-Link-Count': { type: 51, format: 'integer' },
  'Acct-Input-Gigawords': { type: 52, format: 'integer' },
  'Acct-Output-Gigawords': { type: 53, format: 'integer' },
  'Event-Timestamp': { type: 55, format: 'time' },
  'CHAP-Challenge': { type: 60, format: 'string' },
  'NAS-Port-Type': { type: 61, format: 'enum', values: NAMES.nasPortType },
  'Port-Limit': { type: 62, format: 'integer' },
  'Connect-Info': { type: 77, format: 'text' },
  'EAP-Message': { type: 79, format: 'concat' },
  'Message-Authenticator': { type: 80, format: 'string' },
  'Acct-Interim-Interval': { type: 85, format: 'integer' },
  'NAS-Port-Id': { type: 87, format: 'text' },
  'Chargeable-User-Identity': { type: 89, format: 'string' },
  'NAS-IPv6-Address': { type: 95, format: 'ipv6addr' },
  'Framed-Interface-Id': { type: 96, format: 'ifid' },
  'Framed-IPv6-Prefix': { type: 97, format: 'ipv6prefix' },
  'Error-Cause': { type: 101, format: 'enum', values: NAMES.errorCause },
  'EAP-Key-Name': { type: 102, format: 'string' },
  'MIP6-Feature-Vector': { type: 124, format: 'integer64' },
  'MIP6-Home-Link-Prefix': { type: 125, format: 'ipv6prefix' },
  'Framed-IPv6-Address': { type: 168, format: 'ipv6addr' },
  'MS-MPPE-Send-Key': { type: 16, vendorId: MICROSOFT, format: 'key' },
  'MS-MPPE-Recv-Key': { type: 17, vendorId: MICROSOFT, format: 'key' },
} as const satisfies Record<string, AttributeSpec>;

export type AttributeName = keyof typeof ATTRIBUTES;

/** Values of enumerated attributes by name. */
export const SERVICE_TYPE = inverse(NAMES.serviceType);
export const TERMINATION_ACTION = inverse(NAMES.terminationAction);
export const ACCT_STATUS_TYPE = inverse(NAMES.acctStatusType);
export const ACCT_TERMINATE_CAUSE = inverse(NAMES.acctTerminateCause);
export const ERROR_CAUSE = inverse(NAMES.errorCause);
