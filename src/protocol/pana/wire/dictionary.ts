import {
  DEFAULT_VENDOR_ID,
  HIP_ASSIGNMENT,
  MIP4_ASSIGNMENT,
  MOBILITY_CAPABILITY,
  SEALED_ASSIGNMENT,
} from '../../bytes/assigned-numbers.js';
import { decodeUtf8, encodeUtf8 } from '../../bytes/octets.js';
import { FLAG, MESSAGE_TYPE, type PanaAvp, type PanaMessage } from './codec.js';

type ValueType = 'OctetString' | 'Unsigned32' | 'UTF8String';

interface AvpSpec {
  readonly code: number;
  readonly type: ValueType;
  /** The AVP belongs to the configured Vendor-Id. */
  readonly vendor?: true;
  /** RFC 6786 6: Y must be encrypted, N must not be, X may be. */
  readonly encryption: 'Y' | 'N' | 'X';
}

/** The AVPs of RFC 5191 8, RFC 6345 5, RFC 6786 4 and 5, and of this project. */
export const AVPS = {
  AUTH: { code: 1, type: 'OctetString', encryption: 'N' },
  'EAP-Payload': { code: 2, type: 'OctetString', encryption: 'X' },
  'Integrity-Algorithm': { code: 3, type: 'Unsigned32', encryption: 'N' },
  'Key-Id': { code: 4, type: 'Unsigned32', encryption: 'N' },
  Nonce: { code: 5, type: 'OctetString', encryption: 'N' },
  'PRF-Algorithm': { code: 6, type: 'Unsigned32', encryption: 'N' },
  'Result-Code': { code: 7, type: 'Unsigned32', encryption: 'N' },
  'Session-Lifetime': { code: 8, type: 'Unsigned32', encryption: 'X' },
  'Termination-Cause': { code: 9, type: 'Unsigned32', encryption: 'X' },
  'PaC-Information': { code: 10, type: 'OctetString', encryption: 'N' },
  'Relayed-Message': { code: 11, type: 'OctetString', encryption: 'N' },
  'Encryption-Encap': { code: 12, type: 'OctetString', encryption: 'N' },
  'Encryption-Algorithm': { code: 13, type: 'Unsigned32', encryption: 'N' },
  'Mobility-Capability': { code: MOBILITY_CAPABILITY, type: 'Unsigned32', vendor: true, encryption: 'X' },
  'MIP6-Home-Agent-Address': { code: 1002, type: 'OctetString', vendor: true, encryption: 'X' },
  'MIP6-Home-Address': { code: 1003, type: 'OctetString', vendor: true, encryption: 'X' },
  'MIP6-Home-Link-Prefix': { code: 1004, type: 'OctetString', vendor: true, encryption: 'X' },
  'MIP6-Home-Agent-Host': { code: 1005, type: 'UTF8String', vendor: true, encryption: 'X' },
  'MIP6-IKE-Identity': { code: 1006, type: 'UTF8String', vendor: true, encryption: 'X' },
  'MIP6-Lifetime': { code: 1007, type: 'Unsigned32', vendor: true, encryption: 'X' },
  Echo: { code: 1008, type: 'OctetString', vendor: true, encryption: 'N' },
  'MIP6-Sealed-Assignment': { code: SEALED_ASSIGNMENT, type: 'OctetString', vendor: true, encryption: 'X' },
  'MIP4-Assignment': { code: MIP4_ASSIGNMENT, type: 'OctetString', vendor: true, encryption: 'X' },
  'HIP-Assignment': { code: HIP_ASSIGNMENT, type: 'OctetString', vendor: true, encryption: 'X' },
} as const satisfies Record<string, AvpSpec>;

export type AvpName = keyof typeof AVPS;

type ValueOf<T extends ValueType> = T extends 'Unsigned32' ? number : T extends 'UTF8String' ? string : Uint8Array;
export type AvpValue<N extends AvpName> = ValueOf<(typeof AVPS)[N]['type']>;

/** PANA Result-Code, RFC 5191 8.7. */
export const RESULT_CODE = { SUCCESS: 0, AUTHENTICATION_REJECTED: 1, AUTHORIZATION_REJECTED: 2 } as const;

/** PANA Termination-Cause, RFC 5191 8.9. It has its own registry, although its values are those of Diameter. */
export const PANA_TERMINATION_CAUSE = { LOGOUT: 1, ADMINISTRATIVE: 4, SESSION_TIMEOUT: 8 } as const;

