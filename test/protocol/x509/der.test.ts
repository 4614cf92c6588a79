import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/protocol/bytes/decode-error.js';
import { readExtensions } from '../../../src/protocol/x509/certificate.js';
import {
  DerReader,
  readBitOctets,
  readBits,
  readBoolean,
  readInteger,
  readOid,
  readSmallInteger,
  readTime,
  TAG,
  whole,
} from '../../../src/protocol/x509/der.js';

/** An element with these content octets. */
const element = (tag: number, ...content: number[]) => whole(Uint8Array.of(tag, content.length, ...content), tag);
const integer = (...content: number[]) => element(TAG.INTEGER, ...content);

describe('INTEGER', () => {
  it.each<[number[], string]>([
    [[0], '0'],
    [[1], '1'],
    [[0x7f], '7f'],
    [[0, 0x80], '80'],
    [[0, 0, 0x0a], 'a'],
    [[0x10], '10'],
    [[0x80], '-80'],
    [[0xff, 0], '-ff00'],
  ])('of octets %j is %s', (octets, text) => {
    expect(readInteger(integer(...octets))).toBe(text);
  });

  it('must have an octet', () => {
    expect(() => readInteger(integer())).toThrow(DecodeError);
  });

  it.each<[number[], number]>([
    [[0], 0],
    [[2], 2],
    [[0x7f, 0xff, 0xff, 0xff], 0x7fff_ffff],
  ])('of octets %j is a small number', (octets, value) => {
    expect(readSmallInteger(integer(...octets))).toBe(value);
  });

  it.each([
    ['negative', [0xff]],
    ['too large', [0, 0x80, 0, 0, 0]],
  ])('is not a small number when it is %s', (_what, octets) => {
    expect(() => readSmallInteger(integer(...octets))).toThrow(expect.objectContaining({ code: 'bad-value' }));
  });
});

describe('BOOLEAN', () => {
  it.each([
    [0, false],
    [1, true],
    [0xff, true],
  ])('of octet %i is %s', (octet, value) => {
    expect(readBoolean(element(TAG.BOOLEAN, octet))).toBe(value);
  });

  it.each([[[]], [[0, 0]]])('must have one octet, not %j', (octets) => {
    expect(() => readBoolean(element(TAG.BOOLEAN, ...octets))).toThrow(DecodeError);
  });
});

describe('BIT STRING', () => {
  it('uses the first bit as the lowest one, and has at most 32 bits', () => {
    expect(readBits(element(TAG.BIT_STRING, 0))).toBe(0);
    expect(readBits(element(TAG.BIT_STRING, 7, 0x80))).toBe(1);
    expect(readBits(element(TAG.BIT_STRING, 1, 0x06))).toBe(0x60);
    expect(readBits(element(TAG.BIT_STRING, 7, 0, 0x80))).toBe(0x100);
    expect(readBits(element(TAG.BIT_STRING, 0, 0, 0, 0, 2))).toBe(1 << 30);
    expect(() => readBits(element(TAG.BIT_STRING))).toThrow(DecodeError);
    expect(() => readBits(element(TAG.BIT_STRING, 0, 0, 0, 0, 0, 0))).toThrow(DecodeError);
  });

  it('is read as octets only without unused bits', () => {
    expect(readBitOctets(element(TAG.BIT_STRING, 0, 7, 8))).toEqual(Uint8Array.of(7, 8));
    expect(() => readBitOctets(element(TAG.BIT_STRING, 1, 8))).toThrow(DecodeError);
    expect(() => readBitOctets(element(TAG.BIT_STRING))).toThrow(DecodeError);
  });
});

