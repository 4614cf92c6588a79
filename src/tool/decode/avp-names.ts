import { AVPS, type AvpSpec } from '../../protocol/diameter/wire/dictionary.js';
import { resultName } from '../../protocol/diameter/wire/result-codes.js';

/** An AVP that the daemons do not support, but that a capture may contain. */
export interface KnownAvp {
  readonly name: string;
  readonly type: AvpSpec['type'];
}

/** Names of values: of consecutive ones from a first value, or of each. */
function from(first: number, names: string): Readonly<Record<number, string>> {
  return Object.fromEntries(names.split('|').map((name, i) => [first + i, name]));
}

/** RFC 2866 5.10, RFC 3580 3.1: Acct-Terminate-Cause. Termination-Cause has the same ones from 11 on (RFC 7155 4.9.4). */
const CAUSES =
  'User Request|Lost Carrier|Lost Service|Idle Timeout|Session Timeout|Admin Reset|Admin Reboot|Port Error|NAS Error|NAS Request|NAS Reboot|Port Unneeded|Port Preempted|Port Suspended|Service Unavailable|Callback|User Error|Host Request|Supplicant Restart|Reauthentication Failure|Port Reinitialized|Port Administratively Disabled';

/**
 * Names of the values of Enumerated AVPs: RFC 6733, RFC 4072, RFC 7155 with the IANA registry of RADIUS types that it
 * refers to, RFC 2866, RFC 4004, RFC 5778.
 */
const VALUES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  'Accounting-Auth-Method': from(1, 'PAP|CHAP|MS-CHAP-1|MS-CHAP-2|EAP|Undefined|None'),
  'Accounting-Realtime-Required': from(1, 'DELIVER_AND_GRANT|GRANT_AND_STORE|GRANT_AND_LOSE'),
  'Accounting-Record-Type': from(1, 'EVENT_RECORD|START_RECORD|INTERIM_RECORD|STOP_RECORD'),
  'Acct-Authentic': from(0, 'None|RADIUS|Local|Remote|Diameter'),
  'Acct-Status-Type': from(
    1,
    'Start|Stop|Interim-Update|Modem-Start|Modem-Stop|Cancel|Accounting-On|Accounting-Off|Tunnel-Start|Tunnel-Stop|Tunnel-Reject|Tunnel-Link-Start|Tunnel-Link-Stop|Tunnel-Link-Reject|Failed',
  ),
  'Acct-Terminate-Cause': { ...from(1, CAUSES), 23: 'Lost Power' },
  'ARAP-Zone-Access': { 1: 'Only default zone', 2: 'Zone filter inclusively', 4: 'Zone filter exclusively' },
  'CHAP-Algorithm': { 5: 'CHAP with MD5' },
  'Error-Cause': {
    ...from(201, 'Residual Session Context Removed|Invalid EAP Packet (Ignored)'),
    ...from(
      401,
      'Unsupported Attribute|Missing Attribute|NAS Identification Mismatch|Invalid Request|Unsupported Service|Unsupported Extension|Invalid Attribute Value',
    ),
    ...from(
      501,
      'Administratively Prohibited|Request Not Routable (Proxy)|Session Context Not Found|Session Context Not Removable|Other Proxy Processing Error|Resources Unavailable|Request Initiated|Multiple Session Selection Unsupported',
    ),
  },
  'Framed-Compression': from(0, 'None|VJ TCP/IP header compression|IPX header compression|Stac-LZS compression'),
  'Framed-Protocol': from(1, 'PPP|SLIP|ARAP|Gandalf|Xylogics IPX/SLIP|X.75 Synchronous|GPRS PDP Context'),
  'Framed-Routing': from(0, 'None|Send routing packets|Listen for routing packets|Send and Listen'),
  'Inband-Security-Id': from(0, 'NO_INBAND_SECURITY|TLS'),
  'Login-Service': {
    ...from(0, 'Telnet|Rlogin|TCP Clear|PortMaster|LAT|X25-PAD|X25-T3POS'),
    8: 'TCP Clear Quiet',
  },
  'MIP-Algorithm-Type': { 2: 'HMAC-SHA-1' },
  'MIP-Replay-Mode': from(1, 'None|Timestamps|Nonces'),
  'MIP6-Auth-Mode': { 1: 'IP6_AUTH_MN_AAA' },
  'NAS-Port-Type': from(
    0,
    'Async|Sync|ISDN Sync|ISDN Async V.120|ISDN Async V.110|Virtual|PIAFS|HDLC Clear Channel|X.25|X.75|G.3 Fax|SDSL|ADSL-CAP|ADSL-DMT|IDSL|Ethernet|xDSL|Cable|Wireless - Other|Wireless - IEEE 802.11|Token-Ring|FDDI|Wireless - CDMA2000|Wireless - UMTS|Wireless - 1X-EV|IAPP|FTTP|Wireless - IEEE 802.16|Wireless - IEEE 802.20|Wireless - IEEE 802.22|PPPoA|PPPoEoA|PPPoEoE|PPPoEoVLAN|PPPoEoQinQ|xPON|Wireless - XGP',
  ),
  Prompt: from(0, 'No Echo|Echo'),
  'Redirect-Host-Usage': from(
    0,
    'DONT_CACHE|ALL_SESSION|ALL_REALM|REALM_AND_APPLICATION|ALL_APPLICATION|ALL_HOST|ALL_USER',
  ),
  'Service-Type': from(
    1,
    'Login|Framed|Callback Login|Callback Framed|Outbound|Administrative|NAS Prompt|Authenticate Only|Callback NAS Prompt|Call Check|Callback Administrative|Voice|Fax|Modem Relay|IAPP-Register|IAPP-AP-Check|Authorize Only|Framed-Management',
  ),
  'Session-Binding': from(
    0,
    'none|RE_AUTH|STR|RE_AUTH STR|ACCOUNTING|RE_AUTH ACCOUNTING|STR ACCOUNTING|RE_AUTH STR ACCOUNTING',
  ),
  'Termination-Action': from(0, 'DEFAULT|AA-REQUEST'),
  'Termination-Cause': {
    ...from(
      1,
      'LOGOUT|SERVICE_NOT_PROVIDED|BAD_ANSWER|ADMINISTRATIVE|LINK_BROKEN|AUTH_EXPIRED|USER_MOVED|SESSION_TIMEOUT',
    ),
    ...from(11, CAUSES),
  },
  'Tunnel-Medium-Type': from(
    1,
    'IPv4|IPv6|NSAP|HDLC|BBN 1822|802|E.163|E.164|F.69|X.121|IPX|Appletalk|Decnet IV|Banyan Vines|E.164 with NSAP',
  ),
  'Tunnel-Type': from(1, 'PPTP|L2F|L2TP|ATMP|VTP|AH|IP-IP|MIN-IP-IP|ESP|GRE|DVS|IP-in-IP Tunneling|VLAN'),
};

