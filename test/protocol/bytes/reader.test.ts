import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/protocol/bytes/decode-error.js';
import { Reader } from '../../../src/protocol/bytes/reader.js';

describe('a reader', () => {
  it.each([
    ['octets', Uint8Array.of(1, 2, 3, 4)],
    ['a Buffer', Buffer.from([0, 1, 2, 3, 4]).subarray(1)],
  ])('gives copies of %s', (_, octets) => {
    const reader = new Reader(octets);
    const first = reader.bytes(2);
    const rest = reader.rest();
    octets.fill(0);
    expect([...first, ...rest]).toEqual([1, 2, 3, 4]);
  });

  it('gives views only where it is asked for them', () => {
    const octets = Uint8Array.of(1, 2, 3, 4);
    const view = new Reader(octets).view(2);
    octets.fill(9);
    expect([...view]).toEqual([9, 9]);
  });

  it('refuses what is not there, and what is left', () => {
    const reader = new Reader(Uint8Array.of(1, 2, 3), 10);
    expect(() => reader.view(4)).toThrow(DecodeError);
    expect(() => reader.u32()).toThrow(expect.objectContaining({ code: 'truncated', at: 10 }));
    expect(reader.u16()).toBe(0x0102);
    expect(() => reader.done()).toThrow(expect.objectContaining({ code: 'leftover', at: 12 }));
  });
});
