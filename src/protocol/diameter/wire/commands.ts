import type { Grammar } from './dictionary.js';

/** Application identifiers, RFC 6733 2.4, RFC 4072 2.1, RFC 5778 5. */
export const APPLICATION = {
  COMMON: 0,
  NASREQ: 1,
  ACCOUNTING: 3,
  EAP: 5,
  MIP6I: 7,
  MIP6A: 8,
  RELAY: 0xffff_ffff,
} as const;

export interface CommandSpec extends Grammar {
  readonly name: string;
  readonly code: number;
  readonly request: boolean;
  /** The P bit of the command. */
  readonly proxiable: boolean;
  /** A base command for sessions of any application: RFC 4072 3 sends it with application 0. */
  readonly base?: true;
}

const ANSWER_MAYBE = ['Error-Message', 'Origin-State-Id', 'Error-Reporting-Host', 'Experimental-Result'] as const;
/**
 * Not RFC: `[ Failed-AVP ]` may be repeated here, as in RFC 3588, so that an answer is never rejected because of its
 * error details.
 */
const ANSWER_MANY = ['Failed-AVP', 'Proxy-Info'] as const;
const ROUTABLE_REQUEST = ['Proxy-Info', 'Route-Record'] as const;

const CAPABILITIES = {
  maybe: ['Origin-State-Id', 'Firmware-Revision'],
  some: ['Host-IP-Address'],
  many: [
    'Supported-Vendor-Id',
    'Auth-Application-Id',
    'Inband-Security-Id',
    'Acct-Application-Id',
    'Vendor-Specific-Application-Id',
  ],
} as const;

/** RFC 6733 5.3.1: < Diameter Header: 257, REQ > */
export const CER = {
  name: 'CER',
  code: 257,
  request: true,
  proxiable: false,
  one: ['Origin-Host', 'Origin-Realm', 'Vendor-Id', 'Product-Name'],
  ...CAPABILITIES,
} as const satisfies CommandSpec;

/** RFC 6733 5.3.2. Not RFC: an error CEA may lack AVPs that a success has, so only the identity is required. */
export const CEA = {
  name: 'CEA',
  code: 257,
  request: false,
  proxiable: false,
  one: ['Result-Code', 'Origin-Host', 'Origin-Realm'],
  maybe: ['Vendor-Id', 'Product-Name', 'Error-Message', ...CAPABILITIES.maybe],
  many: ['Host-IP-Address', 'Failed-AVP', ...CAPABILITIES.many],
} as const satisfies CommandSpec;

/** RFC 6733 5.5.1 */
export const DWR = {
  name: 'DWR',
  code: 280,
  request: true,
  proxiable: false,
  one: ['Origin-Host', 'Origin-Realm'],
  maybe: ['Origin-State-Id'],
} as const satisfies CommandSpec;

/** RFC 6733 5.5.2 */
export const DWA = {
  name: 'DWA',
  code: 280,
  request: false,
  proxiable: false,
  one: ['Result-Code', 'Origin-Host', 'Origin-Realm'],
  maybe: ['Error-Message', 'Origin-State-Id'],
  many: ['Failed-AVP'],
} as const satisfies CommandSpec;

/** RFC 6733 5.4.1 */
export const DPR = {
  name: 'DPR',
  code: 282,
  request: true,
  proxiable: false,
  one: ['Origin-Host', 'Origin-Realm', 'Disconnect-Cause'],
} as const satisfies CommandSpec;

/** RFC 6733 5.4.2 */
export const DPA = {
  name: 'DPA',
  code: 282,
  request: false,
  proxiable: false,
  one: ['Result-Code', 'Origin-Host', 'Origin-Realm'],
  maybe: ['Error-Message'],
  many: ['Failed-AVP'],
} as const satisfies CommandSpec;

/** RFC 4072 3.1, with the AVPs of RFC 5447 6. */
export const DER = {
  name: 'DER',
  code: 268,
  request: true,
  proxiable: true,
  one: [
    'Session-Id',
    'Auth-Application-Id',
    'Origin-Host',
    'Origin-Realm',
    'Destination-Realm',
    'Auth-Request-Type',
    'EAP-Payload',
  ],
  maybe: [
    'Destination-Host',
    'NAS-Identifier',
    'NAS-IP-Address',
    'NAS-IPv6-Address',
    'NAS-Port',
    'NAS-Port-Id',
    'NAS-Port-Type',
    'Origin-State-Id',
    'User-Name',
    'EAP-Key-Name',
    'Service-Type',
    'State',
    'Authorization-Lifetime',
    'Auth-Grace-Period',
    'Auth-Session-State',
    'Framed-MTU',
    'Called-Station-Id',
    'Calling-Station-Id',
    'MIP6-Feature-Vector',
    'Mobility-Capability',
  ],
  many: ['MIP6-Agent-Info', 'MIP-Mobile-Node-Address', ...ROUTABLE_REQUEST],
  never: [
    'Session-Timeout',
    'Class',
    'Multi-Round-Time-Out',
    'Result-Code',
    'EAP-Master-Session-Key',
    'EAP-Reissued-Payload',
  ],
} as const satisfies CommandSpec;

