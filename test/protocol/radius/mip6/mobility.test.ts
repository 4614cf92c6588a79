import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/protocol/bytes/address.js';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { concat, fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { type RadiusMobility, readMobility, writeMobility } from '../../../../src/protocol/radius/mip6/mobility.js';
import { vendorAttribute } from '../../../../src/protocol/radius/wire/attributes.js';
import { runs } from '../../../seed.js';

const VENDOR = 32473;
const address = (text: string) => parseAddress(text) ?? new Uint8Array();

const WHOLE: RadiusMobility = {
  features: 1n,
  capability: 0x2d,
  homeAgent: address('2001:db8:1::1'),
  homeAgentHost: 'ha1.home.example',
  homeAddress: address('2001:db8:1::77'),
  prefix: { length: 64, octets: address('2001:db8:1::') },
  sealed: undefined,
};

const NOTHING: RadiusMobility = {
  features: undefined,
  capability: undefined,
  homeAgent: undefined,
  homeAgentHost: undefined,
  homeAddress: undefined,
  prefix: undefined,
  sealed: undefined,
};

describe('the Mobile IPv6 attributes', () => {
  it('are 124, 125 and Vendor-Specific attributes', () => {
    const written = writeMobility(WHOLE, VENDOR);
    expect(written.map(({ type, value }) => `${type} ${toHex(value)}`)).toEqual([
      '124 0000000000000001',
      '125 004020010db800010000',
      '26 00007ed901060000002d',
      '26 00007ed9021220010db8000100000000000000000001',
      '26 00007ed9031220010db8000100000000000000000077',
      '26 00007ed904126861312e686f6d652e6578616d706c65',
    ]);
    expect(readMobility({ attributes: written }, VENDOR)).toEqual(WHOLE);
  });

  it('may all be missing, and those of another vendor are not read', () => {
    expect(writeMobility(NOTHING, VENDOR)).toEqual([]);
    expect(readMobility({ attributes: [] }, VENDOR)).toEqual(NOTHING);
    const others = writeMobility(WHOLE, VENDOR + 1).filter(({ type }) => type === 26);
    expect(readMobility({ attributes: others }, VENDOR)).toEqual(NOTHING);
  });

  it('may stand together in one Vendor-Specific attribute', () => {
    const value = concat(fromHex('00007ed9 01060000002d 03'), Uint8Array.of(6), fromHex('c0000201'));
    expect(readMobility({ attributes: [{ type: 26, value }] }, VENDOR)).toMatchObject({
      capability: 0x2d,
      homeAddress: address('192.0.2.1'),
    });
  });

  it.each([
    ['capability of 3 octets', 1, 3],
    ['home agent of 15 octets', 2, 15],
    ['home address of no octets', 3, 0],
  ])('rejects a %s', (_what, type, length) => {
    const attributes = [vendorAttribute(VENDOR, { type, value: new Uint8Array(length) })];
    expect(() => readMobility({ attributes }, VENDOR)).toThrow(DecodeError);
  });

  it('rejects a second value', () => {
    const attributes = [...writeMobility(WHOLE, VENDOR), ...writeMobility({ ...NOTHING, capability: 1 }, VENDOR)];
    expect(() => readMobility({ attributes }, VENDOR)).toThrow('more than one sub-attribute 1 of vendor 32473');
  });

  it('carry a sealed assignment in several attributes, in order', () => {
    const sealed = Uint8Array.from({ length: 293 }, (_, i) => i);
    const attributes = writeMobility({ ...NOTHING, sealed }, VENDOR);
    expect(attributes.map(({ type, value }) => [type, value.length])).toEqual([
      [26, 4 + 2 + 247],
      [26, 4 + 2 + 46],
    ]);
    expect(readMobility({ attributes }, VENDOR)).toEqual({ ...NOTHING, sealed });
    expect(readMobility({ attributes: attributes.reverse() }, VENDOR).sealed).not.toEqual(sealed);
  });

  it('read as they were written, whatever they are', () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16, size: 'max' }),
    );
    const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const mobility = fc.record({
      features: maybe(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
      capability: maybe(fc.nat(0xffff_ffff)),
      homeAgent: maybe(octets),
      homeAgentHost: maybe(fc.domain()),
      homeAddress: maybe(octets),
      prefix: fc.constant(WHOLE.prefix),
      sealed: maybe(fc.uint8Array({ minLength: 1, maxLength: 1000, size: 'max' })),
      services: maybe(
        fc.oneof(
          fc.record({ mip4: fc.uint8Array({ minLength: 20, maxLength: 20 }) }),
          fc.record({ hip: fc.uint8Array({ minLength: 28, maxLength: 40 }) }),
        ),
      ),
    });
    fc.assert(
      fc.property(mobility, (given) => {
        expect(readMobility({ attributes: writeMobility(given, VENDOR) }, VENDOR)).toEqual(given);
      }),
      { numRuns: runs(200) },
    );
  });
});