/** AVPs that the daemons do not support, by code: RFC 6733, RFC 7155, RFC 4004, and the RADIUS attributes of RFC 2866. */
const UNSUPPORTED: Readonly<Record<number, readonly [name: string, type: AvpSpec['type']]>> = {
  2: ['User-Password', 'OctetString'],
  14: ['Login-IP-Host', 'OctetString'],
  15: ['Login-Service', 'Enumerated'],
  16: ['Login-TCP-Port', 'Unsigned32'],
  23: ['Framed-IPX-Network', 'Unsigned32'],
  29: ['Termination-Action', 'Enumerated'],
  34: ['Login-LAT-Service', 'OctetString'],
  35: ['Login-LAT-Node', 'OctetString'],
  36: ['Login-LAT-Group', 'OctetString'],
  37: ['Framed-AppleTalk-Link', 'Unsigned32'],
  38: ['Framed-AppleTalk-Network', 'Unsigned32'],
  39: ['Framed-AppleTalk-Zone', 'OctetString'],
  40: ['Acct-Status-Type', 'Enumerated'],
  41: ['Acct-Delay-Time', 'Unsigned32'],
  42: ['Acct-Input-Octets', 'Unsigned32'],
  43: ['Acct-Output-Octets', 'Unsigned32'],
  45: ['Acct-Authentic', 'Enumerated'],
  46: ['Acct-Session-Time', 'Unsigned32'],
  47: ['Acct-Input-Packets', 'Unsigned32'],
  48: ['Acct-Output-Packets', 'Unsigned32'],
  49: ['Acct-Terminate-Cause', 'Enumerated'],
  50: ['Acct-Multi-Session-Id', 'UTF8String'],
  51: ['Acct-Link-Count', 'Unsigned32'],
  52: ['Acct-Input-Gigawords', 'Unsigned32'],
  53: ['Acct-Output-Gigawords', 'Unsigned32'],
  60: ['CHAP-Challenge', 'OctetString'],
  63: ['Login-LAT-Port', 'OctetString'],
  64: ['Tunnel-Type', 'Enumerated'],
  65: ['Tunnel-Medium-Type', 'Enumerated'],
  66: ['Tunnel-Client-Endpoint', 'UTF8String'],
  67: ['Tunnel-Server-Endpoint', 'UTF8String'],
  68: ['Acct-Tunnel-Connection', 'OctetString'],
  69: ['Tunnel-Password', 'OctetString'],
  70: ['ARAP-Password', 'OctetString'],
  71: ['ARAP-Features', 'OctetString'],
  72: ['ARAP-Zone-Access', 'Enumerated'],
  73: ['ARAP-Security', 'Unsigned32'],
  74: ['ARAP-Security-Data', 'OctetString'],
  75: ['Password-Retry', 'Unsigned32'],
  76: ['Prompt', 'Enumerated'],
  81: ['Tunnel-Private-Group-Id', 'OctetString'],
  82: ['Tunnel-Assignment-Id', 'OctetString'],
  83: ['Tunnel-Preference', 'Unsigned32'],
  84: ['ARAP-Challenge-Response', 'OctetString'],
  86: ['Acct-Tunnel-Packets-Lost', 'Unsigned32'],
  90: ['Tunnel-Client-Auth-Id', 'UTF8String'],
  91: ['Tunnel-Server-Auth-Id', 'UTF8String'],
  98: ['Login-IPv6-Host', 'OctetString'],
  101: ['Error-Cause', 'Enumerated'],
  123: ['Delegated-IPv6-Prefix', 'OctetString'],
  287: ['Accounting-Sub-Session-Id', 'Unsigned64'],
  300: ['E2E-Sequence', 'Grouped'],
  363: ['Accounting-Input-Octets', 'Unsigned64'],
  364: ['Accounting-Output-Octets', 'Unsigned64'],
  365: ['Accounting-Input-Packets', 'Unsigned64'],
  366: ['Accounting-Output-Packets', 'Unsigned64'],
  402: ['CHAP-Auth', 'Grouped'],
  403: ['CHAP-Algorithm', 'Enumerated'],
  404: ['CHAP-Ident', 'OctetString'],
  405: ['CHAP-Response', 'OctetString'],
  406: ['Accounting-Auth-Method', 'Enumerated'],
  480: ['Accounting-Record-Type', 'Enumerated'],
  483: ['Accounting-Realtime-Required', 'Enumerated'],
  485: ['Accounting-Record-Number', 'Unsigned32'],
};

