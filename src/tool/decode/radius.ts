import { formatAddress } from '../../protocol/bytes/address.js';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { concat } from '../../protocol/bytes/octets.js';
import { capabilityNames } from '../../protocol/mip6/assignment.js';
import { MOBILITY_SUBTYPE } from '../../protocol/radius/mip6/mobility.js';
import { AttributeReader, readVendor } from '../../protocol/radius/wire/attributes.js';
import {
  type Attribute,
  CODE,
  decodeRadius,
  packetLength,
  type RadiusPacket,
} from '../../protocol/radius/wire/codec.js';
import { ATTRIBUTES, type AttributeName, type AttributeSpec } from '../../protocol/radius/wire/dictionary.js';
import { RADIUS_ACCOUNTING_PORT, RADIUS_DYNAMIC_PORT, RADIUS_PORT } from '../../protocol/radius/wire/ports.js';
import { describeEap, type Flights, featureNames, line, shortHex } from './describe.js';
import type { Packet } from './dissector.js';
import { serviceText } from './services.js';

/** The registered ports, and those of before RFC 2865, which some programs still use. */
const PORTS: readonly number[] = [RADIUS_PORT, RADIUS_ACCOUNTING_PORT, RADIUS_DYNAMIC_PORT, 1645, 1646];

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(CODE).map(([name, code]) => [code, name]));

/** Packets that the client sends, or the NAS: the others come from the server. RFC 2865, RFC 2866, RFC 5176. */
const OF_CLIENT: ReadonlySet<number> = new Set([
  CODE['Access-Request'],
  CODE['Accounting-Request'],
  CODE['Status-Server'],
  CODE['Disconnect-ACK'],
  CODE['Disconnect-NAK'],
  CODE['CoA-ACK'],
  CODE['CoA-NAK'],
]);

const REQUESTS: ReadonlySet<number> = new Set([
  CODE['Access-Request'],
  CODE['Accounting-Request'],
  CODE['Status-Server'],
  CODE['Disconnect-Request'],
  CODE['CoA-Request'],
]);

/** Attributes whose value is a password or a key, which is never shown. */
const SECRET: ReadonlySet<string> = new Set(['User-Password', 'CHAP-Password', 'MS-MPPE-Send-Key', 'MS-MPPE-Recv-Key']);

const MESSAGE_AUTHENTICATOR = 16;

export function isRadiusPort({ from, to }: Pick<Packet, 'from' | 'to'>): boolean {
  return PORTS.includes(from.port) || PORTS.includes(to.port);
}

/** The RADIUS packet of a datagram; undefined: it is none. On other ports only a Message-Authenticator tells. */
export function radiusOf({ payload, from, to }: Pick<Packet, 'payload' | 'from' | 'to'>): RadiusPacket | undefined {
  if (!NAMES.has(payload[0] ?? 0)) return undefined;
  const length = packetLength(payload) ?? 0;
  const isExpected = isRadiusPort({ from, to });
  if (length > payload.length || (!isExpected && length !== payload.length)) return undefined;
  try {
    const packet = decodeRadius(payload);
    const { type } = ATTRIBUTES['Message-Authenticator'];
    const isSigned = packet.attributes.some((one) => one.type === type && one.value.length === MESSAGE_AUTHENTICATOR);
    return isExpected || isSigned ? packet : undefined;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return undefined;
  }
}

export function isFromRadiusClient({ code }: RadiusPacket): boolean {
  return OF_CLIENT.has(code);
}

export function isRadiusRequest({ code }: RadiusPacket): boolean {
  return REQUESTS.has(code);
}

/** The name of a packet, with what kind of accounting it is, or why it refuses. */
export function radiusName(packet: RadiusPacket): string {
  const name = NAMES.get(packet.code) ?? `RADIUS code ${packet.code}`;
  const kind = enumOf(packet, 'Acct-Status-Type') ?? enumOf(packet, 'Error-Cause');
  return kind === undefined ? name : `${name} ${kind}`;
}

/** The first value of an attribute; undefined: there is none. */
export function radiusValue(packet: RadiusPacket, name: AttributeName): Uint8Array | undefined {
  const { type } = ATTRIBUTES[name];
  return packet.attributes.find((one) => one.type === type)?.value;
}

/** The EAP packet that the EAP-Messages of a packet carry (RFC 3579 3.1). */
export function radiusEap({ attributes }: RadiusPacket): Uint8Array | undefined {
  const parts = attributes.filter(({ type }) => type === ATTRIBUTES['EAP-Message'].type).map(({ value }) => value);
  return parts.length === 0 ? undefined : concat(...parts);
}

function enumOf(packet: RadiusPacket, name: AttributeName): string | undefined {
  const value = radiusValue(packet, name);
  if (value?.length !== 4) return undefined;
  const number = Buffer.from(value).readUInt32BE(0);
  const { values }: AttributeSpec = ATTRIBUTES[name];
  return values?.[number] ?? String(number);
}

