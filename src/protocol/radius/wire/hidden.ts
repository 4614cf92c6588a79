import { createHash } from 'node:crypto';
import { DecodeError } from '../../bytes/decode-error.js';
import { Secret } from '../../bytes/secret.js';

const BLOCK = 16;

/** Length of a salt in octets. The highest bit of its first octet is set. */
export const SALT_LENGTH = 2;

/** Maximum length of a User-Password in octets, RFC 2865 5.2. */
const MAX_PASSWORD = 128;

/**
 * Hides octets with MD5 of the secret and the block before (RFC 2865 5.2): c(1) = p(1) xor MD5(secret | start), c(i) =
 * p(i) xor MD5(secret | c(i-1)). `plain` is a multiple of 16 octets and is overwritten by the result.
 */
function hide(plain: Uint8Array, start: readonly Uint8Array[], secret: Secret): void {
  let before = start;
  for (let at = 0; at < plain.length; at += BLOCK) {
    const block = plain.subarray(at, at + BLOCK);
    mask(block, before, secret);
    before = [block];
  }
}

/** The reverse of `hide`. `hidden` is overwritten by the result. */
function reveal(hidden: Uint8Array, start: readonly Uint8Array[], secret: Secret): void {
  let before = start;
  for (let at = 0; at < hidden.length; at += BLOCK) {
    const block = hidden.subarray(at, at + BLOCK);
    const cipher = Uint8Array.from(block);
    mask(block, before, secret);
    before = [cipher];
  }
}

function mask(block: Uint8Array, before: readonly Uint8Array[], secret: Secret): void {
  const hash = secret.use((key) => createHash('md5').update(key));
  for (const part of before) hash.update(part);
  const digest = hash.digest();
  for (const [i, octet] of digest.entries()) block[i] = (block[i] ?? 0) ^ octet;
  digest.fill(0);
}

/** Hides a User-Password of up to 128 octets (RFC 2865 5.2). Throws RangeError for a longer one. */
export function hidePassword(password: Secret, requestAuthenticator: Uint8Array, secret: Secret): Uint8Array {
  if (password.length > MAX_PASSWORD) throw new RangeError(`a password of ${password.length} octets`);
  const octets = new Uint8Array(Math.max(BLOCK, padded(password.length)));
  password.use((own) => octets.set(own));
  hide(octets, [requestAuthenticator], secret);
  return octets;
}

/** Reveals a User-Password, without the zeros that pad it. With a wrong secret the result is random. Throws DecodeError. */
export function revealPassword(value: Uint8Array, requestAuthenticator: Uint8Array, secret: Secret): Secret {
  if (value.length < BLOCK || value.length > MAX_PASSWORD || value.length % BLOCK !== 0) {
    throw new DecodeError('bad-length', 0, `a User-Password of ${value.length} octets`);
  }
  const octets = Uint8Array.from(value);
  reveal(octets, [requestAuthenticator], secret);
  let end = octets.length;
  while (end > 0 && octets[end - 1] === 0) end -= 1;
  const password = Secret.copyOf(octets.subarray(0, end));
  octets.fill(0);
  return password;
}

/*
 *  +---------------+---------------+---------------+---------------+
 *  |1|            Salt             |  String, a multiple of 16: hidden
 *  +---------------+---------------+---------------+---------------+
 *
 *  String in plain text:
 *  +---------------+-----------------------------------------------+
 *  |    Length     |  Key of this length, then zeros
 *  +---------------+-----------------------------------------------+
 */

/**
 * Hides a key with a salt: MS-MPPE-Send-Key and MS-MPPE-Recv-Key (RFC 2548 2.4.2, 2.4.3), and Tunnel-Password without
 * its tag (RFC 2868 3.5). `requestAuthenticator`: that of the Access-Request. `salt`: a number that no other attribute of
 * the packet has; its highest bit is set here. Throws RangeError for a key of more than 239 octets.
 */
export function hideSalted(key: Secret, salt: number, requestAuthenticator: Uint8Array, secret: Secret): Uint8Array {
  if (key.length > 239) throw new RangeError(`a key of ${key.length} octets`);
  const value = new Uint8Array(SALT_LENGTH + padded(1 + key.length));
  value[0] = 0x80 | (salt >> 8);
  value[1] = salt;
  const plain = value.subarray(SALT_LENGTH);
  plain[0] = key.length;
  key.use((own) => plain.set(own, 1));
  hide(plain, [requestAuthenticator, value.slice(0, SALT_LENGTH)], secret);
  return value;
}

/** Reveals a key with a salt. With a wrong secret the result is random. Throws DecodeError. */
export function revealSalted(value: Uint8Array, requestAuthenticator: Uint8Array, secret: Secret): Secret {
  const length = value.length - SALT_LENGTH;
  if (length < BLOCK || length % BLOCK !== 0) {
    throw new DecodeError('bad-length', 0, `a salted value of ${value.length} octets`);
  }
  if (((value[0] ?? 0) & 0x80) === 0) throw new DecodeError('bad-flags', 0, 'a salt without its highest bit');
  const plain = value.slice(SALT_LENGTH);
  reveal(plain, [requestAuthenticator, value.slice(0, SALT_LENGTH)], secret);
  try {
    const size = plain[0] ?? 0;
    // RFC 2868 3.5: no more padding than needed. Zeros are only recommended.
    if (padded(1 + size) !== plain.length) {
      throw new DecodeError('bad-value', SALT_LENGTH, 'a salted value with a wrong length');
    }
    return Secret.copyOf(plain.subarray(1, 1 + size));
  } finally {
    plain.fill(0);
  }
}

/** The next multiple of 16. */
function padded(length: number): number {
  return Math.ceil(length / BLOCK) * BLOCK;
}
