import { DecodeError } from '../../bytes/decode-error.js';
import { decodeUtf8 } from '../../bytes/octets.js';
import type { AttributeReader } from '../../radius/wire/attributes.js';
import type { RadiusClient } from './clients.js';

/** Random octets in a Session-Id. */
export const SESSION_RANDOM = 12;

/** The session that a Class attribute of this server names (RFC 2865 5.25); undefined: none. */
export function sessionOfClass(reader: AttributeReader, client: RadiusClient): string | undefined {
  for (const value of reader.all('Class')) {
    // Another server may have added a Class of its own.
    const session = sessionOf(value, client);
    if (session !== undefined) return session;
  }
  return undefined;
}

/** A new Session-Id. `random`: SESSION_RANDOM octets in hexadecimal. */
export function newSessionId(client: RadiusClient, random: string): string {
  return sessionsOf(client) + random;
}

/** With what the Session-Ids of a client begin. */
function sessionsOf({ name }: RadiusClient): string {
  return `radius;${name};`;
}

/** The Session-Id in a State or Class; undefined: it is not one of this client. */
export function sessionOf(octets: Uint8Array, client: RadiusClient): string | undefined {
  return sessionIn(octets, sessionsOf(client));
}

/** The Session-Id in these octets; undefined: it does not begin like this. */
function sessionIn(octets: Uint8Array, start: string): string | undefined {
  try {
    const text = decodeUtf8(octets);
    return text.startsWith(start) ? text : undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
