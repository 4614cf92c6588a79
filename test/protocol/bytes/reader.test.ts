import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/protocol/bytes/decode-error.js';
import { Reader } from '../../../src/protocol/bytes/reader.js';

type Numeric = 'u8' | 'u16' | 'u24' | 'u32' | 'u64' | 'i32' | 'i64' | 'f32' | 'f64';

describe('Reader', () => {
  it.each([
    ['octets', Uint8Array.of(1, 2, 3, 4)],
    ['a Buffer', Buffer.from([0, 1, 2, 3, 4]).subarray(1)],
  ])('returns copies of %s', (_, octets) => {
    const reader = new Reader(octets);
    const first = reader.bytes(2);
    const rest = reader.rest();
    octets.fill(0);
    expect([...first, ...rest]).toEqual([1, 2, 3, 4]);
  });

  it('returns views only on request', () => {
    const octets = Uint8Array.of(1, 2, 3, 4);
    const view = new Reader(octets).view(2);
    octets.fill(9);
    expect([...view]).toEqual([9, 9]);
  });

  it('rejects missing octets and octets left over', () => {
    const reader = new Reader(Uint8Array.of(1, 2, 3), 10);
    expect(() => reader.view(4)).toThrow(DecodeError);
    expect(() => reader.u32()).toThrow(expect.objectContaining({ code: 'truncated', at: 10 }));
    expect(reader.u16()).toBe(0x0102);
    expect(() => reader.done()).toThrow(expect.objectContaining({ code: 'leftover', at: 12 }));
  });

  it.each<[Numeric, string, number | bigint]>([
    ['u8', 'fe', 0xfe],
    ['u16', 'fedc', 0xfedc],
    ['u24', 'fedcba', 0xfedcba],
    ['u32', 'fedcba98', 0xfedcba98],
    ['u64', 'fedcba9876543210', 0xfedcba9876543210n],
    ['i32', 'fffffffe', -2],
    ['i64', 'fffffffffffffffe', -2n],
    ['f32', 'bfc00000', -1.5],
    ['f64', 'bff8000000000000', -1.5],
  ])('reads %s from exactly its octets', (kind, hex, value) => {
    const octets = Buffer.from(hex, 'hex');
    const reader = new Reader(octets);
    expect(reader[kind]()).toBe(value);
    expect([reader.at, reader.remaining]).toEqual([octets.length, 0]);
    expect(() => new Reader(octets.subarray(1))[kind]()).toThrow(DecodeError);
  });
});
