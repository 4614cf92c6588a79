import { DecodeError } from '../../../protocol/bytes/decode-error.js';
import { type Certificate, readCertificate } from '../../../protocol/x509/certificate.js';

/** PEM labels of certificates and CRLs (RFC 7468 5, 6), including those of older programs. */
const CERTIFICATES = ['CERTIFICATE', 'X509 CERTIFICATE'];
const CRLS = ['X509 CRL', 'CRL'];

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g;

/**
 * The content of all blocks with one of these labels (RFC 7468), in order. Throws DecodeError for a block without an
 * end.
 */
function blocks(text: string, labels: readonly string[]): Uint8Array[] {
  const found = [...text.matchAll(BLOCK)].filter(([, label = '']) => labels.includes(label));
  const begun = labels.reduce((sum, label) => sum + text.split(`-----BEGIN ${label}-----`).length - 1, 0);
  if (begun !== found.length) throw new DecodeError('truncated', text.length, 'a PEM block without an end line');
  return found.map(([, , body = '']) => new Uint8Array(Buffer.from(body, 'base64')));
}

/** Parses all certificates of a PEM text. Throws DecodeError. */
export function certificatesOfPem(text: string): Certificate[] {
  return blocks(text, CERTIFICATES).map(readCertificate);
}

/** The DER of all CRLs of a file: one in DER, or any number in PEM. Throws DecodeError. */
export function crlsOfFile(octets: Uint8Array): Uint8Array[] {
  // DER starts with a SEQUENCE (0x30) whose length has two or more octets. In a text, 0x30 would be the digit 0,
  // followed by ASCII.
  if (octets[0] === 0x30 && (octets[1] ?? 0) >= 0x80) return [octets];
  return blocks(Buffer.from(octets).toString('latin1'), CRLS);
}
