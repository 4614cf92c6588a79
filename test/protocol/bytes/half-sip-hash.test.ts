import { describe, expect, it } from 'vitest';
import { halfSipHash, sipKey } from '../../../src/protocol/bytes/half-sip-hash.js';

/** The octets 0, 1, 2, … as little-endian words. */
function words(count: number): Uint32Array {
  const view = new DataView(Uint8Array.from({ length: count * 4 }, (_, i) => i).buffer);
  return Uint32Array.from({ length: count }, (_, i) => view.getUint32(i * 4, true));
}

describe('HalfSipHash-1-3', () => {
  const key = sipKey(Uint8Array.from({ length: 8 }, (_, i) => i));

  // Known answers for the key 00…07 and the message 00, 01, …, as in the self-test of Linux (siphash, 32-bit).
  it.each([
    [0, 0x5814_c896],
    [1, 0x7e05_9ea6],
    [2, 0x5779_99b1],
    [3, 0x6b28_096c],
    [4, 0x8b31_d501],
    [5, 0x911b_b605],
    [6, 0x5715_0ad7],
  ])('of %i words is the published value', (count, hash) => {
    expect(halfSipHash(key, words(count), count)).toBe(hash);
  });

  it('uses the given number of words only', () => {
    expect(halfSipHash(key, words(6), 2)).toBe(0x5779_99b1);
  });
});
