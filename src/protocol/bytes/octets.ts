import { timingSafeEqual } from 'node:crypto';
import { DecodeError } from './decode-error.js';

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Lower-case hexadecimal text, two digits per octet. */
export function toHex(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('hex');
}

/**
 * Writes the hexadecimal digits of a key into `out` at offset `at`. It creates no string, because a string cannot be
 * wiped.
 */
export function putHex(octets: Uint8Array, out: Uint8Array, at: number): void {
  const digit = (value: number) => value + (value < 10 ? 0x30 : 0x57);
  for (const [i, octet] of octets.entries()) {
    out[at + 2 * i] = digit(octet >> 4);
    out[at + 2 * i + 1] = digit(octet & 15);
  }
}

/** Parses hexadecimal text. Spaces, line ends and colons are skipped. Throws DecodeError. */
export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/[\s:]+/g, '');
  const bad = digits.search(/[^0-9a-fA-F]/);
  if (bad >= 0) throw new DecodeError('bad-value', bad >> 1, 'not a hex digit');
  if (digits.length % 2 !== 0) throw new DecodeError('truncated', digits.length >> 1, 'odd number of hex digits');
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

export function encodeUtf8(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/** Decodes UTF-8. Throws DecodeError for octets that are not UTF-8; `at` is the offset that the error reports. */
export function decodeUtf8(octets: Uint8Array, at = 0): string {
  try {
    return utf8Decoder.decode(octets);
  } catch {
    throw new DecodeError('bad-value', at, 'not UTF-8');
  }
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equalOctets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}

/** Compares secrets in constant time: the duration does not depend on where they differ. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
