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

const MIP4_LABEL = 'mip4-mn-ha@pana-mip6';
const HIP_LABEL = 'hip-registration@pana-mip6';

/** Length of the MN-HA key for HMAC-MD5 (RFC 5944 3.5.1) and of the registration token, in octets. */
const MIP4_KEY = 16;
const HIP_TOKEN = 32;

/** A key of a service, and a number that each end derives with it. */
export interface ServiceKey {
  readonly key: Secret;
  readonly number: number;
}

/**
 * The MN-HA key of Mobile IPv4 and its SPI: the first 16 octets of KDF(root, label | 0x00 | HA | HoA | 64), and the next
 * four, moved above the 256 reserved values (RFC 5944 3.5.1). A new authentication gives a new key under a new SPI.
 */
export function deriveMip4Key(root: Secret, homeAgent: AddressOctets, home: AddressOctets): ServiceKey {
  const { key, number } = keyAndNumber(usrk(root, MIP4_LABEL, concat(homeAgent, home)), MIP4_KEY);
  return { key, number: (number % (2 ** 32 - 256)) + 256 };
}

/**
 * The token with which a node registers at a HIP rendezvous server, and its identifier: the first 32 octets of
 * KDF(root, label | 0x00 | HIT of the server | address | 64), and the next four.
 */
export function deriveHipToken(root: Secret, hit: Uint8Array, rendezvous: AddressOctets): ServiceKey {
  return keyAndNumber(usrk(root, HIP_LABEL, concat(hit, toV6Octets(rendezvous))), HIP_TOKEN);
}

/** Splits derived octets, which it wipes, into a key of this length and a number. */
function keyAndNumber(derived: Secret, length: number): ServiceKey {
  try {
    return derived.use((octets) => ({
      key: Secret.make(length, (out) => out.set(octets.subarray(0, length))),
      number: new DataView(octets.buffer, octets.byteOffset).getUint32(length),
    }));
  } finally {
    derived.wipe();
  }
}

/** Identifies a key in output for operators without revealing it: the first 8 hexadecimal digits of its SHA-256. */
export function fingerprint(key: Secret): string {
  return key.use((octets) => toHex(createHash('sha256').update(octets).digest()).slice(0, 8));
}
