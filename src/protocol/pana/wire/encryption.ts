import { createCipheriv } from 'node:crypto';
import { Reader } from '../../bytes/reader.js';
import { Writer } from '../../bytes/writer.js';
import { type PanaAvp, type PanaMessage, readAvps, writeAvp } from './codec.js';
import { AVPS, avpName, makeAvp, type PanaViolation } from './dictionary.js';
import type { Encryption } from './keys.js';

/** The header fields that make the counters of two messages differ. */
type Numbers = Pick<PanaMessage, 'sessionId' | 'sequence'>;

/*
 *  +------+------------------+------------------+------------------+-----------------+
 *  |  2   |   Key-Id (4)     |  Session Id (4)  |  Sequence (4)    |  block, from 1  |
 *  +------+------------------+------------------+------------------+-----------------+
 */

/** The counter of the first block of a message, RFC 6786 4.1. */
export function counterBlock(keyId: number, { sessionId, sequence }: Numbers): Uint8Array {
  return new Writer(16).u8(2).u32(keyId).u32(sessionId).u32(sequence).u24(1).finish();
}

/**
 * Encryption-Encap with these AVPs, RFC 6786 5. Only requests may carry one: requests and answers of one end are
 * numbered apart, and an answer with the number of a request of the same end would have its counter and key.
 */
export function encapsulate(avps: readonly PanaAvp[], encryption: Encryption, numbers: Numbers): PanaAvp {
  const writer = new Writer();
  for (const avp of avps) writeAvp(writer, avp);
  const clear = writer.finish();
  try {
    return makeAvp('Encryption-Encap', apply(encryption, 'sends', numbers, clear));
  } finally {
    clear.fill(0);
  }
}

/**
 * The AVPs of a message whose AUTH is valid, with those in its Encryption-Encap in place of it. The grammar is not
 * checked. Throws DecodeError.
 */
export function openEncapsulation(
  message: PanaMessage,
  encryption: Encryption,
  vendorId: number,
): readonly PanaAvp[] | PanaViolation {
  const avps: PanaAvp[] = [];
  for (const avp of message.avps) {
    if (avp.code !== AVPS['Encryption-Encap'].code || avp.vendorId !== undefined) {
      avps.push(avp);
      continue;
    }
    const inner = readAvps(new Reader(apply(encryption, 'receives', message, avp.value)));
    // RFC 6786 6: some AVPs must not be encrypted, among them AUTH and Encryption-Encap itself.
    for (const each of inner) {
      const name = avpName(each, vendorId);
      if (name === undefined) return 'unknown-avp';
      if (AVPS[name].encryption === 'N') return 'avp-not-allowed';
    }
    avps.push(...inner);
  }
  return avps;
}

/** Encrypts or decrypts, which is the same with a counter. */
function apply(
  { algorithm, keyId, ...keys }: Encryption,
  direction: 'sends' | 'receives',
  numbers: Numbers,
  octets: Uint8Array,
): Uint8Array {
  const counter = counterBlock(keyId, numbers);
  return keys[direction].use((key) => {
    const cipher = createCipheriv(algorithm.cipher, key, counter);
    return new Uint8Array(Buffer.concat([cipher.update(octets), cipher.final()]));
  });
}
