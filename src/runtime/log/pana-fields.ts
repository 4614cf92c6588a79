import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { decodePana } from '../../protocol/pana/wire/codec.js';
import { messageName } from '../../protocol/pana/wire/dictionary.js';
import { decodeRelay, isRelay } from '../../protocol/pana/wire/relayed.js';
import type { LogFields } from './events.js';

/**
 * The log fields of a PANA message: its names in RFC 5191 and in the paper, and its details. A PRY has those of the
 * message in it, and the address and port of the PaC.
 */
export function panaFields(octets: Uint8Array): LogFields {
  try {
    if (isRelay(octets)) {
      const { pac, octets: inner } = decodeRelay(octets);
      return { ...panaFields(inner), address: pac.address, port: pac.port, relayed: true };
    }
    const message = decodePana(octets);
    const { rfc, paper } = messageName(message);
    return { message: rfc, paper, session: sessionText(message.sessionId), sequence: message.sequence };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { message: 'not PANA' };
  }
}

/** Formats a PANA session identifier as eight hex digits. */
export function sessionText(sessionId: number): string {
  return sessionId.toString(16).padStart(8, '0');
}
