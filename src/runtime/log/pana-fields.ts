import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { decodePana } from '../../protocol/pana/wire/codec.js';
import { messageName } from '../../protocol/pana/wire/dictionary.js';
import type { LogFields } from './events.js';

/** What the log says of a PANA datagram: its name by RFC 5191 and by the paper. */
export function panaFields(octets: Uint8Array): LogFields {
  try {
    const message = decodePana(octets);
    const { rfc, paper } = messageName(message);
    return { message: rfc, paper, session: sessionText(message.sessionId), sequence: message.sequence };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { message: 'not PANA' };
  }
}

/** A PANA session identifier as people see it: eight hex digits. */
export function sessionText(sessionId: number): string {
  return sessionId.toString(16).padStart(8, '0');
}
