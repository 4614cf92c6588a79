import { formatAddress } from '../../protocol/bytes/address.js';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { toHex } from '../../protocol/bytes/octets.js';
import { Reader } from '../../protocol/bytes/reader.js';
import {
  AVP_FLAG,
  type Avp,
  FLAG as DIAMETER_FLAG,
  type DiameterMessage,
  readAvps,
} from '../../protocol/diameter/wire/codec.js';
import { APPLICATION, commandOf } from '../../protocol/diameter/wire/commands.js';
import { type AvpSpec, type Dictionary, specOf } from '../../protocol/diameter/wire/dictionary.js';
import { decodeFormat } from '../../protocol/diameter/wire/formats.js';
import { decodeEap, EAP_CODE, EAP_TYPE } from '../../protocol/eap/codec.js';
import { decodeEapTls } from '../../protocol/eap/eap-tls.js';
import { FlightBuffer } from '../../protocol/eap/fragments.js';
import { capabilityNames, decodePrefix } from '../../protocol/mip6/assignment.js';
import { ENCRYPTION_ALGORITHMS, INTEGRITY_ALGORITHMS, PRF_ALGORITHMS } from '../../protocol/pana/wire/algorithms.js';
import { FLAG as PANA_FLAG, type PanaAvp, type PanaMessage } from '../../protocol/pana/wire/codec.js';
import {
  AVPS,
  avpName,
  messageName,
  PANA_TERMINATION_CAUSE,
  RESULT_CODE,
} from '../../protocol/pana/wire/dictionary.js';
import { visible } from '../../runtime/system/terminal.js';
import { SEALING_LINE } from '../../runtime/tls/key-log.js';
import { EAP_TYPES, resultText, unsupportedAvp, valueNames } from './avp-names.js';
import { RecentMap } from './heard.js';
import type { Opened } from './keys.js';
import { pacOf, relayedIn } from './relay.js';
import type { OpenedSeal } from './seals.js';
import { serviceText } from './services.js';

/** Maximum number of octets of an unknown value to show. */
const SHOWN = 32;

const INDENT = '    ';
const NAME_WIDTH = 26;

/** AVPs whose value is a key, which is never shown. */
const SECRET = new Set([
  'EAP-Master-Session-Key',
  'MIP-Session-Key',
  'User-Password',
  'Tunnel-Password',
  'ARAP-Password',
  'CHAP-Response',
]);

/** RADIUS attributes with addresses, which Diameter defines as OctetString. */
const ADDRESSES = new Set(['NAS-IP-Address', 'NAS-IPv6-Address', 'Framed-IP-Address', 'Framed-IP-Netmask']);

const EAP_CODES: Readonly<Record<number, string>> = { 1: 'Request', 2: 'Response', 3: 'Success', 4: 'Failure' };
const RECORDS: Readonly<Record<number, string>> = {
  20: 'change_cipher_spec',
  21: 'alert',
  22: 'handshake',
  23: 'application_data',
};
const HANDSHAKES: Readonly<Record<number, string>> = {
  0: 'hello_request',
  1: 'client_hello',
  2: 'server_hello',
  4: 'new_session_ticket',
  8: 'encrypted_extensions',
  11: 'certificate',
  12: 'server_key_exchange',
  13: 'certificate_request',
  14: 'server_hello_done',
  15: 'certificate_verify',
  16: 'client_key_exchange',
  20: 'finished',
};
const APPLICATIONS = new Map<number, string>(Object.entries(APPLICATION).map(([name, id]) => [id, name]));

/** Limit of the fragmented TLS flights that are kept; each is at most as large as EAP-TLS allows. */
const MAX_FLIGHTS = 512;

/** Fragmented TLS flights, by conversation and direction. The oldest is given up if there are too many. */
export class Flights extends RecentMap<FlightBuffer> {
  constructor() {
    super(MAX_FLIGHTS);
  }
}

