import { createCipheriv, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Drbg } from '../../../src/protocol/bytes/drbg.js';
import { toHex } from '../../../src/protocol/bytes/octets.js';
import { runs } from '../../seed.js';

const SEED = Uint8Array.from({ length: 32 }, (_, i) => i);
/** More than three blocks. */
const LENGTH = 2_000;

/** AES-256-CTR of zeros with fast key erasure: of each 544 octets, the first 32 are the next key. */
function expected(seed: Uint8Array, length: number): Uint8Array {
  const out: number[] = [];
  let key = createHmac('sha256', 'pana-mip6 drbg').update(seed).digest();
  while (out.length < length) {
    const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(544));
    key = stream.subarray(0, 32);
    out.push(...stream.subarray(32));
  }
  return Uint8Array.from(out.slice(0, length));
}

it('Drbg returns the output of AES-256-CTR, and replaces the key after each block', () => {
  expect(toHex(new Drbg(SEED).bytes(LENGTH))).toBe(toHex(expected(SEED, LENGTH)));
});

it('Drbg returns the same octets however they are asked for', () => {
  const whole = new Drbg(SEED).bytes(LENGTH);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 20, size: 'max' }), (lengths) => {
      const drbg = new Drbg(SEED);
      let at = 0;
      for (const length of lengths) {
        const octets = drbg.bytes(length);
        expect(octets).toHaveLength(length);
        const known = whole.subarray(at, at + length);
        expect(toHex(octets.subarray(0, known.length))).toBe(toHex(known));
        at += length;
      }
    }),
    { numRuns: runs(50) },
  );
});

it('Drbg derives numbers from its octets', () => {
  const view = new DataView(new Drbg(SEED).bytes(8).buffer);
  const drbg = new Drbg(SEED);
  expect(drbg.u32()).toBe(view.getUint32(0));
  expect(drbg.unit()).toBe(view.getUint32(4) / 2 ** 32);
});