/** An AVP without a vendor that the daemons do not support. */
export function unsupportedAvp(code: number): KnownAvp | undefined {
  const [name, type] = UNSUPPORTED[code] ?? [];
  return name === undefined || type === undefined ? undefined : { name, type };
}

/** The names of the values of an AVP; undefined: its values have none. */
export function valueNames(name: string): Readonly<Record<number, string>> | undefined {
  const own = VALUES[name];
  if (own) return own;
  const spec: AvpSpec | undefined = AVPS[name as keyof typeof AVPS];
  return spec && 'values' in spec ? spec.values : undefined;
}

/** Result-Codes that the daemons do not use: RFC 7075 4, RFC 7155 (5018), RFC 4004 5, RFC 4740 10.1. */
const OTHER_RESULTS: Readonly<Record<number, string>> = {
  2003: 'FIRST_REGISTRATION',
  2004: 'SUBSEQUENT_REGISTRATION',
  2005: 'UNREGISTERED_SERVICE',
  2006: 'SUCCESS_SERVER_NAME_NOT_STORED',
  2007: 'SERVER_SELECTION',
  2008: 'SUCCESS_AUTH_SENT_SERVER_NOT_STORED',
  3011: 'REALM_REDIRECT_INDICATION',
  4005: 'ERROR_MIP_REPLY_FAILURE',
  4006: 'ERROR_HA_NOT_AVAILABLE',
  4007: 'ERROR_BAD_KEY',
  4008: 'ERROR_MIP_FILTER_NOT_SUPPORTED',
  4010: 'END_USER_SERVICE_DENIED',
  4011: 'CREDIT_CONTROL_NOT_APPLICABLE',
  4012: 'CREDIT_LIMIT_REACHED',
  4013: 'USER_NAME_REQUIRED',
  5018: 'RADIUS_AVP_UNTRANSLATABLE',
  5024: 'ERROR_NO_FOREIGN_HA_SERVICE',
  5025: 'ERROR_END_TO_END_MIP_KEY_ENCRYPTION',
  5030: 'USER_UNKNOWN',
  5031: 'RATING_FAILED',
};

/** The name of a Result-Code; its number if unknown. */
export function resultText(code: number): string {
  return OTHER_RESULTS[code] ?? resultName(code);
}

/** EAP method types of the IANA registry. */
export const EAP_TYPES: Readonly<Record<number, string>> = {
  1: 'Identity',
  2: 'Notification',
  3: 'Nak',
  4: 'MD5-Challenge',
  5: 'One-Time Password',
  6: 'Generic Token Card',
  13: 'EAP-TLS',
  17: 'LEAP',
  18: 'EAP-SIM',
  21: 'EAP-TTLS',
  23: 'EAP-AKA',
  25: 'PEAP',
  26: 'EAP-MSCHAPv2',
  38: 'EAP-TNC',
  43: 'EAP-FAST',
  47: 'EAP-PSK',
  49: 'EAP-IKEv2',
  50: "EAP-AKA'",
  51: 'EAP-GPSK',
  52: 'EAP-pwd',
  53: 'EAP-EKE',
  54: 'EAP-PT',
  55: 'TEAP',
  56: 'EAP-NOOB',
  254: 'Expanded',
};