describe('OBJECT IDENTIFIER', () => {
  it.each<[number[], string]>([
    [[0x55, 0x1d, 0x0f], '2.5.29.15'],
    [[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], '1.2.840.113549.1.1.11'],
    [[0x27], '0.39'],
    [[0x28], '1.0'],
    [[0x88, 0x37], '2.999'],
  ])('with octets %j is %s', (octets, text) => {
    expect(readOid(element(TAG.OBJECT_IDENTIFIER, ...octets))).toBe(text);
  });

  it.each([
    ['without arcs', []],
    ['with a truncated last arc', [0x55, 0x81]],
    ['with an arc that is too large', [0x55, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ])('%s is rejected', (_what, octets) => {
    expect(() => readOid(element(TAG.OBJECT_IDENTIFIER, ...octets))).toThrow(DecodeError);
  });
});

describe('UTCTime and GeneralizedTime', () => {
  const time = (text: string) =>
    readTime(element(text.length === 13 ? TAG.UTC_TIME : TAG.GENERALIZED_TIME, ...Buffer.from(text)));

  it.each([
    ['500101000000Z', '1950-01-01T00:00:00Z'],
    ['491231235959Z', '2049-12-31T23:59:59Z'],
    ['700101000000Z', '1970-01-01T00:00:00Z'],
    ['20000229120000Z', '2000-02-29T12:00:00Z'],
    ['21000301000000Z', '2100-03-01T00:00:00Z'],
    ['99991231235959Z', '9999-12-31T23:59:59Z'],
  ])('%s is %s', (text, iso) => {
    expect(time(text)).toBe(Date.parse(iso));
  });

  it.each([
    '260001000000Z',
    '261301000000Z',
    '260100000000Z',
    '260132000000Z',
    '260101240000Z',
    '260101006000Z',
    '260101000060Z',
    '2601010000000',
    '20260101000000+',
  ])('%s is rejected as a time', (text) => {
    expect(() => time(text)).toThrow(expect.objectContaining({ code: 'bad-value' }));
  });
});

describe('extensions', () => {
  const id = [0x06, 3, 0x55, 0x1d, 0x0f];
  const extension = (...critical: number[]) => {
    const inside = [...id, ...critical, 0x04, 1, 9];
    return [0x30, inside.length, ...inside];
  };
  const read = (...list: number[]) => readExtensions(new DerReader(Uint8Array.of(0x30, list.length, ...list)));

  it.each([
    ['without the critical field', [], false],
    ['with FALSE, which DER omits', [1, 1, 0], false],
    ['with TRUE', [1, 1, 0xff], true],
  ])('are critical or not: %s', (_what, octets, critical) => {
    expect([...read(...extension(...octets))]).toEqual([['2.5.29.15', { critical, value: Uint8Array.of(9) }]]);
  });

  it('must be unique and end where their length says', () => {
    expect(() => read(...extension(), ...extension())).toThrow(expect.objectContaining({ code: 'bad-value' }));
    expect(() => read(0x30, 8, ...id, 0x04, 0, 5)).toThrow(DecodeError);
    expect(() => readExtensions(new DerReader(Uint8Array.of(0x30, 0, 0)))).toThrow(DecodeError);
  });
});

describe('a length', () => {
  it.each<[string, number[]]>([
    ['of two octets that fits in one', [0x30, 0x81, 0x7f, ...new Array(0x7f).fill(0)]],
    ['of three octets that fits in two', [0x30, 0x82, 0, 0x80, ...new Array(0x80).fill(0)]],
    ['of five octets', [0x30, 0x85, 0, 0, 0, 0, 1, 0]],
    ['of the indefinite form', [0x30, 0x80, 0, 0]],
    ['with truncated octets', [0x30, 0x82, 1]],
    ['beyond the end of the octets', [0x30, 2, 0]],
  ])('%s is not accepted', (_what, octets) => {
    expect(() => new DerReader(Uint8Array.from(octets)).element()).toThrow(DecodeError);
  });

  it.each([0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000])('of %i octets is read in its shortest form', (length) => {
    const long = [0x1_0000, 0x100, 1].flatMap((unit) => (length >= unit ? [Math.floor(length / unit) & 0xff] : []));
    const head = length < 0x80 ? [length] : [0x80 | long.length, ...long];
    const octets = new Uint8Array(1 + head.length + length);
    octets.set([0x04, ...head]);
    const reader = new DerReader(octets);
    expect(reader.element().content).toHaveLength(length);
    expect(reader.hasMore).toBe(false);
  });
});
