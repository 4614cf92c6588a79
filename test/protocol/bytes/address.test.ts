import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { familyOf, formatAddress, parseAddress, toV6Octets } from '../../../src/protocol/bytes/address.js';
import { runs } from '../../seed.js';

describe('the text form of an address', () => {
  it.each([
    // RFC 5952 4 and 5
    ['2001:0db8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['192.0.2.1', '192.0.2.1'],
  ])('%s is formatted as %s', (text, canonical) => {
    const octets = parseAddress(text);
    expect(octets && formatAddress(octets)).toBe(canonical);
  });

  it.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    '::1%eth0',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    '::1.2.3',
    '1.2.3.4::',
    '::1:',
  ])('"%s" is rejected', (text) => expect(parseAddress(text)).toBeUndefined());

  it('is parsed to the octets that were formatted', () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      // Many zeros, which the text form compresses.
      fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(octets, (given) => {
        expect(parseAddress(formatAddress(given))).toEqual(given);
      }),
      { numRuns: runs(5000) },
    );
  });

  it('equals that of the platform', () => {
    const octets = fc.array(fc.constantFrom(0, 0, 1, 0xab), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(octets, (given) => {
        const text = formatAddress(Uint8Array.from(given));
        fc.pre(!text.includes('.'));
        expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
      }),
    );
  });
});

describe('toV6Octets', () => {
  it('maps an IPv4 address to ::ffff:a.b.c.d', () => {
    expect(formatAddress(toV6Octets(Uint8Array.of(192, 0, 2, 1)))).toBe('::ffff:192.0.2.1');
  });
});

describe('formatAddress', () => {
  it.each([0, 3, 5, 15, 17])('formats no address of %i octets', (length) => {
    expect(() => formatAddress(new Uint8Array(length))).toThrow(RangeError);
  });
});

describe('familyOf', () => {
  it('is what isIP of the platform says of addresses and of what is nearly one', () => {
    const part = fc.constantFrom('', '0', '1', '01', 'ab', 'ffff', '10000', '255', '256', '1.2.3.4', 'x', ' ');
    const text = (separator: string) =>
      fc.array(part, { minLength: 1, maxLength: 10, size: 'max' }).map((parts) => parts.join(separator));
    const gap = fc.tuple(text(':'), text(':')).map((halves) => halves.join('::'));
    const family = (given: string) => familyOf(given) ?? 0;
    fc.assert(
      fc.property(fc.oneof(text(':'), text('.'), gap, fc.ipV4(), fc.ipV6()), (given) => {
        expect([given, family(given)]).toEqual([given, isIP(given)]);
      }),
      { numRuns: runs(5000) },
    );
  });
});
