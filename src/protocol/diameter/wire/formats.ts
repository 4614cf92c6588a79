import { addressFamily, addressLength } from '../../bytes/assigned-numbers.js';
import { DecodeError } from '../../bytes/decode-error.js';
import { decodeUtf8, encodeUtf8 } from '../../bytes/octets.js';
import { Reader } from '../../bytes/reader.js';
import { Secret } from '../../bytes/secret.js';
import { Writer } from '../../bytes/writer.js';
import { DIAMETER_PORT, DIAMETER_TLS_PORT } from './ports.js';

/**
 * Basic and derived AVP data formats, RFC 6733 4.2 and 4.3. Grouped is handled by the grammar. `Key` is an OctetString
 * that holds a key.
 */
export type DataFormat =
  | 'OctetString'
  | 'Key'
  | 'Integer32'
  | 'Integer64'
  | 'Unsigned32'
  | 'Unsigned64'
  | 'Float32'
  | 'Float64'
  | 'Address'
  | 'Time'
  | 'UTF8String'
  | 'DiameterIdentity'
  | 'DiameterURI'
  | 'Enumerated';

/**
 * 4 octets for IPv4, 16 for IPv6. For other address families, the two octets of the family's number, then the address.
 * A value of another family is rejected if its total length is 4 or 16.
 */
export type AddressValue = Uint8Array;

export interface FormatValues {
  OctetString: Uint8Array;
  /** A decoded value is a copy that the caller wipes. Encoding does not take ownership. */
  Key: Secret;
  Integer32: number;
  Integer64: bigint;
  Unsigned32: number;
  Unsigned64: bigint;
  Float32: number;
  Float64: number;
  Address: AddressValue;
  /** Milliseconds since 1970, UTC. */
  Time: number;
  UTF8String: string;
  DiameterIdentity: string;
  DiameterURI: string;
  Enumerated: number;
}

/** Seconds from 1900 to 1970. Era 1 starts in 2036, when the top bit becomes zero again (RFC 5905 6). */
const NTP_TO_UNIX = 2_208_988_800;
const NTP_ERA = 2 ** 32;

/** Decodes a value into its own memory. `at`: offset for errors. Throws DecodeError. */
export function decodeFormat(format: DataFormat, data: Uint8Array, at = 0): FormatValues[DataFormat] {
  switch (format) {
    case 'OctetString':
      return new Uint8Array(data);
    case 'Key':
      return Secret.copyOf(data);
    case 'UTF8String':
      return decodeUtf8(data, at);
    case 'DiameterIdentity':
      return readIdentity(data, at);
    case 'DiameterURI':
      return readUri(data, at);
    case 'Address':
      return readAddress(data, at);
    default: {
      const reader = new Reader(data, at);
      const value = readNumber(format, reader);
      reader.done();
      return value;
    }
  }
}

type NumberFormat = Exclude<
  DataFormat,
  'OctetString' | 'Key' | 'UTF8String' | 'DiameterIdentity' | 'DiameterURI' | 'Address'
>;

function readNumber(format: NumberFormat, reader: Reader): number | bigint {
  switch (format) {
    case 'Integer32':
    case 'Enumerated':
      return reader.i32();
    case 'Integer64':
      return reader.i64();
    case 'Unsigned32':
      return reader.u32();
    case 'Unsigned64':
      return reader.u64();
    case 'Float32':
      return reader.f32();
    case 'Float64':
      return reader.f64();
    case 'Time':
      return readTime(reader);
  }
}

function readAddress(data: Uint8Array, at: number): Uint8Array {
  const reader = new Reader(data, at);
  const family = reader.u16();
  const wanted = addressLength(family);
  if (wanted === undefined) {
    if (isIpLength(data.length)) throw new DecodeError('bad-value', at, `an address of family ${family}`);
    return new Uint8Array(data);
  }
  if (reader.remaining !== wanted) throw new DecodeError('bad-length', at, `an address of ${reader.remaining} octets`);
  return reader.rest();
}

function isIpLength(length: number): boolean {
  return length === 4 || length === 16;
}

function readTime(reader: Reader): number {
  const ntp = reader.u32();
  const era = ntp >= 0x8000_0000 ? 0 : NTP_ERA;
  return (ntp + era - NTP_TO_UNIX) * 1000;
}

/** RFC 6733 4.3.1: an FQDN or realm in printable ASCII. */
function readIdentity(data: Uint8Array, at: number): string {
  if (data.length === 0) throw new DecodeError('bad-value', at, 'not a DiameterIdentity');
  for (const octet of data) {
    if (octet < 0x21 || octet > 0x7e) throw new DecodeError('bad-value', at, 'not a DiameterIdentity');
  }
  return decodeUtf8(data, at);
}

function readUri(data: Uint8Array, at: number): string {
  const text = readIdentity(data, at);
  if (parseDiameterUri(text) === undefined) throw new DecodeError('bad-value', at, 'not a DiameterURI');
  return text;
}

export interface DiameterUri {
  /** Whether the scheme is `aaas`, which requires TLS. */
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly transport: string;
  readonly protocol: string;
}

/** Parses `aaa://fqdn[:port][;transport=…][;protocol=…]`, RFC 6733 4.3.1; undefined if it is invalid. */
export function parseDiameterUri(text: string): DiameterUri | undefined {
  const match =
    /^(aaas?):\/\/([a-z0-9._-]+)(?::(\d{1,5}))?(?:;transport=([a-z0-9]+))?(?:;protocol=([a-z0-9+]+))?$/i.exec(text);
  if (!match) return undefined;
  const [, scheme = '', host = '', digits, transport = 'tcp', protocol = 'diameter'] = match;
  const secure = scheme.toLowerCase() === 'aaas';
  const port = digits === undefined ? (secure ? DIAMETER_TLS_PORT : DIAMETER_PORT) : Number(digits);
  if (port === 0 || port > 0xffff) return undefined;
  return { secure, host, port, transport: transport.toLowerCase(), protocol: protocol.toLowerCase() };
}

export function encodeFormat(format: DataFormat, value: FormatValues[DataFormat]): Uint8Array {
  if (typeof value === 'string') return encodeUtf8(value);
  if (value instanceof Secret) return value.octets();
  if (value instanceof Uint8Array) return format === 'Address' ? encodeAddress(value) : value;
  const writer = new Writer(8);
  if (typeof value === 'bigint') return (value < 0n ? writer.i64(value) : writer.u64(value)).finish();
  switch (format) {
    case 'Float32':
      return writer.f32(value).finish();
    case 'Float64':
      return writer.f64(value).finish();
    case 'Time':
      return writer.u32((Math.floor(value / 1000) + NTP_TO_UNIX) % NTP_ERA).finish();
    case 'Integer32':
    case 'Enumerated':
      return writer.i32(value).finish();
    default:
      return writer.u32(value).finish();
  }
}

function encodeAddress(value: Uint8Array): Uint8Array {
  if (!isIpLength(value.length)) return value;
  return Uint8Array.of(0, addressFamily(value), ...value);
}
