import { decodeUtf8 } from '../bytes/octets.js';
import { EAP_CODE, EAP_TYPE } from '../eap/codec.js';

/** Maximum length of an identity in octets; longer ones are not relayed (RFC 7542 allows 253). */
export const MAX_IDENTITY = 253;

/**
 * Maximum size of a relayed EAP packet in octets. A PANA message is one UDP datagram and must also have room for all
 * other AVPs.
 */
const MAX_EAP_PACKET = 64_000;

/** EAP-Request/Identity without a prompt, RFC 3748 5.1. */
export function identityRequest(identifier: number): Uint8Array {
  return Uint8Array.of(EAP_CODE.REQUEST, identifier, 0, 5, EAP_TYPE.IDENTITY);
}

/** EAP-Success or EAP-Failure, RFC 3748 4.2. */
export function eapResult(code: 'SUCCESS' | 'FAILURE', identifier: number): Uint8Array {
  return Uint8Array.of(EAP_CODE[code], identifier, 0, 4);
}

/** The identity in an EAP-Response/Identity. Undefined: the response has another type, is too long, or is not UTF-8. */
export function identityIn(response: Uint8Array): string | undefined {
  if (response[4] !== EAP_TYPE.IDENTITY || response.length > 5 + MAX_IDENTITY) return undefined;
  try {
    // RFC 3748 5.1: octets after a NUL are not part of the identity.
    const text = decodeUtf8(response.subarray(5));
    return text.split('\0', 1)[0] ?? '';
  } catch {
    return undefined;
  }
}

/** The EAP packet at the start of these octets (RFC 3748 4.1). Undefined: there is none, or it is too long to relay. */
export function wholeEap(octets: Uint8Array | undefined): Uint8Array | undefined {
  if (!octets || octets.length < 4) return undefined;
  const length = eapLength(octets);
  if (length < 4 || length > octets.length || length > MAX_EAP_PACKET) return undefined;
  return octets.subarray(0, length);
}

/** The Length field of an EAP packet, RFC 3748 4. */
export function eapLength(octets: Uint8Array): number {
  return ((octets[2] ?? 0) << 8) | (octets[3] ?? 0);
}

/** The realm of a NAI, after the last `@` (RFC 7542 2.5); undefined if there is none. */
export function realmOf(nai: string): string | undefined {
  const at = nai.lastIndexOf('@');
  const realm = at < 0 ? '' : nai.slice(at + 1).toLowerCase();
  // RFC 6733 4.3.1: a realm that is not a DiameterIdentity would make the whole request invalid.
  return /^[\x21-\x7e]+$/.test(realm) && realm.length <= MAX_IDENTITY ? realm : undefined;
}
