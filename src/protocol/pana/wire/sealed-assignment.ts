import { createCipheriv, createDecipheriv } from 'node:crypto';
import { DecodeError } from '../../bytes/decode-error.js';
import { concat, equalOctets } from '../../bytes/octets.js';
import { Reader } from '../../bytes/reader.js';
import type { Secret } from '../../bytes/secret.js';
import { Writer } from '../../bytes/writer.js';
import { emskName, sealingKey } from '../../keys/kdf.js';
import { CAPABILITY, MAX_SEALED, type MobilityAssignment } from '../../mip6/assignment.js';
import { type PanaAvp, readAvpsBeforeZeros, writeAvp } from './codec.js';
import { readSealedAvps } from './dictionary.js';
import { mobilityAvps, readAssignment } from './mobility.js';

/** The only version. */
const VERSION = 1;
const NAME = 8;
const TAG = 16;

/** Length of the nonce of a sealed assignment in octets. It is random, because the AAA servers of a realm share no counter. */
export const SEAL_NONCE = 12;

/** The length of the content is a multiple of this, so that it does not reveal the home agent by the length of its name. */
const BLOCK = 256;

/** Octets before the encrypted content: version, EMSKname and nonce. */
const HEAD = 1 + NAME + SEAL_NONCE;

/** What both ends of a seal know. */
export interface SealContext {
  /** The keys of the authentication that the assignment is a result of. They are only read. */
  readonly emsk: Secret;
  /** The EAP Session-Id. */
  readonly sessionId: Uint8Array;
  /** Mobility-Capability as the node sent it. If it was changed on the way, the assignment does not open. */
  readonly wish: number;
}

/** What opens the seal of one authentication. */
export interface SealKey {
  readonly key: Secret;
  readonly wish: number;
}

/*
 *  +---------+------------------+---------------+-------------------------+-----------+
 *  | Version |  EMSKname (8)    |  Nonce (12)   |  AES-256-GCM ciphertext | Tag (16)  |
 *  +---------+------------------+---------------+-------------------------+-----------+
 */

/**
 * Encrypts an assignment for the node: AES-256-GCM with `sealingKey`. The content is the AVPs of the assignment in
 * PANA's encoding with the default Vendor-Id, followed by zeros up to a multiple of 256 octets. Version, EMSKname and
 * the requested capability are authenticated. `nonce`: random, SEAL_NONCE octets.
 */
export function sealAssignment(assignment: MobilityAssignment, context: SealContext, nonce: Uint8Array): Uint8Array {
  const writer = new Writer();
  for (const avp of mobilityAvps(assignment)) writeAvp(writer, avp);
  const avps = writer.finish();
  const content = new Uint8Array(Math.ceil(avps.length / BLOCK) * BLOCK);
  content.set(avps);
  const head = concat(Uint8Array.of(VERSION), emskName(context.sessionId), nonce);
  const key = sealingKey(context.emsk);
  try {
    const cipher = key.use((octets) => createCipheriv('aes-256-gcm', octets, nonce, { authTagLength: TAG }));
    cipher.setAAD(associated(head, context.wish));
    return concat(head, cipher.update(content), cipher.final(), cipher.getAuthTag());
  } finally {
    key.wipe();
    content.fill(0);
  }
}

/** Decrypts a sealed assignment. A string: why it is unusable. */
export function openAssignment(value: Uint8Array, context: SealContext): MobilityAssignment | string {
  const named = sealName(value);
  if (named && !equalOctets(named, emskName(context.sessionId)))
    return 'sealed assignment: it belongs to another authentication';
  const key = sealingKey(context.emsk);
  try {
    const avps = openSeal(value, { key, wish: context.wish });
    return typeof avps === 'string' ? avps : readOpened(avps);
  } finally {
    key.wipe();
  }
}

function readOpened(avps: readonly PanaAvp[]): MobilityAssignment | string {
  const values = readSealedAvps(avps);
  const read = typeof values === 'string' ? undefined : readAssignment(values);
  return read ?? 'sealed assignment: its content is invalid';
}

/** The EMSKname of a sealed assignment; undefined: it is none. */
export function sealName(value: Uint8Array): Uint8Array | undefined {
  return lengthOrVersion(value) === undefined ? value.slice(1, 1 + NAME) : undefined;
}

function lengthOrVersion(value: Uint8Array): string | undefined {
  const content = value.length - HEAD - TAG;
  if (value[0] !== VERSION && value.length > 0) return `sealed assignment: unknown version ${value[0]}`;
  const isWrong = content < BLOCK || content % BLOCK !== 0 || value.length > MAX_SEALED;
  return isWrong ? 'sealed assignment: wrong length' : undefined;
}

/** The AVPs in a sealed assignment. A string: why it does not open. */
export function openSeal(value: Uint8Array, key: SealKey): PanaAvp[] | string {
  const problem = lengthOrVersion(value);
  if (problem !== undefined) return problem;
  const content = decrypt(value, key);
  if (!content) return 'sealed assignment: it, or the request for it, was changed on the way';
  return contentAvps(content) ?? 'sealed assignment: its content is invalid';
}

function decrypt(value: Uint8Array, { key, wish }: SealKey): Uint8Array | undefined {
  try {
    const nonce = value.subarray(1 + NAME, HEAD);
    const cipher = key.use((octets) => createDecipheriv('aes-256-gcm', octets, nonce, { authTagLength: TAG }));
    cipher.setAAD(associated(value, wish)).setAuthTag(value.subarray(-TAG));
    return concat(cipher.update(value.subarray(HEAD, -TAG)), cipher.final());
  } catch {
    // The only error that `final` has: the tag is wrong.
    return undefined;
  }
}

/**
 * The associated data: version, EMSKname, requested capability without ECHO, which concerns only the node and its PAA.
 * The nonce is authenticated by GCM itself.
 */
function associated(head: Uint8Array, wish: number): Uint8Array {
  return concat(head.subarray(0, 1 + NAME), new Writer(4).u32((wish & ~CAPABILITY.ECHO) >>> 0).finish());
}

/** The AVPs before the zeros; undefined: they are malformed. */
function contentAvps(content: Uint8Array): PanaAvp[] | undefined {
  try {
    return readAvpsBeforeZeros(new Reader(content));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