/** Nonce length, RFC 5191 8.5. */
const NONCE_MIN = 8;
const NONCE_MAX = 256;

/** How often an AVP may occur in a message. */
type Occurrence = '1' | '0-1' | '0+';

interface MessageSpec {
  /** `rfc`: the name in RFC 5191; `paper`: the name in draft-ietf-pana-pana-12. */
  readonly avps: Readonly<Partial<Record<AvpName, Occurrence>>>;
  /** The AVP that must come first. */
  readonly first?: AvpName;
  /** Flags that may be set. */
  readonly flags: number;
}

/** The AVPs of an assignment besides Mobility-Capability. */
const MIP6_GRANT = {
  'MIP6-Home-Agent-Address': '0-1',
  'MIP6-Home-Address': '0-1',
  'MIP6-Home-Link-Prefix': '0-1',
  'MIP6-Home-Agent-Host': '0-1',
  'MIP6-IKE-Identity': '0-1',
  'MIP6-Lifetime': '0-1',
} as const;

/** What protects a message. */
const SHIELD = { 'Encryption-Encap': '0-1', AUTH: '0-1' } as const;

/**
 * Compact grammar of RFC 5191 7.1 to 7.7 with the table of section 8, keyed by type and R flag. RFC 5873 4: each of them
 * may have the E flag.
 */
const MESSAGES = {
  // PCI ::= < PANA-Header: 1 > *[ AVP ]
  '1': { flags: FLAG.E, avps: {} },
  // PAR ::= < PANA-Header: 2,REQ[,STA][,COM][,IPR] > [ EAP-Payload ] [ Nonce ] *[ PRF-Algorithm ]
  //         *[ Integrity-Algorithm ] [ Result-Code ] [ Session-Lifetime ] [ Key-Id ] *[ AVP ] 0*1< AUTH >
  '2R': {
    flags: FLAG.R | FLAG.S | FLAG.C | FLAG.I | FLAG.E,
    avps: {
      'EAP-Payload': '0-1',
      Nonce: '0-1',
      'PRF-Algorithm': '0+',
      'Integrity-Algorithm': '0+',
      'Encryption-Algorithm': '0+',
      'Result-Code': '0-1',
      'Session-Lifetime': '0-1',
      'Key-Id': '0-1',
      'Mobility-Capability': '0-1',
      'MIP6-Sealed-Assignment': '0-1',
      'MIP4-Assignment': '0-1',
      'HIP-Assignment': '0-1',
      ...MIP6_GRANT,
      ...SHIELD,
    },
  },
  // PAN ::= < PANA-Header: 2[,STA][,COM] > [ Nonce ] [ PRF-Algorithm ] [ Integrity-Algorithm ] [ EAP-Payload ]
  //         [ Key-Id ] *[ AVP ] 0*1< AUTH >
  '2': {
    flags: FLAG.S | FLAG.C | FLAG.E,
    avps: {
      Nonce: '0-1',
      'PRF-Algorithm': '0-1',
      'Integrity-Algorithm': '0-1',
      'Encryption-Algorithm': '0-1',
      'EAP-Payload': '0-1',
      'Key-Id': '0-1',
      'Mobility-Capability': '0-1',
      ...SHIELD,
    },
  },
  // PTR ::= < PANA-Header: 3,REQ > < Termination-Cause > *[ AVP ] 0*1< AUTH >
  '3R': { flags: FLAG.R | FLAG.E, first: 'Termination-Cause', avps: { 'Termination-Cause': '1', ...SHIELD } },
  // PTA ::= < PANA-Header: 3 > *[ AVP ] 0*1< AUTH >
  '3': { flags: FLAG.E, avps: SHIELD },
  // PNR ::= < PANA-Header: 4,REQ[,REA][,PIN] > *[ AVP ] 0*1< AUTH >
  '4R': { flags: FLAG.R | FLAG.A | FLAG.P | FLAG.E, avps: { Echo: '0-1', ...SHIELD } },
  // PNA ::= < PANA-Header: 4[,REA][,PIN] > *[ AVP ] 0*1< AUTH >
  '4': { flags: FLAG.A | FLAG.P | FLAG.E, avps: { Echo: '0-1', ...SHIELD } },
  // PRY ::= < PANA-Header: 5 > { PaC-Information } { Relayed-Message } *[ AVP ]
  '5': { flags: 0, avps: { 'PaC-Information': '1', 'Relayed-Message': '1' } },
} as const satisfies Record<string, MessageSpec>;

