import { DecodeError } from '../../bytes/decode-error.js';
import { Reader } from '../../bytes/reader.js';
import { Writer } from '../../bytes/writer.js';

/** Port of clients, RFC 8415 7.2. */
export const CLIENT_PORT = 546;
/** Port of servers and relay agents, RFC 8415 7.2. */
export const SERVER_PORT = 547;
/** All_DHCP_Relay_Agents_and_Servers, RFC 8415 7.1. */
export const RELAYS_AND_SERVERS = 'ff02::1:2';
/** A Relay-forward with this hop count is not relayed, RFC 8415 7.6. */
export const HOP_COUNT_LIMIT = 8;

/** RFC 8415 7.3. */
export const MESSAGE = {
  SOLICIT: 1,
  ADVERTISE: 2,
  REQUEST: 3,
  CONFIRM: 4,
  RENEW: 5,
  REBIND: 6,
  REPLY: 7,
  RELEASE: 8,
  DECLINE: 9,
  RECONFIGURE: 10,
  'INFORMATION-REQUEST': 11,
  'RELAY-FORW': 12,
  'RELAY-REPL': 13,
} as const;

/** RFC 8415 21, RFC 6422 3, RFC 6610 3. */
export const OPTION = {
  CLIENTID: 1,
  SERVERID: 2,
  ORO: 6,
  RELAY_MSG: 9,
  INTERFACE_ID: 18,
  MIP6_HNIDF: 49,
  MIP6_VDINF: 50,
  RSOO: 66,
  MIP6_IDINF: 69,
  MIP6_UDINF: 70,
  MIP6_HNP: 71,
  MIP6_HAA: 72,
  MIP6_HAF: 73,
} as const;

export interface DhcpOption {
  readonly code: number;
  /** Up to 65,535 octets. */
  readonly value: Uint8Array;
}

/** A message between client and server, RFC 8415 8. */
export interface ClientMessage {
  /** Not RELAY-FORW and not RELAY-REPL. */
  readonly type: number;
  /** 24 bits. */
  readonly transactionId: number;
  readonly options: readonly DhcpOption[];
}

/** A message between relay agent and server, RFC 8415 9. */
export interface RelayMessage {
  readonly type: (typeof MESSAGE)['RELAY-FORW'] | (typeof MESSAGE)['RELAY-REPL'];
  readonly hopCount: number;
  /** 16 octets. */
  readonly linkAddress: Uint8Array;
  /** 16 octets. */
  readonly peerAddress: Uint8Array;
  readonly options: readonly DhcpOption[];
}

/** Whether a message type has the header of relay agents. */
export function isRelayType(type: number | undefined): type is RelayMessage['type'] {
  return type === MESSAGE['RELAY-FORW'] || type === MESSAGE['RELAY-REPL'];
}

/*
 *  +---------------+-----------------------------------------------+
 *  |   msg-type    |                transaction-id                 |
 *  +---------------+-----------------------------------------------+
 *  |  options ...
 */

/** Decodes a message between client and server. The values are copies. Throws DecodeError. */
export function decodeClientMessage(octets: Uint8Array): ClientMessage {
  const reader = new Reader(octets);
  const type = reader.u8();
  if (isRelayType(type)) throw new DecodeError('bad-value', 0, `message type ${type}`);
  const transactionId = reader.u24();
  return { type, transactionId, options: readOptions(reader) };
}

/** Throws RangeError for the message type of a relay agent, or an option of more than 65,535 octets. */
export function encodeClientMessage({ type, transactionId, options }: ClientMessage): Uint8Array {
  if (isRelayType(type)) throw new RangeError(`message type ${type}`);
  const writer = new Writer(4 + lengthOfOptions(options)).u8(type).u24(transactionId);
  writeOptions(writer, options);
  return writer.finish();
}

/*
 *  +---------------+---------------+-------------------------------+
 *  |   msg-type    |   hop-count   |                               |
 *  +---------------+---------------+                               |
 *  |                    link-address, 16 octets                    |
 *  |                               +-------------------------------+
 *  +-------------------------------+                               |
 *  |                    peer-address, 16 octets                    |
 *  |                               +-------------------------------+
 *  +-------------------------------+  options ...
 */

/** Decodes a Relay-forward or Relay-reply. The values are copies. Throws DecodeError. */
export function decodeRelayMessage(octets: Uint8Array): RelayMessage {
  const reader = new Reader(octets);
  const type = reader.u8();
  if (!isRelayType(type)) throw new DecodeError('bad-value', 0, `message type ${type}`);
  const hopCount = reader.u8();
  const linkAddress = reader.bytes(16);
  const peerAddress = reader.bytes(16);
  return { type, hopCount, linkAddress, peerAddress, options: readOptions(reader) };
}

/** Throws RangeError for an address of another length than 16 octets, or an option of more than 65,535 octets. */
export function encodeRelayMessage(message: RelayMessage): Uint8Array {
  const { type, hopCount, linkAddress, peerAddress, options } = message;
  for (const { length } of [linkAddress, peerAddress]) {
    if (length !== 16) throw new RangeError(`an address of ${length} octets`);
  }
  const writer = new Writer(34 + lengthOfOptions(options)).u8(type).u8(hopCount).bytes(linkAddress).bytes(peerAddress);
  writeOptions(writer, options);
  return writer.finish();
}

/*
 *  +-------------------------------+-------------------------------+
 *  |          option-code          |          option-len           |
 *  +-------------------------------+-------------------------------+
 *  |  option-data ...
 */

/** Decodes the options of a container, such as RSOO (RFC 6422 3). The values are copies. Throws DecodeError. */
export function decodeOptions(octets: Uint8Array): DhcpOption[] {
  return readOptions(new Reader(octets));
}

/** Throws RangeError for an option of more than 65,535 octets. */
export function encodeOptions(options: readonly DhcpOption[]): Uint8Array {
  const writer = new Writer(lengthOfOptions(options));
  writeOptions(writer, options);
  return writer.finish();
}

/** The value of an option that a message has once at most. Throws DecodeError for a second one. */
export function onlyOption(options: readonly DhcpOption[], code: number): Uint8Array | undefined {
  const [first, second] = options.filter((option) => option.code === code);
  if (second) throw new DecodeError('too-many', 0, `more than one option ${code}`);
  return first?.value;
}

function readOptions(reader: Reader): DhcpOption[] {
  const options: DhcpOption[] = [];
  while (reader.remaining > 0) {
    const code = reader.u16();
    options.push({ code, value: reader.bytes(reader.u16()) });
  }
  return options;
}

function writeOptions(writer: Writer, options: readonly DhcpOption[]): void {
  for (const { code, value } of options) {
    if (value.length > 0xffff) throw new RangeError(`option ${code} of ${value.length} octets`);
    writer.u16(code).u16(value.length).bytes(value);
  }
}

function lengthOfOptions(options: readonly DhcpOption[]): number {
  return options.reduce((sum, { value }) => sum + 4 + value.length, 0);
}
