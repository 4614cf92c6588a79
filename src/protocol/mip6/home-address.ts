import { createHmac } from 'node:crypto';
import { encodeUtf8, toHex } from '../bytes/octets.js';

/** Interface identifiers of a /64 have 8 octets. */
const IDENTIFIER_LENGTH = 8;

/** Attempts before a prefix counts as full: each fails only when another node already has that identifier. */
export const MAX_ATTEMPTS = 64;

/**
 * The home address of a subscriber on a home link: the same each time, and unpredictable without the store's secret.
 * HMAC-SHA-256(secret, NAI in lower case | prefix | attempt), its first 8 octets behind the /64 prefix. Undefined for
 * an attempt that hits a reserved identifier.
 */
export function homeAddress(
  secret: Uint8Array,
  nai: string,
  prefix: Uint8Array,
  attempt: number,
): Uint8Array | undefined {
  const mac = createHmac('sha256', secret)
    .update(encodeUtf8(nai.toLowerCase()))
    .update(prefix.subarray(0, 16))
    .update(Uint8Array.of(attempt));
  const identifier = new Uint8Array(mac.digest().subarray(0, IDENTIFIER_LENGTH));
  if (isReservedIdentifier(identifier)) return undefined;
  const address = new Uint8Array(16);
  address.set(prefix.subarray(0, 8), 0);
  address.set(identifier, 8);
  return address;
}

/** RFC 5453 and its IANA registry: subnet-router anycast, the Ethernet block of IANA, reserved subnet anycast. */
export function isReservedIdentifier(identifier: Uint8Array): boolean {
  const hex = toHex(identifier);
  return (
    hex === '0000000000000000' ||
    (hex >= '02005efffe000000' && hex <= '02005efffeffffff') ||
    (hex >= 'fdffffffffffff80' && hex <= 'fdffffffffffffff')
  );
}