const SPECS: Readonly<Record<string, MessageSpec>> = MESSAGES;

type AvpsOfMessages = { [M in keyof typeof MESSAGES]: (typeof MESSAGES)[M]['avps'] }[keyof typeof MESSAGES];

/** Names of AVPs that may occur more than once in some message. */
type ListedIn<A> = A extends unknown ? { [N in keyof A]: A[N] extends '0+' ? N : never }[keyof A] : never;
type Listed = Extract<ListedIn<AvpsOfMessages>, AvpName>;

/** The AVPs of a valid message by name: one value, or a list if several are allowed. */
export type PanaValues = {
  readonly [N in Exclude<AvpName, Listed>]?: AvpValue<N>;
} & { readonly [N in Listed]: readonly AvpValue<N>[] };

/** Why a message is invalid, RFC 5191 5.5. Such a message is discarded without an answer. */
export type PanaViolation =
  | 'unknown-type'
  | 'bad-flags'
  | 'unknown-avp'
  | 'avp-not-allowed'
  | 'avp-repeated'
  | 'avp-missing'
  | 'avp-position'
  | 'avp-value';

const ALL_FLAGS = Object.values(FLAG).reduce((sum, flag) => sum | flag, 0);

const STANDARD = new Map<number, AvpName>();
const VENDOR = new Map<number, AvpName>();
for (const [name, spec] of Object.entries(AVPS)) {
  ('vendor' in spec ? VENDOR : STANDARD).set(spec.code, name as AvpName);
}

/** The name of an AVP; undefined if unknown. An AVP code is unique only within its vendor. */
export function avpName(avp: Pick<PanaAvp, 'code' | 'vendorId'>, vendorId: number): AvpName | undefined {
  if (avp.vendorId === undefined) return STANDARD.get(avp.code);
  return avp.vendorId === vendorId ? VENDOR.get(avp.code) : undefined;
}

/** Encodes an AVP of the dictionary. `vendorId`: the configured enterprise number. */
export function makeAvp<N extends AvpName>(name: N, value: AvpValue<N>, vendorId = DEFAULT_VENDOR_ID): PanaAvp {
  const spec: AvpSpec = AVPS[name];
  return { code: spec.code, flags: 0, vendorId: spec.vendor ? vendorId : undefined, value: encodeValue(value) };
}