/** Maximum depth to which grouped AVPs are shown. */
const MAX_DEPTH = 16;

export function line(name: string, value: string, depth: number): string {
  return `${INDENT.repeat(depth)}${name.padEnd(NAME_WIDTH)} ${visible(value)}`.trimEnd();
}

export function shortHex(octets: Uint8Array): string {
  const text = toHex(octets.subarray(0, SHOWN));
  return octets.length > SHOWN ? `${text}… (${octets.length} octets)` : text;
}

// ------------------------------------------------------------------------------------------------------------- PANA

/**
 * Describes a PANA message in lines, the first with both of its names. `auth`: whether its AUTH is valid. `encap`: the
 * content of its Encryption-Encap.
 */
export function describePana(
  message: PanaMessage,
  vendorId: number,
  flights: Flights,
  auth?: string,
  encap?: Opened,
): string[] {
  const { rfc, paper } = messageName(message);
  const names = rfc === paper ? rfc : `${rfc} / ${paper}`;
  const flags = Object.entries(PANA_FLAG).flatMap(([name, bit]) => (message.flags & bit ? [name] : []));
  const session = message.sessionId.toString(16).padStart(8, '0');
  const head = `PANA ${names}  session ${session}  sequence ${message.sequence}  flags ${flags.join('') || '-'}`;
  const relayed = relayedIn(message, vendorId);
  const lines = message.avps.flatMap((avp) => {
    const opened = relayed !== undefined && avpName(avp, vendorId) === 'Relayed-Message';
    if (opened) return [line('Relayed-Message', '', 1)];
    if (encap && !relayed && avpName(avp, vendorId) === 'Encryption-Encap') {
      const inner = encap.avps.flatMap((each) => describePanaAvp(each, vendorId, `pana ${session}`, flights));
      return [line('Encryption-Encap', encap.text, 1), ...inner.map((text) => `${INDENT}${text}`)];
    }
    return describePanaAvp(avp, vendorId, `pana ${session}`, flights);
  });
  // The PRY has its message last (RFC 6345 4.1).
  const inner = relayed ? describePana(relayed.message, vendorId, flights, auth, encap) : [];
  return [
    head,
    ...lines,
    ...inner.map((text) => `${INDENT}${INDENT}${text}`),
    ...(auth === undefined || relayed ? [] : [line('', auth, 1)]),
  ];
}

function describePanaAvp(avp: PanaAvp, vendorId: number, conversation: string, flights: Flights): string[] {
  const name = avpName(avp, vendorId);
  const vendor = avp.vendorId === undefined ? '' : ` of vendor ${avp.vendorId}`;
  if (name === undefined) return [line(`AVP ${avp.code}${vendor}`, shortHex(avp.value), 1)];
  if (name === 'EAP-Payload') return describeEap(name, avp.value, conversation, flights, 1);
  if (AVPS[name].type === 'UTF8String') return [line(name, JSON.stringify(Buffer.from(avp.value).toString('utf8')), 1)];
  if (AVPS[name].type === 'Unsigned32' && avp.value.length === 4) {
    return [line(name, panaNumber(name, Buffer.from(avp.value).readUInt32BE(0)), 1)];
  }
  if (name === 'MIP6-Home-Link-Prefix') return [line(name, prefixText(avp.value), 1)];
  if (name === 'MIP6-Home-Agent-Address' || name === 'MIP6-Home-Address') {
    const address = avp.value.subarray(2);
    const readable = address.length === 4 || address.length === 16;
    return [line(name, readable ? formatAddress(address) : shortHex(avp.value), 1)];
  }
  if (name === 'MIP6-Sealed-Assignment') return [line(name, sealText(avp.value), 1)];
  const service = serviceText(name, avp.value);
  if (service !== undefined) return [line(name, service, 1)];
  const pac = name === 'PaC-Information' ? pacOf(avp.value) : undefined;
  if (pac) return [line(name, `${pac.address} port ${pac.port}`, 1)];
  return [line(name, shortHex(avp.value), 1)];
}

