import { DecodeError } from '../bytes/decode-error.js';
import { concat } from '../bytes/octets.js';
import { Reader } from '../bytes/reader.js';

/** ContentType of records, RFC 5246 6.2.1. */
const CHANGE_CIPHER_SPEC = 20;
const HANDSHAKE = 22;

/** HandshakeType, RFC 5246 7.4. */
const CERTIFICATE = 11;

/**
 * The certificates (DER, the leaf first) that a client's flight shows in clear, which it does up to TLS 1.2 (RFC 5246 7.4.2);
 * with TLS 1.3 they are encrypted, and there are none here. `first`: the flight of the ClientHello. Throws DecodeError for a
 * flight that ends within a record or a handshake message: what is missing could not be looked at together with it.
 */
export function clearCertificates(flight: Uint8Array, first: boolean): Uint8Array[] {
  const reader = new Reader(handshakeOf(flight, first));
  const found: Uint8Array[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8();
    reader.block(reader.u24(), (body) => {
      if (type === CERTIFICATE) found.push(...certificatesOf(body));
      else body.rest();
    });
  }
  return found;
}

/** What of handshake messages is in clear: all before ChangeCipherSpec, or before records of TLS 1.3. */
function handshakeOf(flight: Uint8Array, first: boolean): Uint8Array {
  const reader = new Reader(flight);
  const parts: Uint8Array[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8();
    reader.u16();
    const fragment = reader.bytes(reader.u16());
    // A middlebox wants it at the very beginning (RFC 8446 D.4), where it changes nothing.
    if (type === CHANGE_CIPHER_SPEC && !(first && parts.length === 0)) break;
    if (type === HANDSHAKE) parts.push(fragment);
  }
  return concat(...parts);
}

/*
 *  opaque ASN.1Cert<1..2^24-1>;
 *  struct { ASN.1Cert certificate_list<0..2^24-1>; } Certificate;
 */
function certificatesOf(body: Reader): Uint8Array[] {
  return body.block(body.u24(), (list) => {
    const found: Uint8Array[] = [];
    while (list.remaining > 0) {
      const length = list.u24();
      if (length === 0) throw new DecodeError('bad-length', list.at, 'an empty certificate');
      found.push(list.bytes(length));
    }
    return found;
  });
}
