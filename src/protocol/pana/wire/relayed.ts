import { formatAddress, parseAddress } from '../../bytes/address.js';
import { DecodeError } from '../../bytes/decode-error.js';
import { decodePana, encodePana, HEADER_LENGTH, MAX_MESSAGE, MESSAGE_TYPE, type PanaAvp } from './codec.js';
import { AVPS } from './dictionary.js';

/** Octets that a PRY adds to the message of a PaC with an IPv6 address: header, PaC-Information, and header of an AVP. */
export const RELAY_OVERHEAD = HEADER_LENGTH + 28 + 8;

/** Maximum size of a message that can be relayed, in octets. */
export const MAX_RELAYED = MAX_MESSAGE - RELAY_OVERHEAD - 3;

/** The PaC that a relayed message is from or for. The address has no scope. */
export interface RelayedPac {
  readonly address: string;
  readonly port: number;
}

/** A message between a PaC and a PAA, RFC 6345 5. */
export interface Relayed {
  readonly pac: RelayedPac;
  readonly octets: Uint8Array;
}

const PAC_INFORMATION = AVPS['PaC-Information'].code;
const RELAYED_MESSAGE = AVPS['Relayed-Message'].code;

/** Lengths of PaC-Information (RFC 6345 5.1), and those of a sender that counts the padding in the AVP Length. */
export const ADDRESS_LENGTHS: Readonly<Record<number, number>> = { 6: 4, 8: 4, 18: 16, 20: 16 };

/** Whether undecoded octets claim to be a PRY. */
export function isRelay(octets: Uint8Array): boolean {
  return octets[6] === 0 && octets[7] === MESSAGE_TYPE.RELAY;
}

/** Encodes a PRY, RFC 6345 4.1. Throws RangeError if the address cannot be parsed, or the message is too large. */
export function encodeRelay({ pac, octets }: Relayed): Uint8Array {
  const address = parseAddress(pac.address);
  if (!address) throw new RangeError(`the address ${pac.address}`);
  const information = new Uint8Array(address.length + 2);
  information.set(address);
  new DataView(information.buffer).setUint16(address.length, pac.port);
  const avp = (code: number, value: Uint8Array): PanaAvp => ({ code, flags: 0, vendorId: undefined, value });
  const avps = [avp(PAC_INFORMATION, information), avp(RELAYED_MESSAGE, octets)];
  return encodePana({ flags: 0, type: MESSAGE_TYPE.RELAY, sessionId: 0, sequence: 0, avps });
}

/**
 * Decodes a PRY, RFC 6345 4.1. The message in it is not decoded, but is no PRY itself, because relays cannot be nested
 * (RFC 6345 2). Throws DecodeError.
 */
export function decodeRelay(octets: Uint8Array): Relayed {
  const { type, flags, sessionId, sequence, avps } = decodePana(octets);
  if (type !== MESSAGE_TYPE.RELAY) throw new DecodeError('bad-value', 6, `Message Type ${type}`);
  if (flags !== 0) throw new DecodeError('bad-value', 4, `flags ${flags}`);
  if (sessionId !== 0 || sequence !== 0) throw new DecodeError('bad-value', 8, 'Session Identifier or Sequence Number');
  const inner = only(avps, RELAYED_MESSAGE, 'Relayed-Message');
  if (inner.length < HEADER_LENGTH) throw new DecodeError('bad-length', HEADER_LENGTH, 'Relayed-Message');
  if (isRelay(inner)) throw new DecodeError('bad-value', HEADER_LENGTH, 'PRY in a PRY');
  return { pac: readPac(only(avps, PAC_INFORMATION, 'PaC-Information')), octets: inner };
}

function only(avps: readonly PanaAvp[], code: number, name: string): Uint8Array {
  const [found, ...more] = avps.filter((avp) => avp.code === code && avp.vendorId === undefined);
  if (!found || more.length > 0) {
    throw new DecodeError('bad-value', HEADER_LENGTH, found ? `more than one ${name}` : `no ${name}`);
  }
  return found.value;
}

function readPac(value: Uint8Array): RelayedPac {
  const length = ADDRESS_LENGTHS[value.length];
  if (length === undefined)
    throw new DecodeError('bad-length', HEADER_LENGTH, `PaC-Information of ${value.length} octets`);
  const octets = value.slice(0, length);
  const port = new DataView(value.buffer, value.byteOffset).getUint16(length);
  // Nothing can be sent to these, and a PaC cannot have sent from them.
  if (port === 0 || !isUnicast(octets)) throw new DecodeError('bad-value', HEADER_LENGTH, 'PaC-Information');
  return { address: formatAddress(octets), port };
}

/** Whether it is neither multicast nor broadcast nor the unspecified address nor an IPv4 address in IPv6. */
export function isUnicast(octets: Uint8Array): boolean {
  const [first = 0] = octets;
  if (octets.every((octet) => octet === 0)) return false;
  if (octets.length === 4) return first < 224 && first !== 0;
  const mapped = octets.subarray(0, 10).every((octet) => octet === 0) && octets[10] === 0xff && octets[11] === 0xff;
  return first !== 0xff && !mapped;
}