/** The lines of a sealed assignment whose key is known, after those of its message. */
export function describeSeal({ name, avps }: OpenedSeal, vendorId: number): string[] {
  const how = typeof avps === 'string' ? `does not open: ${avps}` : `opened with ${SEALING_LINE} ${name}`;
  // Its AVPs have the default Vendor-Id, whatever is configured, and no EAP.
  const inner = typeof avps === 'string' ? [] : avps;
  const lines = inner.flatMap((avp) => describePanaAvp(avp, avp.vendorId ?? vendorId, '', new Flights()));
  return [line('sealed assignment', how, 1), ...lines.map((text) => `${INDENT}${text}`)];
}

/** What a sealed assignment shows: its version, and the EMSKname of its authentication. */
function sealText(value: Uint8Array): string {
  const name = Buffer.from(value.subarray(1, 9)).toString('hex');
  return `version ${value[0] ?? 'missing'}, EMSKname ${name}, ${value.length} octets, encrypted`;
}

function panaNumber(name: string, value: number): string {
  const named = (names: Readonly<Record<string, number>>) =>
    Object.entries(names).find(([, each]) => each === value)?.[0] ?? 'unknown';
  switch (name) {
    case 'PRF-Algorithm':
      return `${value} ${PRF_ALGORITHMS.get(value)?.name ?? 'unknown'}`;
    case 'Integrity-Algorithm':
      return `${value} ${INTEGRITY_ALGORITHMS.get(value)?.name ?? 'unknown'}`;
    case 'Encryption-Algorithm':
      return `${value} ${ENCRYPTION_ALGORITHMS.get(value)?.name ?? 'unknown'}`;
    case 'Result-Code':
      return `${value} ${named(RESULT_CODE)}`;
    case 'Termination-Cause':
      return `${value} ${named(PANA_TERMINATION_CAUSE)}`;
    case 'Session-Lifetime':
    case 'MIP6-Lifetime':
      return `${value} s`;
    case 'Mobility-Capability':
      return `0x${value.toString(16).padStart(3, '0')} ${capabilityNames(value).join(' ')}`;
    case 'Key-Id':
      return `0x${value.toString(16).padStart(8, '0')}`;
    default:
      return String(value);
  }
}

function prefixText(octets: Uint8Array): string {
  const prefix = decodePrefix(octets);
  return prefix ? `${formatAddress(prefix.octets)}/${prefix.length}` : shortHex(octets);
}

// --------------------------------------------------------------------------------------------------------- Diameter

/** Describes a Diameter message in lines. Grouped AVPs are indented; keys are not shown. */
export function describeDiameter(message: DiameterMessage, dictionary: Dictionary, flights: Flights): string[] {
  const { flags, commandCode, applicationId, hopByHop, endToEnd, avps } = message;
  const name = commandOf(commandCode, (flags & DIAMETER_FLAG.R) !== 0)?.name ?? `command ${commandCode}`;
  const letters = Object.entries(DIAMETER_FLAG).flatMap(([letter, bit]) => (flags & bit ? [letter] : []));
  const application = APPLICATIONS.get(applicationId) ?? 'unknown';
  const head = `Diameter ${name}  application ${applicationId} ${application}  flags ${letters.join('') || '-'}  hop-by-hop ${hex32(hopByHop)}  end-to-end ${hex32(endToEnd)}`;
  const session = avps.find((avp) => dictionary.nameOf(avp.code, avp.vendorId) === 'Session-Id');
  const conversation = `diameter ${session ? Buffer.from(session.data).toString('utf8') : ''}`;
  return [head, ...avps.flatMap((avp) => describeAvp(avp, dictionary, conversation, flights, 1))];
}