/** RFC 4072 3.2 */
export const DEA = {
  name: 'DEA',
  code: 268,
  request: false,
  proxiable: true,
  one: ['Session-Id', 'Auth-Application-Id', 'Auth-Request-Type', 'Result-Code', 'Origin-Host', 'Origin-Realm'],
  maybe: [
    'User-Name',
    'EAP-Payload',
    'EAP-Reissued-Payload',
    'EAP-Master-Session-Key',
    'EAP-Key-Name',
    'Multi-Round-Time-Out',
    'State',
    'Session-Timeout',
    'Authorization-Lifetime',
    'Auth-Grace-Period',
    'Auth-Session-State',
    'Re-Auth-Request-Type',
    'Session-Binding',
    'Session-Server-Failover',
    'Framed-MTU',
    'MIP6-Feature-Vector',
    'Mobility-Capability',
    'MIP6-Sealed-Assignment',
    'MIP4-Assignment',
    'HIP-Assignment',
    ...ANSWER_MAYBE,
  ],
  many: [
    'Class',
    'Accounting-EAP-Auth-Method',
    'Reply-Message',
    'MIP6-Agent-Info',
    'MIP-Mobile-Node-Address',
    ...ANSWER_MANY,
  ],
} as const satisfies CommandSpec;

/** RFC 6733 8.3.1 */
export const RAR = {
  name: 'RAR',
  code: 258,
  request: true,
  proxiable: true,
  base: true,
  one: [
    'Session-Id',
    'Origin-Host',
    'Origin-Realm',
    'Destination-Realm',
    'Destination-Host',
    'Auth-Application-Id',
    'Re-Auth-Request-Type',
  ],
  maybe: ['User-Name', 'Origin-State-Id'],
  many: ROUTABLE_REQUEST,
} as const satisfies CommandSpec;

/** RFC 6733 8.5.1 */
export const ASR = {
  name: 'ASR',
  code: 274,
  request: true,
  proxiable: true,
  base: true,
  one: ['Session-Id', 'Origin-Host', 'Origin-Realm', 'Destination-Realm', 'Destination-Host', 'Auth-Application-Id'],
  maybe: ['User-Name', 'Origin-State-Id'],
  many: ROUTABLE_REQUEST,
} as const satisfies CommandSpec;

/** RFC 6733 8.4.1 */
export const STR = {
  name: 'STR',
  code: 275,
  request: true,
  proxiable: true,
  base: true,
  one: ['Session-Id', 'Origin-Host', 'Origin-Realm', 'Destination-Realm', 'Auth-Application-Id', 'Termination-Cause'],
  maybe: ['User-Name', 'Destination-Host', 'Origin-State-Id'],
  many: ['Class', ...ROUTABLE_REQUEST],
} as const satisfies CommandSpec;

const SESSION_ANSWER = {
  request: false,
  proxiable: true,
  one: ['Session-Id', 'Result-Code', 'Origin-Host', 'Origin-Realm'],
  maybe: ['User-Name', ...ANSWER_MAYBE],
  many: ['Class', ...ANSWER_MANY],
} as const;

/** RFC 6733 8.3.2, 8.5.2, 8.4.2 */
export const RAA = { name: 'RAA', code: 258, ...SESSION_ANSWER } as const satisfies CommandSpec;
export const ASA = { name: 'ASA', code: 274, ...SESSION_ANSWER } as const satisfies CommandSpec;
export const STA = { name: 'STA', code: 275, ...SESSION_ANSWER } as const satisfies CommandSpec;

/** RFC 6733 7.2: any answer with the E bit. */
export const ERROR_ANSWER = {
  name: 'error answer',
  code: 0,
  request: false,
  proxiable: false,
  one: ['Result-Code', 'Origin-Host', 'Origin-Realm'],
  maybe: ['Session-Id', 'Redirect-Host-Usage', 'Redirect-Max-Cache-Time', ...ANSWER_MAYBE],
  many: ['Redirect-Host', ...ANSWER_MANY],
} as const satisfies CommandSpec;

/** RFC 6733 9.7, RFC 5778 5.2, for decoding only. */
const ACR = { name: 'ACR', code: 271, request: true, proxiable: true } as const;
const ACA = { name: 'ACA', code: 271, request: false, proxiable: true } as const;
const MIR = { name: 'MIR', code: 325, request: true, proxiable: true } as const;
const MIA = { name: 'MIA', code: 325, request: false, proxiable: true } as const;

export const COMMANDS: readonly CommandSpec[] = [
  CER,
  CEA,
  DWR,
  DWA,
  DPR,
  DPA,
  DER,
  DEA,
  RAR,
  RAA,
  ASR,
  ASA,
  STR,
  STA,
  ACR,
  ACA,
  MIR,
  MIA,
];

const BY_CODE = new Map(COMMANDS.map((command) => [command.code * 2 + (command.request ? 1 : 0), command]));

/** The command of a message; undefined if it is unknown. */
export function commandOf(commandCode: number, request: boolean): CommandSpec | undefined {
  return BY_CODE.get(commandCode * 2 + (request ? 1 : 0));
}
