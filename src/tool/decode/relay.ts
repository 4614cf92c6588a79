import { formatAddress } from '../../protocol/bytes/address.js';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { decodePana, MESSAGE_TYPE, type PanaMessage } from '../../protocol/pana/wire/codec.js';
import { avpName } from '../../protocol/pana/wire/dictionary.js';
import { ADDRESS_LENGTHS } from '../../protocol/pana/wire/relayed.js';
import type { Endpoint } from './dissector.js';
import type { Relayed } from './heard.js';
import { u16 } from './octets.js';

const PANA_HEADER = 16;

/** Bits of the flags that no message has. */
const RESERVED_FLAGS = 0x03ff;

/** Decodes a PANA message. Undefined if the octets cannot be one: unknown type, or reserved field not zero. */
export function panaOf(octets: Uint8Array): PanaMessage | undefined {
  if (octets[0] !== 0 || octets[1] !== 0 || octets.length !== u16(octets, 2)) return undefined;
  try {
    const message = decodePana(octets);
    return message.type >= MESSAGE_TYPE.PCI && message.type <= MESSAGE_TYPE.RELAY ? message : undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/**
 * The header (RFC 5191 6.2) of a PANA message of `length` octets that begins with these, without AVPs. Undefined if the
 * octets cannot begin one.
 */
export function panaHeaderOf(octets: Uint8Array, length: number): PanaMessage | undefined {
  if (octets.length < PANA_HEADER || u16(octets, 2) !== length || u16(octets, 4) & RESERVED_FLAGS) return undefined;
  const header = Uint8Array.from(octets.subarray(0, PANA_HEADER));
  header.set([0, PANA_HEADER], 2);
  return panaOf(header);
}

/** Why octets are not a PANA message. */
export function panaProblem(octets: Uint8Array): string {
  try {
    return `unknown message type ${decodePana(octets).type}`;
  } catch (error) {
    return (error as Error).message;
  }
}

/** RFC 6345 4.1: the message inside a PRY, and the PaC that it is from or for. Undefined: there is none. */
export function relayedIn(
  { type, avps }: PanaMessage,
  vendorId: number,
): (Relayed & { readonly octets: Uint8Array }) | undefined {
  if (type !== MESSAGE_TYPE.RELAY) return undefined;
  const find = (name: string) => avps.find((avp) => avpName(avp, vendorId) === name)?.value;
  const octets = find('Relayed-Message');
  const message = octets && panaOf(octets);
  if (!octets || !message || message.type === MESSAGE_TYPE.RELAY) return undefined;
  return { message, octets, pac: pacOf(find('PaC-Information')) };
}

/** RFC 6345 5.1: an address of either version, and a port. The AVP Length of some senders counts the padding. */
export function pacOf(octets: Uint8Array | undefined): Endpoint | undefined {
  const end = ADDRESS_LENGTHS[octets?.length ?? 0];
  if (!octets || end === undefined) return undefined;
  return { address: formatAddress(octets.slice(0, end)), port: u16(octets, end) };
}