/** The message name and its Result-Code, if any. */
export function diameterName({ commandCode, flags, avps }: DiameterMessage, dictionary: Dictionary): string {
  const name = commandOf(commandCode, (flags & DIAMETER_FLAG.R) !== 0)?.name ?? `command ${commandCode}`;
  const result = avps.find((avp) => dictionary.nameOf(avp.code, avp.vendorId) === 'Result-Code');
  return result?.data.length === 4 ? `${name} ${resultText(Buffer.from(result.data).readUInt32BE(0))}` : name;
}

function hex32(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}

function describeAvp(
  avp: Avp,
  dictionary: Dictionary,
  conversation: string,
  flights: Flights,
  depth: number,
): string[] {
  const name = dictionary.nameOf(avp.code, avp.vendorId);
  const vendor = avp.vendorId === undefined ? '' : ` of vendor ${avp.vendorId}`;
  if (name === undefined) {
    const known = avp.vendorId === undefined ? unsupportedAvp(avp.code) : undefined;
    if (known) return describeValue(known.name, known, avp, dictionary, conversation, flights, depth);
    const mandatory = avp.flags & AVP_FLAG.M ? ' [M]' : '';
    return [line(`AVP ${avp.code}${vendor}${mandatory}`, shortHex(avp.data), depth)];
  }
  if (name === 'EAP-Payload' || name === 'EAP-Reissued-Payload') {
    return describeEap(name, avp.data, conversation, flights, depth);
  }
  if (name === 'MIP6-Home-Link-Prefix') return [line(name, prefixText(avp.data), depth)];
  return describeValue(name, specOf(name), avp, dictionary, conversation, flights, depth);
}

function describeValue(
  name: string,
  spec: { readonly type: AvpSpec['type'] },
  avp: Avp,
  dictionary: Dictionary,
  conversation: string,
  flights: Flights,
  depth: number,
): string[] {
  if (SECRET.has(name)) return [line(name, `${avp.data.length} octets, not shown`, depth)];
  try {
    if (spec.type === 'Grouped') {
      if (depth >= MAX_DEPTH) return [line(name, `${avp.data.length} octets, too deep to show`, depth)];
      const members = readAvps(new Reader(avp.data));
      const inner = members.flatMap((member) => describeAvp(member, dictionary, conversation, flights, depth + 1));
      return [line(name, '', depth), ...inner];
    }
    const value = decodeFormat(spec.type, avp.data);
    return [line(name, diameterValue(name, spec.type, value), depth)];
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return [line(name, `${shortHex(avp.data)} (${error.message})`, depth)];
  }
}

