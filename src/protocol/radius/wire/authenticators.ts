import { createHash, createHmac } from 'node:crypto';
import { equalSecrets } from '../../bytes/octets.js';
import type { Secret } from '../../bytes/secret.js';
import {
  type Attribute,
  AUTHENTICATOR_AT,
  AUTHENTICATOR_LENGTH,
  CODE,
  decodeRadius,
  encodeRadius,
  HEADER_LENGTH,
  packetLength,
} from './codec.js';

/** Type of Message-Authenticator, RFC 3579 3.2. Its value has 16 octets. */
export const MESSAGE_AUTHENTICATOR = 80;
const PLACEHOLDER: Attribute = { type: MESSAGE_AUTHENTICATOR, value: new Uint8Array(AUTHENTICATOR_LENGTH) };

const ZERO = new Uint8Array(AUTHENTICATOR_LENGTH);

/** Requests whose authenticator is a digest of the packet, RFC 2866 3, RFC 5176 2.3. That of others is random. */
const DIGESTED: ReadonlySet<number> = new Set([
  CODE['Accounting-Request'],
  CODE['Disconnect-Request'],
  CODE['CoA-Request'],
]);

interface Unsigned {
  readonly code: number;
  readonly identifier: number;
  /** Without Message-Authenticator. */
  readonly attributes: readonly Attribute[];
}

/**
 * Encodes an Access-Request or Status-Server with a Message-Authenticator as its first attribute (RFC 3579 3.2).
 * `random`: its Request Authenticator, 16 unpredictable octets.
 */
export function encodeRandomRequest(request: Unsigned, random: Uint8Array, secret: Secret): Uint8Array {
  const octets = encodeRadius({ ...request, authenticator: random, attributes: [PLACEHOLDER, ...request.attributes] });
  return signed(octets, HEADER_LENGTH + 2, secret);
}

/**
 * Encodes an Accounting-Request, Disconnect-Request or CoA-Request (RFC 2866 3, RFC 5176 2.3). The latter two begin with a
 * Message-Authenticator, which is computed with an authenticator of zeros (RFC 5176 3.4). No RFC says so of
 * Accounting-Requests, and programs differ: radsecproxy 1.9 discards those with one.
 */
export function encodeDigestedRequest(request: Unsigned, secret: Secret): Uint8Array {
  const isSigned = request.code !== CODE['Accounting-Request'];
  const attributes = isSigned ? [PLACEHOLDER, ...request.attributes] : request.attributes;
  const octets = encodeRadius({ ...request, authenticator: ZERO, attributes });
  if (isSigned) signed(octets, HEADER_LENGTH + 2, secret);
  octets.set(digestOf(octets, ZERO, secret), AUTHENTICATOR_AT);
  return octets;
}

/**
 * Encodes a response (RFC 2865 3) with a Message-Authenticator as its first attribute. `request`: the authenticator of
 * the request.
 */
export function encodeResponse(response: Unsigned, request: Uint8Array, secret: Secret): Uint8Array {
  const attributes = [PLACEHOLDER, ...response.attributes];
  const octets = signed(encodeRadius({ ...response, authenticator: request, attributes }), HEADER_LENGTH + 2, secret);
  octets.set(digestOf(octets, request, secret), AUTHENTICATOR_AT);
  return octets;
}

/**
 * Encodes an Accounting-Response (RFC 2866 3), without a Message-Authenticator: no RFC says with which authenticator
 * that would be computed, and programs differ.
 */
export function encodeAccountingResponse(response: Unsigned, request: Uint8Array, secret: Secret): Uint8Array {
  const octets = encodeRadius({ ...response, authenticator: request });
  octets.set(digestOf(octets, request, secret), AUTHENTICATOR_AT);
  return octets;
}

/** What a check of authenticators found. `missing`: the packet has no Message-Authenticator. */
export type Authenticity = 'authentic' | 'missing' | 'forged';

/**
 * Checks a well-formed request: its digest, if its code has one, and its Message-Authenticator, wherever it is. A
 * packet with more than one counts as forged.
 */
export function checkRequest(octets: Uint8Array, secret: Secret): Authenticity {
  const packet = trimmed(octets);
  const authenticator = packet.slice(AUTHENTICATOR_AT, HEADER_LENGTH);
  const isDigested = DIGESTED.has(packet[0] ?? 0);
  if (isDigested && !equalSecrets(digestOf(packet, ZERO, secret), authenticator)) return 'forged';
  return checkMessage(packet, isDigested ? ZERO : authenticator, secret);
}

/** Checks a well-formed response: its Response Authenticator and its Message-Authenticator, wherever it is. */
export function checkResponse(octets: Uint8Array, request: Uint8Array, secret: Secret): Authenticity {
  const packet = trimmed(octets);
  const authenticator = packet.slice(AUTHENTICATOR_AT, HEADER_LENGTH);
  if (!equalSecrets(digestOf(packet, request, secret), authenticator)) return 'forged';
  return checkMessage(packet, request, secret);
}

/** Without padding, and in memory of its own, because checks change it. */
function trimmed(octets: Uint8Array): Uint8Array {
  return Uint8Array.from(octets.subarray(0, packetLength(octets)));
}

function checkMessage(packet: Uint8Array, authenticator: Uint8Array, secret: Secret): Authenticity {
  const [place, second] = placesOf(packet);
  if (place === undefined) return 'missing';
  const found = packet.slice(place, place + AUTHENTICATOR_LENGTH);
  if (second !== undefined || packet[place - 1] !== AUTHENTICATOR_LENGTH + 2) return 'forged';
  packet.set(authenticator, AUTHENTICATOR_AT);
  packet.fill(0, place, place + AUTHENTICATOR_LENGTH);
  return equalSecrets(messageDigest(packet, secret), found) ? 'authentic' : 'forged';
}

/** Offsets of the values of Message-Authenticator attributes. */
function placesOf(packet: Uint8Array): number[] {
  const places: number[] = [];
  let at = HEADER_LENGTH;
  for (const { type, value } of decodeRadius(packet).attributes) {
    if (type === MESSAGE_AUTHENTICATOR) places.push(at + 2);
    at += 2 + value.length;
  }
  return places;
}

/** Fills in the Message-Authenticator whose value is at this offset. */
function signed(octets: Uint8Array, at: number, secret: Secret): Uint8Array {
  octets.set(messageDigest(octets, secret), at);
  return octets;
}

function messageDigest(octets: Uint8Array, secret: Secret): Uint8Array {
  return secret.use((key) => createHmac('md5', key).update(octets).digest());
}

/** MD5(Code | Identifier | Length | authenticator | attributes | secret), RFC 2865 3. */
function digestOf(octets: Uint8Array, authenticator: Uint8Array, secret: Secret): Uint8Array {
  const hash = createHash('md5').update(octets.subarray(0, AUTHENTICATOR_AT)).update(authenticator);
  return secret.use((key) => hash.update(octets.subarray(HEADER_LENGTH)).update(key).digest());
}