function encodeValue(value: number | string | Uint8Array): Uint8Array {
  if (typeof value === 'string') return encodeUtf8(value);
  if (typeof value !== 'number') return value;
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/**
 * Checks a message against its grammar (RFC 5191 5.5, items 1 to 4). Returns its values or the first violation. An
 * unknown AVP makes the message invalid, because PANA has no M bit.
 */
export function readPana(message: PanaMessage, vendorId = DEFAULT_VENDOR_ID): PanaValues | PanaViolation {
  const request = (message.flags & FLAG.R) !== 0;
  const spec = SPECS[`${message.type}${request ? 'R' : ''}`];
  if (spec === undefined) return 'unknown-type';
  if (message.flags & ALL_FLAGS & ~spec.flags || !flagsAgree(message)) return 'bad-flags';

  const values = valuesOf(message.avps, spec.avps, vendorId);
  if (typeof values === 'string') return values;
  if (values['Encryption-Encap'] !== undefined) {
    // RFC 6786 5, 6.1: encryption begins with PAR[C], and what a message lacks is known after decryption.
    return message.flags & FLAG.S ? 'avp-not-allowed' : values;
  }
  if (spec.first !== undefined) {
    const first = message.avps[0];
    if (first === undefined) return 'avp-missing';
    if (avpName(first, vendorId) !== spec.first)
      return values[spec.first] === undefined ? 'avp-missing' : 'avp-position';
  }
  for (const [name, occurrence] of Object.entries(spec.avps)) {
    if (occurrence === '1' && values[name as AvpName] === undefined) return 'avp-missing';
  }
  return values;
}

/** The AVPs in a sealed assignment. */
export function readSealedAvps(avps: readonly PanaAvp[], vendorId = DEFAULT_VENDOR_ID): PanaValues | PanaViolation {
  const values = valuesOf(avps, { 'Mobility-Capability': '1', ...MIP6_GRANT }, vendorId);
  return typeof values !== 'string' && values['Mobility-Capability'] === undefined ? 'avp-missing' : values;
}

function valuesOf(
  avps: readonly PanaAvp[],
  allowed: MessageSpec['avps'],
  vendorId: number,
): PanaValues | PanaViolation {
  const values: Partial<Record<AvpName, number | string | Uint8Array>> = {};
  const lists = emptyLists();
  for (const [i, avp] of avps.entries()) {
    const name = avpName(avp, vendorId);
    if (name === undefined) return 'unknown-avp';
    const occurrence = allowed[name];
    if (occurrence === undefined) return 'avp-not-allowed';
    if (name === 'AUTH' && i !== avps.length - 1) return 'avp-position';
    const value = decodeValue(name, avp.value);
    if (value === undefined) return 'avp-value';
    if (isListed(name)) {
      if (occurrence !== '0+' && lists[name].length > 0) return 'avp-repeated';
      lists[name].push(value);
    } else {
      if (values[name] !== undefined) return 'avp-repeated';
      values[name] = value;
    }
  }
  return { ...values, ...lists } as PanaValues;
}

/** S and C exclude each other (RFC 5191 7.2, 7.3). A PNR or PNA has exactly one of A and P (7.6, 7.7). */
function flagsAgree({ type, flags }: PanaMessage): boolean {
  if (type === MESSAGE_TYPE.AUTH) return (flags & FLAG.S) === 0 || (flags & FLAG.C) === 0;
  if (type === MESSAGE_TYPE.NOTIFICATION) return ((flags & FLAG.A) !== 0) !== ((flags & FLAG.P) !== 0);
  return true;
}

const LISTED = new Set<AvpName>(
  Object.values(SPECS).flatMap(({ avps }) =>
    Object.entries(avps).flatMap(([name, occurrence]) => (occurrence === '0+' ? [name as AvpName] : [])),
  ),
);

function isListed(name: AvpName): name is Listed {
  return LISTED.has(name);
}

function emptyLists(): Record<Listed, (number | string | Uint8Array)[]> {
  const lists: Partial<Record<AvpName, (number | string | Uint8Array)[]>> = {};
  for (const name of LISTED) lists[name] = [];
  return lists as Record<Listed, (number | string | Uint8Array)[]>;
}

function decodeValue(name: AvpName, octets: Uint8Array): number | string | Uint8Array | undefined {
  const { type } = AVPS[name];
  if (type === 'Unsigned32') {
    if (octets.length !== 4) return undefined;
    return new DataView(octets.buffer, octets.byteOffset).getUint32(0);
  }
  if (name === 'Nonce' && (octets.length < NONCE_MIN || octets.length > NONCE_MAX)) return undefined;
  if (type === 'OctetString') return octets;
  try {
    return decodeUtf8(octets);
  } catch {
    return undefined;
  }
}

const NAMES: Readonly<Record<string, { readonly rfc: string; readonly paper: string }>> = {
  '1': { rfc: 'PCI', paper: 'PCI' },
  '2R': { rfc: 'PAR', paper: 'PAR' },
  '2': { rfc: 'PAN', paper: 'PAN' },
  '2RS': { rfc: 'PAR[S]', paper: 'PSR' },
  '2S': { rfc: 'PAN[S]', paper: 'PSA' },
  '2RC': { rfc: 'PAR[C]', paper: 'PBR' },
  '2C': { rfc: 'PAN[C]', paper: 'PBA' },
  '3R': { rfc: 'PTR', paper: 'PTR' },
  '3': { rfc: 'PTA', paper: 'PTA' },
  '4RA': { rfc: 'PNR[A]', paper: 'PRAR' },
  '4A': { rfc: 'PNA[A]', paper: 'PRAA' },
  '4RP': { rfc: 'PNR[P]', paper: 'PPR' },
  '4P': { rfc: 'PNA[P]', paper: 'PPA' },
  '5': { rfc: 'PRY', paper: 'PRY' },
};

/** Names of a message: in RFC 5191, and in the draft of 2006 that the paper used. */
export function messageName(message: Pick<PanaMessage, 'type' | 'flags'>): {
  readonly rfc: string;
  readonly paper: string;
} {
  const letters = (['R', 'S', 'C', 'A', 'P'] as const).filter((flag) => message.flags & FLAG[flag]).join('');
  const unknown = `type ${message.type}${letters === '' ? '' : `[${letters}]`}`;
  return NAMES[`${message.type}${letters}`] ?? { rfc: unknown, paper: unknown };
}
