import { fromHex, toHex } from '../../bytes/octets.js';
import { Reader } from '../../bytes/reader.js';
import { Writer } from '../../bytes/writer.js';
import { AttributeReader } from '../../radius/wire/attributes.js';
import { type Attribute, type RadiusPacket, readAttributes, writeAttributes } from '../../radius/wire/codec.js';
import { ACCT_STATUS_TYPE, ATTRIBUTES, type AttributeName } from '../../radius/wire/dictionary.js';
import type { SessionReport } from '../alphabet.js';
import { originOf, type RadiusClient } from './clients.js';
import { sessionOfClass } from './session-id.js';

/** The attributes by which a NAS knows a session, RFC 5176 3.1 and 3.3. */
const IDENTIFYING: readonly AttributeName[] = [
  'User-Name',
  'NAS-IP-Address',
  'NAS-Port',
  'Calling-Station-Id',
  'NAS-Identifier',
  'Acct-Session-Id',
  'Acct-Multi-Session-Id',
  'NAS-Port-Id',
  'NAS-IPv6-Address',
];
const IDENTIFYING_TYPES: ReadonlySet<number> = new Set(IDENTIFYING.map((name) => ATTRIBUTES[name].type));

/** 2^32, by which Gigawords count (RFC 2869 5.1). */
const GIGAWORD = 2 ** 32;

/** An Accounting-Request, RFC 2866 4.1. */
export interface AccountingRequest {
  readonly status: 'Start' | 'Stop' | 'Interim-Update' | 'other';
  /** Undefined: its Class names no session of this server. */
  readonly sessionId: string | undefined;
  readonly report: SessionReport;
  /** Name of the Acct-Terminate-Cause, for display. */
  readonly cause: string;
}

/** The attributes of a packet by which its NAS knows the session, in hexadecimal. */
export function nasOf({ attributes }: Pick<RadiusPacket, 'attributes'>): string {
  const own = attributes.filter(({ type }) => IDENTIFYING_TYPES.has(type));
  const writer = new Writer(own.reduce((sum, { value }) => sum + 2 + value.length, 0));
  writeAttributes(writer, own);
  return toHex(writer.finish());
}

/** The attributes in such a text. Throws DecodeError. */
export function attributesOfNas(nas: string): Attribute[] {
  return readAttributes(new Reader(fromHex(nas)));
}

/** Identifies the place of a session at its client: all names but that of the user. */
export function placeOf(origin: string, nas: string): string {
  const names = attributesOfNas(nas).filter(({ type }) => type !== ATTRIBUTES['User-Name'].type);
  return `${origin} ${names.map(({ type, value }) => `${type} ${toHex(value)}`).join(' ')}`;
}

/** Decodes an Accounting-Request. Throws DecodeError. */
export function readAccounting(packet: RadiusPacket, client: RadiusClient): AccountingRequest {
  const reader = new AttributeReader(packet);
  const sessionId = sessionOfClass(reader, client);
  const type = reader.one('Acct-Status-Type');
  const octets = (low: 'Acct-Input-Octets' | 'Acct-Output-Octets', high: `Acct-${'Input' | 'Output'}-Gigawords`) => {
    const value = reader.one(low);
    const gigawords = reader.one(high) ?? 0;
    return value === undefined ? undefined : Math.min(Number.MAX_SAFE_INTEGER, gigawords * GIGAWORD + value);
  };
  const received = octets('Acct-Input-Octets', 'Acct-Input-Gigawords');
  const sent = octets('Acct-Output-Octets', 'Acct-Output-Gigawords');
  const cause = reader.one('Acct-Terminate-Cause');
  return {
    status: statusOf(type),
    sessionId,
    cause: (cause !== undefined && CAUSES[cause]) || 'Accounting-Stop',
    report: {
      sessionId: sessionId ?? '',
      origin: originOf(client.name),
      nas: nasOf(packet),
      octets: received === undefined && sent === undefined ? undefined : { received: received ?? 0, sent: sent ?? 0 },
    },
  };
}

const CAUSES: Readonly<Record<number, string>> = ATTRIBUTES['Acct-Terminate-Cause'].values;

function statusOf(type: number | undefined): AccountingRequest['status'] {
  switch (type) {
    case ACCT_STATUS_TYPE.Start:
      return 'Start';
    case ACCT_STATUS_TYPE.Stop:
      return 'Stop';
    case ACCT_STATUS_TYPE['Interim-Update']:
      return 'Interim-Update';
    default:
      return 'other';
  }
}