function diameterValue(name: string, type: string, value: unknown): string {
  if (name === 'Result-Code') return `${String(value)} ${resultText(Number(value))}`;
  if (name === 'Mobility-Capability') return panaNumber(name, Number(value));
  if (name === 'MIP6-Sealed-Assignment' && value instanceof Uint8Array) return sealText(value);
  const service = value instanceof Uint8Array ? serviceText(name, value) : undefined;
  if (service !== undefined) return service;
  const names = valueNames(name);
  if (names) return `${String(value)} ${names[Number(value)] ?? 'unknown'}`;
  if (name === 'Auth-Application-Id' || name === 'Acct-Application-Id') {
    return `${String(value)} ${APPLICATIONS.get(Number(value)) ?? 'unknown'}`;
  }
  if (name === 'MIP6-Feature-Vector') return featureNames(value);
  if (type === 'Time') return new Date(Number(value)).toISOString();
  if (value instanceof Uint8Array) {
    if ((type === 'Address' || ADDRESSES.has(name)) && (value.length === 4 || value.length === 16))
      return formatAddress(value);
    return shortHex(value);
  }
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** RFC 5447 4.2.5 */
const FEATURES: readonly (readonly [bit: bigint, name: string])[] = [
  [1n, 'MIP6_INTEGRATED'],
  [2n, 'LOCAL_HOME_AGENT_ASSIGNMENT'],
];

export function featureNames(value: unknown): string {
  const bits = typeof value === 'bigint' ? value : BigInt(Number(value));
  const names = FEATURES.flatMap(([bit, name]) => (bits & bit ? [name] : []));
  return `0x${bits.toString(16).padStart(16, '0')} ${names.join(' ')}`.trimEnd();
}

// -------------------------------------------------------------------------------------------------------------- EAP

/** The lines of an EAP packet. `conversation` tells the TLS flights of sessions apart. */
export function describeEap(
  name: string,
  octets: Uint8Array,
  conversation: string,
  flights: Flights,
  depth: number,
): string[] {
  if (octets.length === 0) return [line(name, 'empty: EAP starts', depth)];
  try {
    const packet = decodeEap(octets);
    const code = EAP_CODES[packet.code] ?? `code ${packet.code}`;
    const head = `EAP ${code}  identifier ${packet.identifier}`;
    if (packet.type === undefined) return [line(name, head, depth)];
    const type = EAP_TYPES[packet.type] ?? `type ${packet.type}`;
    if (packet.type === EAP_TYPE.IDENTITY && packet.code === EAP_CODE.RESPONSE) {
      return [line(name, `${head}  ${type} ${JSON.stringify(Buffer.from(packet.data).toString('utf8'))}`, depth)];
    }
    if (packet.type !== EAP_TYPE.EAP_TLS) return [line(name, `${head}  ${type}`, depth)];
    const { text, records } = describeEapTls(packet.data, `${conversation} ${packet.code}`, flights);
    return [line(name, `${head}  ${type}  ${text}`, depth), ...records.map((record) => line('', record, depth))];
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return [line(name, `${shortHex(octets)} (${error.message})`, depth)];
  }
}

function describeEapTls(octets: Uint8Array, key: string, flights: Flights): { text: string; records: string[] } {
  const data = decodeEapTls(octets);
  if (data.start) return { text: 'start', records: [] };
  if (data.fragment.length === 0 && !data.more) return { text: 'acknowledgement', records: [] };
  const total = data.total === undefined ? '' : ` of ${data.total}`;
  const text = `${data.fragment.length}${total} octets${data.more ? ', more follow' : ''}`;
  const buffer = flights.get(key) ?? new FlightBuffer();
  flights.set(key, buffer);
  const added = buffer.add(data);
  if (added === 'more') return { text, records: [] };
  flights.delete(key);
  // If earlier fragments are missing, the flight does not begin with a record.
  return { text, records: typeof added === 'string' ? [`TLS: ${added}`] : describeTls(added.flight) };
}

/** The records of a flight (RFC 8446 5.1), with message names where they are not encrypted. */
function describeTls(flight: Uint8Array): string[] {
  const records: string[] = [];
  let encrypted = false;
  for (let at = 0; at + 5 <= flight.length; ) {
    const type = flight[at] ?? 0;
    const length = ((flight[at + 3] ?? 0) << 8) | (flight[at + 4] ?? 0);
    const name = RECORDS[type];
    if (name === undefined) return [...records, `TLS: ${flight.length - at} octets that are not a record`];
    const body = flight.subarray(at + 5, at + 5 + length);
    const inner = type === 22 ? (encrypted ? ' encrypted' : ` ${handshakes(body)}`) : '';
    records.push(`TLS ${name}${inner}  ${length} octets${body.length < length ? ', cut' : ''}`);
    if (type === 20) encrypted = true;
    at += 5 + length;
  }
  return records;
}

function handshakes(body: Uint8Array): string {
  const names: string[] = [];
  for (let at = 0; at + 4 <= body.length; ) {
    const type = body[at] ?? 0;
    const length = ((body[at + 1] ?? 0) << 16) | ((body[at + 2] ?? 0) << 8) | (body[at + 3] ?? 0);
    const name = HANDSHAKES[type];
    if (name === undefined || at + 4 + length > body.length + 0xffff) return [...names, 'encrypted'].join(', ');
    names.push(name);
    at += 4 + length;
  }
  return names.join(', ');
}
