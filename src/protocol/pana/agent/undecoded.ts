import { HEADER_LENGTH } from '../wire/codec.js';

/** Message Type of an undecoded datagram, RFC 5191 6.2. */
export function typeOf(octets: Uint8Array): number {
  return ((octets[6] ?? 0) << 8) | (octets[7] ?? 0);
}

/** Why the length of an undecoded datagram is invalid, RFC 5191 6.2; undefined: it is valid. */
export function lengthProblem(octets: Uint8Array): 'truncated' | 'leftover' | undefined {
  const length = ((octets[2] ?? 0) << 8) | (octets[3] ?? 0);
  if (octets.length < HEADER_LENGTH || octets.length < length) return 'truncated';
  return octets.length > length ? 'leftover' : undefined;
}