/** Describes a packet in lines. EAP-Messages are one; keys and passwords are not shown. */
export function describeRadius(packet: RadiusPacket, vendorId: number, flights: Flights): string[] {
  const state = radiusValue(packet, 'State') ?? radiusValue(packet, 'Acct-Session-Id') ?? new Uint8Array();
  const conversation = `radius ${Buffer.from(state).toString('hex')}`;
  const eap = radiusEap(packet);
  let isShown = false;
  const lines = packet.attributes.flatMap((one) => {
    if (one.type !== ATTRIBUTES['EAP-Message'].type) return describeAttribute(one, vendorId);
    if (isShown || !eap) return [];
    isShown = true;
    return describeEap('EAP-Message', eap, conversation, flights, 1);
  });
  return [`RADIUS ${NAMES.get(packet.code) ?? `code ${packet.code}`}  identifier ${packet.identifier}`, ...lines];
}

function describeAttribute(attribute: Attribute, vendorId: number): string[] {
  const inner = readVendor(attribute);
  if (inner.length > 0) {
    return inner.map(({ type, value, vendorId: vendor }) => {
      const own = vendor === vendorId ? MOBILITY.get(type) : undefined;
      if (own) return line(own.name, own.show(value), 1);
      const name = nameOf(type, vendor);
      return line(name ?? `attribute ${type} of vendor ${vendor}`, shown(name, type, value), 1);
    });
  }
  const name = nameOf(attribute.type, undefined);
  return [line(name ?? `attribute ${attribute.type}`, shown(name, attribute.type, attribute.value), 1)];
}

/** This project's sub-attributes, with the names of the AVPs that carry the same values. */
const MOBILITY: ReadonlyMap<number, { readonly name: string; readonly show: (value: Uint8Array) => string }> = new Map([
  [MOBILITY_SUBTYPE.CAPABILITY, { name: 'Mobility-Capability', show: capability }],
  [MOBILITY_SUBTYPE.HOME_AGENT_ADDRESS, { name: 'MIP6-Home-Agent-Address', show: address }],
  [MOBILITY_SUBTYPE.HOME_ADDRESS, { name: 'MIP6-Home-Address', show: address }],
  [MOBILITY_SUBTYPE.HOME_AGENT_HOST, { name: 'MIP6-Home-Agent-Host', show: text }],
  [
    MOBILITY_SUBTYPE.SEALED_ASSIGNMENT,
    { name: 'MIP6-Sealed-Assignment', show: ({ length }) => `${length} octets, encrypted` },
  ],
  [MOBILITY_SUBTYPE.MIP4_ASSIGNMENT, ofService('MIP4-Assignment')],
  [MOBILITY_SUBTYPE.HIP_ASSIGNMENT, ofService('HIP-Assignment')],
]);

function ofService(name: string) {
  return { name, show: (value: Uint8Array) => serviceText(name, value) ?? shortHex(value) };
}

function capability(value: Uint8Array): string {
  return value.length === 4 ? capabilityNames(Buffer.from(value).readUInt32BE(0)).join(' ') : shortHex(value);
}

function address(value: Uint8Array): string {
  return value.length === 4 || value.length === 16 ? formatAddress(value) : shortHex(value);
}

function text(value: Uint8Array): string {
  return JSON.stringify(Buffer.from(value).toString('utf8'));
}

const BY_NUMBER: ReadonlyMap<string, AttributeName> = new Map(
  Object.entries(ATTRIBUTES).map(([name, { type, ...rest }]: [string, AttributeSpec]) => [
    `${type} ${rest.vendorId ?? ''}`,
    name as AttributeName,
  ]),
);

function nameOf(type: number, vendorId: number | undefined): AttributeName | undefined {
  return BY_NUMBER.get(`${type} ${vendorId ?? ''}`);
}

function shown(name: AttributeName | undefined, type: number, octets: Uint8Array): string {
  if (name === undefined) return shortHex(octets);
  if (SECRET.has(name)) return `${octets.length} octets, not shown`;
  const spec: AttributeSpec = ATTRIBUTES[name];
  try {
    const [value] = new AttributeReader({ attributes: [{ type, value: octets }] }).all(name);
    if (spec.format === 'ipv4addr' || spec.format === 'ipv6addr') return address(octets);
    if (typeof value === 'string') return JSON.stringify(value);
    if (typeof value === 'bigint') return featureNames(value);
    if (typeof value === 'number') {
      if (spec.format === 'time') return new Date(value).toISOString();
      const known = spec.values?.[value];
      return known === undefined ? String(value) : `${value} ${known}`;
    }
    if (value !== undefined && 'length' in value && 'address' in value) {
      return `${formatAddress(value.address as Uint8Array)}/${value.length}`;
    }
    return shortHex(octets);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return `${shortHex(octets)} (${error.message})`;
  }
}
