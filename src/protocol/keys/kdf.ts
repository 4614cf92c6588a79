import { createHash } from 'node:crypto';
import { type AddressOctets, toV6Octets } from '../bytes/address.js';
import { concat, encodeUtf8, toHex } from '../bytes/octets.js';
import { Secret } from '../bytes/secret.js';
import { feedback } from './prf-plus.js';

/** RFC 5295 3.1.2: HMAC-SHA-256 in the feedback mode of IKEv2's prf+. */
function kdf(key: Uint8Array, seed: Uint8Array, out: Uint8Array): void {
  feedback('sha256', key, seed, out);
}

/** USRK = KDF(EMSK, label | 0x00 | optional data | length), RFC 5295 3.1. `length`: octets of the key, at least 64. */
export function usrk(emsk: Secret, label: string, optional: Uint8Array = new Uint8Array(0), length = 64): Secret {
  const seed = concat(encodeUtf8(label), Uint8Array.of(0), optional, Uint8Array.of(length >> 8, length));
  return emsk.use((key) => Secret.make(length, (out) => kdf(key, seed, out)));
}

/** EMSKname = KDF(EAP Session-Id, "EMSK" | 0x00 | 8), eight octets, RFC 5295 3.1. */
export function emskName(sessionId: Uint8Array): Uint8Array {
  const name = new Uint8Array(8);
  kdf(sessionId, concat(encodeUtf8('EMSK'), Uint8Array.of(0, 0, 8)), name);
  return name;
}

const PSK_LABEL = 'mip6-ike-psk@pana-mip6';
const PSK_LENGTH = 64;

/**
 * The pre-shared IKE key of a mobile node and its home agent: KDF(root, label | 0x00 | HA | HoA | 64). The root is the
 * MSK, as in the paper, or the EMSK. An IPv4 address is encoded as ::ffff:a.b.c.d. A home address that IKEv2 assigns
 * later is encoded as zeros.
 */
export function derivePsk(root: Secret, homeAgent: AddressOctets, home: AddressOctets | undefined): Secret {
  return usrk(root, PSK_LABEL, concat(toV6Octets(homeAgent), home ? toV6Octets(home) : new Uint8Array(16)), PSK_LENGTH);
}

const SEALING_LABEL = 'mip6-sealed-assignment@pana-mip6';
const SEALING_KEY = 32;

/** The AES-256 key of a sealed assignment: the first 32 octets of USRK(EMSK, label). */
export function sealingKey(emsk: Secret): Secret {
  const long = usrk(emsk, SEALING_LABEL);
  try {
    return Secret.make(SEALING_KEY, (out) => long.use((octets) => out.set(octets.subarray(0, SEALING_KEY))));
  } finally {
    long.wipe();
  }
}

/** Identifies a key in output for operators without revealing it: the first 8 hexadecimal digits of its SHA-256. */
export function fingerprint(key: Secret): string {
  return key.use((octets) => toHex(createHash('sha256').update(octets).digest()).slice(0, 8));
}
