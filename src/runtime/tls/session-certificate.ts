import type { TLSSocket } from 'node:tls';
import { DecodeError } from '../../protocol/bytes/decode-error.js';
import { context, TAG, whole, within } from '../../protocol/x509/der.js';

/**
 * Returns the peer's certificate (DER) after a handshake; undefined if it sent none. It is read from the engine's
 * session, because the documented call also decodes the certificate, which costs ten times as much.
 */
export function certificateOf(socket: TLSSocket): Uint8Array | undefined {
  const session = socket.getSession();
  return (session && certificateOfSession(session)) ?? socket.getPeerCertificate().raw;
}

/**
 * Extracts the peer's certificate from an SSL_SESSION in OpenSSL's encoding (d2i_SSL_SESSION): version, TLS version,
 * cipher, session id, secret, then tagged fields, of which [3] is the certificate. Wipes the octets, because they
 * contain the secret.
 */
export function certificateOfSession(session: Buffer): Uint8Array | undefined {
  try {
    const fields = within(whole(session, TAG.SEQUENCE));
    while (fields.hasMore) {
      const field = fields.element();
      if (field.tag === context(3, true)) return Uint8Array.from(field.content);
    }
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  } finally {
    session.fill(0);
  }
}
