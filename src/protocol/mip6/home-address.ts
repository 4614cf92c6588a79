import { createHmac } from 'node:crypto';
import { encodeUtf8, toHex } from '../bytes/octets.js';

/** Octets of the interface identifier in a /64. */
const IDENTIFIER_LENGTH = 8;

/** Attempts after which a prefix counts as full. An attempt fails only if another node already has that identifier. */
export const MAX_ATTEMPTS = 64;

/**
 * The home address of a subscriber on a home link. It is the same each time, and cannot be predicted without the
 * store's secret. The interface identifier is the first 8 octets of HMAC-SHA-256(secret, NAI in lower case | prefix |
 * attempt). Undefined if this attempt yields a reserved identifier.
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

/**
 * Whether an interface identifier is reserved (RFC 5453 and its IANA registry): subnet-router anycast, IANA's Ethernet
 * block, reserved subnet anycast.
 */
export function isReservedIdentifier(identifier: Uint8Array): boolean {
  const hex = toHex(identifier);
  return (
    hex === '0000000000000000' ||
    (hex >= '02005efffe000000' && hex <= '02005efffeffffff') ||
    (hex >= 'fdffffffffffff80' && hex <= 'fdffffffffffffff')
  );
}
