import { DecodeError } from '../../bytes/decode-error.js';
import { concat, encodeUtf8 } from '../../bytes/octets.js';
import { Reader } from '../../bytes/reader.js';
import { decodePrefix, encodePrefix, type HomeLinkPrefix } from '../../mip6/assignment.js';
import { type DhcpOption, decodeOptions, encodeOptions, OPTION } from './codec.js';

/** Maximum length of an encoded domain name in octets, RFC 1035 2.3.4. */
const MAX_DOMAIN = 255;
const MAX_LABEL = 63;

/**
 * Home network information: the content of a Visited, Identified or Unrestricted Home Network Information option (RFC
 * 6610 3.2 to 3.4).
 */
export interface HomeNetwork {
  readonly prefixes: readonly HomeLinkPrefix[];
  /** Addresses of home agents, 16 octets each. */
  readonly agents: readonly Uint8Array[];
  /** Domain names of home agents. */
  readonly hosts: readonly string[];
}

/** Encodes home network information. Throws RangeError if an address or a name does not fit. */
export function encodeHomeNetwork({ prefixes, agents, hosts }: HomeNetwork): Uint8Array {
  const bad = agents.find(({ length }) => length !== 16);
  if (bad) throw new RangeError(`an address of ${bad.length} octets`);
  const options: DhcpOption[] = [
    ...prefixes.map((prefix) => ({ code: OPTION.MIP6_HNP, value: encodePrefix(prefix) })),
    ...agents.map((value) => ({ code: OPTION.MIP6_HAA, value })),
    ...hosts.map((host) => ({ code: OPTION.MIP6_HAF, value: encodeDomainName(host) })),
  ];
  return encodeOptions(options);
}

/** Decodes home network information. Options that it does not define are ignored. Throws DecodeError. */
export function decodeHomeNetwork(octets: Uint8Array): HomeNetwork {
  const options = decodeOptions(octets);
  const all = <T>(code: number, decode: (value: Uint8Array) => T): T[] =>
    options.flatMap((option) => (option.code === code ? [decode(option.value)] : []));
  return {
    prefixes: all(OPTION.MIP6_HNP, prefixOf),
    agents: all(OPTION.MIP6_HAA, addressOf),
    hosts: all(OPTION.MIP6_HAF, decodeDomainName),
  };
}

/** Whether a text can be encoded as a domain name. */
export function isDomainName(text: string): boolean {
  return text.length + 2 <= MAX_DOMAIN && text.split('.').every((label) => /^[!-~]{1,63}$/.test(label));
}

/** Encodes a domain name as labels (RFC 8415 10, RFC 1035 3.1). Throws RangeError if it is none. */
export function encodeDomainName(name: string): Uint8Array {
  const labels = name.split('.').map(encodeUtf8);
  for (const { length } of labels) {
    if (length === 0 || length > MAX_LABEL) throw new RangeError(`domain name with a label of ${length} octets`);
  }
  const octets = concat(...labels.flatMap((label) => [Uint8Array.of(label.length), label]), Uint8Array.of(0));
  if (octets.length > MAX_DOMAIN) throw new RangeError(`domain name of ${octets.length} octets`);
  return octets;
}

/**
 * Decodes a domain name that fills these octets. Labels must be printable ASCII without dots, because the text has no
 * escapes. Compression (RFC 1035 4.1.4) is not permitted here. Throws DecodeError.
 */
export function decodeDomainName(octets: Uint8Array): string {
  if (octets.length > MAX_DOMAIN) throw new DecodeError('bad-length', 0, `domain name of ${octets.length} octets`);
  const reader = new Reader(octets);
  const labels: string[] = [];
  for (let length = reader.u8(); length > 0; length = reader.u8()) {
    const { at } = reader;
    if (length > MAX_LABEL) throw new DecodeError('bad-length', at - 1, `label of ${length} octets`);
    const label = String.fromCharCode(...reader.bytes(length));
    if (!/^[!-~]+$/.test(label) || label.includes('.')) throw new DecodeError('bad-value', at, 'label');
    labels.push(label);
  }
  reader.done();
  if (labels.length === 0) throw new DecodeError('bad-length', 0, 'empty domain name');
  return labels.join('.');
}

function prefixOf(value: Uint8Array): HomeLinkPrefix {
  const prefix = decodePrefix(value);
  if (!prefix) throw new DecodeError('bad-value', 0, `home network prefix of ${value.length} octets`);
  return prefix;
}

function addressOf(value: Uint8Array): Uint8Array {
  if (value.length !== 16) throw new DecodeError('bad-length', 0, `home agent address of ${value.length} octets`);
  return value;
}
