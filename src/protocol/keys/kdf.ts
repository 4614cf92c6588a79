import { createHash, createHmac } from 'node:crypto';
import { type AddressOctets, toV6Octets } from '../bytes/address.js';
import { concat, encodeUtf8, toHex } from '../bytes/octets.js';
import { PRF_ALGORITHMS } from '../pana/algorithms.js';
import { prfPlus } from '../pana/keys.js';

/** RFC 5295 3.1.2: HMAC-SHA-256 in the feedback mode of IKEv2's prf+. `length` in octets. */
export function kdf(key: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let at = 0, n = 1; at < length; at += block.length, n += 1) {
    block = createHmac('sha256', key).update(block).update(seed).update(Uint8Array.of(n)).digest();
    out.set(block.subarray(0, length - at), at);
  }
  return out;
}

/** USRK = KDF(EMSK, label | 0x00 | optional data | length), RFC 5295 3.1. `length` in octets, at least 64. */
export function usrk(
  emsk: Uint8Array,
  label: string,
  optional: Uint8Array = new Uint8Array(0),
  length = 64,
): Uint8Array {
  return kdf(emsk, concat(encodeUtf8(label), Uint8Array.of(0), optional, Uint8Array.of(length >> 8, length)), length);
}

/** EMSKname = KDF(EAP Session-Id, "EMSK" | 0x00 | 8), eight octets, RFC 5295 3.1. */
export function emskName(sessionId: Uint8Array): Uint8Array {
  return kdf(sessionId, concat(encodeUtf8('EMSK'), Uint8Array.of(0, 0, 8)), 8);
}

const PSK_LABEL = 'mip6-ike-psk@pana-mip6';
export const PSK_LENGTH = 64;

/**
 * The key that a mobile node and its home agent share for IKE: KDF(root, label | 0x00 | HA | HoA | 64). The root is the
 * MSK, as in the paper, or the EMSK. IPv4 addresses enter as ::ffff:a.b.c.d; a home address that IKEv2 will assign as
 * zeros.
 */
export function derivePsk(root: Uint8Array, homeAgent: AddressOctets, home: AddressOctets | undefined): Uint8Array {
  return usrk(root, PSK_LABEL, concat(toV6Octets(homeAgent), home ? toV6Octets(home) : new Uint8Array(16)), PSK_LENGTH);
}

/** What people may see of a key: the first 8 hex digits of its SHA-256. */
export function fingerprint(key: Uint8Array): string {
  return toHex(createHash('sha256').update(key).digest()).slice(0, 8);
}

/**
 * PEMK = prf+(MSK, "IETF PEMK" | SID | KID | EPID), 64 octets (RFC 5807 3): the key of one PaC and one enforcement
 * point. EPID is the address family (1 IPv4, 2 IPv6) in two octets and the address. `prf`: PRF-Algorithm id.
 */
export function pemk(
  prf: number,
  msk: Uint8Array,
  sessionId: number,
  keyId: number,
  enforcementPoint: AddressOctets,
): Uint8Array {
  const algorithm = PRF_ALGORITHMS.get(prf);
  if (!algorithm) throw new RangeError(`PRF ${prf} is not implemented`);
  const u32 = (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  const epid = concat(Uint8Array.of(0, enforcementPoint.length === 4 ? 1 : 2), enforcementPoint);
  return prfPlus(algorithm, msk, concat(encodeUtf8('IETF PEMK'), u32(sessionId), u32(keyId), epid), 64);
}
