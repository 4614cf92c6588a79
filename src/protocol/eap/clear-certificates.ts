import { DecodeError } from '../bytes/decode-error.js';
import { concat } from '../bytes/octets.js';
import { Reader } from '../bytes/reader.js';
import { CONTENT_TYPE, HANDSHAKE_TYPE } from './tls-numbers.js';

/**
 * The certificates (DER, leaf first) that a client's flight contains in clear. TLS up to 1.2 sends them in clear (RFC
 * 5246 7.4.2); TLS 1.3 encrypts them, so that the result is empty. `first`: the flight contains the ClientHello. Throws
 * DecodeError if the flight ends within a record or a handshake message, because the missing part could not be checked.
 */
export function clearCertificates(flight: Uint8Array, first: boolean): Uint8Array[] {
  const reader = new Reader(handshakeOf(flight, first));
  const found: Uint8Array[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8();
    reader.block(reader.u24(), (body) => {
      if (type === HANDSHAKE_TYPE.CERTIFICATE) found.push(...certificatesOf(body));
      else body.rest();
    });
  }
  return found;
}

/** The handshake messages in clear: all before ChangeCipherSpec, or before TLS 1.3 encrypted records. */
function handshakeOf(flight: Uint8Array, first: boolean): Uint8Array {
  const reader = new Reader(flight);
  const parts: Uint8Array[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8();
    reader.u16();
    const fragment = reader.bytes(reader.u16());
    // RFC 8446 D.4: a ChangeCipherSpec at the start exists only for middleboxes and has no effect.
    if (type === CONTENT_TYPE.CHANGE_CIPHER_SPEC && !(first && parts.length === 0)) break;
    if (type === CONTENT_TYPE.HANDSHAKE) parts.push(fragment);
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
      if (length === 0) throw new DecodeError('bad-length', list.at, 'empty certificate');
      found.push(list.bytes(length));
    }
    return found;
  });
}
