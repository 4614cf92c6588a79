import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import {
  type DataFormat,
  decodeFormat,
  encodeFormat,
  parseDiameterUri,
} from '../../../../src/protocol/diameter/wire/formats.js';
import { runs } from '../../../seed.js';

const examples: readonly [DataFormat, string, unknown][] = [
  ['OctetString', '0102ff', Uint8Array.of(1, 2, 255)],
  ['OctetString', '', new Uint8Array(0)],
  ['Integer32', 'fffffffe', -2],
  ['Integer64', 'fffffffffffffffe', -2n],
  ['Unsigned32', 'fffffffe', 4_294_967_294],
  ['Unsigned64', 'fffffffffffffffe', 18_446_744_073_709_551_614n],
  ['Float32', '3fc00000', 1.5],
  ['Float64', 'bff8000000000000', -1.5],
  ['Enumerated', '00000003', 3],
  ['UTF8String', 'c3bc406578', 'ü@ex'],
  ['DiameterIdentity', '612e6578616d706c65', 'a.example'],
  ['DiameterURI', '6161613a2f2f612e6578', 'aaa://a.ex'],
  ['Address', '0001c0000201', Uint8Array.of(192, 0, 2, 1)],
  ['Address', '000220010db8000000000000000000000001', fromHex('20010db8000000000000000000000001')],
  // RFC 5905 6: the era ends on 2036-02-07 06:28:16 UTC.
  ['Time', '80000000', Date.UTC(1968, 0, 20, 3, 14, 8)],
  ['Time', '83aa7e80', 0],
  ['Time', 'ffffffff', Date.UTC(2036, 1, 7, 6, 28, 15)],
  ['Time', '00000000', Date.UTC(2036, 1, 7, 6, 28, 16)],
  ['Time', '7fffffff', Date.UTC(2104, 1, 26, 9, 42, 23)],
];

describe('an AVP value', () => {
  it.each(examples)('of format %s with octets %s decodes and encodes', (format, hex, value) => {
    expect(decodeFormat(format, fromHex(hex))).toEqual(value);
    expect(toHex(encodeFormat(format, value as Parameters<typeof encodeFormat>[1]))).toBe(hex);
  });

  it('of an address family other than IP is kept with its family', () => {
    const e164 = fromHex('000834393132');
    expect(decodeFormat('Address', e164)).toEqual(e164);
    expect(encodeFormat('Address', e164)).toEqual(e164);
  });

  it('of an address family other than IP is rejected when it has the length of an IP address', () => {
    expect(() => decodeFormat('Address', fromHex('00083439'))).toThrow(DecodeError);
    expect(() => decodeFormat('Address', fromHex('00083132333435363738393031323334'))).toThrow(DecodeError);
  });

  it.each<[DataFormat, string]>([
    ['Integer32', '000000'],
    ['Unsigned32', '0000000000'],
    ['Unsigned64', '00000000'],
    ['Time', '00'],
    ['Address', '00'],
    ['Address', '00010102'],
    ['Address', '000201020304'],
    ['UTF8String', 'ff'],
    ['DiameterIdentity', ''],
    ['DiameterIdentity', '612062'],
    ['DiameterIdentity', 'c3bc'],
    ['DiameterURI', '612e6578'],
  ])('of format %s is rejected with octets %s', (format, hex) => {
    expect(() => decodeFormat(format, fromHex(hex))).toThrow(DecodeError);
  });

  it('shares no memory with its octets', () => {
    const data = fromHex('0102');
    const value = decodeFormat('OctetString', data) as Uint8Array;
    data.fill(0);
    expect(value).toEqual(Uint8Array.of(1, 2));
  });

  it('decodes to what was encoded', () => {
    const back = (format: DataFormat) => (value: Parameters<typeof encodeFormat>[1]) => {
      expect(decodeFormat(format, encodeFormat(format, value))).toEqual(value);
    };
    fc.assert(fc.property(fc.nat(0xffff_ffff), back('Unsigned32')));
    fc.assert(fc.property(fc.integer(), back('Integer32')));
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), back('Unsigned64')));
    fc.assert(fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), back('Integer64')));
    fc.assert(fc.property(fc.float({ noNaN: true }), back('Float32')));
    fc.assert(fc.property(fc.double({ noNaN: true }), back('Float64')));
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), back('UTF8String')));
    fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), back('Address')));
    // RFC 5905 6: the years 1968 to 2104.
    const seconds = fc.integer({ min: 2_085_978_496 - 2 ** 31, max: 2_085_978_495 + 2 ** 31 });
    fc.assert(fc.property(seconds, (value) => back('Time')(value * 1000)));
  });

  it('decodes or throws DecodeError for any octets', () => {
    const formats: DataFormat[] = [...new Set(examples.map(([format]) => format))];
    const any = fc.property(
      fc.constantFrom(...formats),
      fc.uint8Array({ maxLength: 24, size: 'max' }),
      (format, data) => {
        try {
          decodeFormat(format, data);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      },
    );
    fc.assert(any, { numRuns: runs(20_000) });
  });
});

describe('parseDiameterUri', () => {
  it('applies defaults', () => {
    expect(parseDiameterUri('aaa://host.example.com')).toEqual({
      secure: false,
      host: 'host.example.com',
      port: 3868,
      transport: 'tcp',
      protocol: 'diameter',
    });
    expect(parseDiameterUri('aaas://host.example.com')).toMatchObject({ secure: true, port: 5868 });
  });

  // The examples of RFC 6733 4.3.1.
  it.each([
    ['aaa://host.example.com;transport=tcp', { port: 3868, transport: 'tcp' }],
    ['aaa://host.example.com:6666;transport=tcp', { port: 6666 }],
    ['aaa://host.example.com;protocol=diameter', { protocol: 'diameter' }],
    ['aaa://host.example.com:6666;protocol=diameter', { port: 6666, protocol: 'diameter' }],
    ['aaa://host.example.com:6666;transport=tcp;protocol=diameter', { port: 6666, transport: 'tcp' }],
    ['aaa://host.example.com:1813;transport=udp;protocol=radius', { port: 1813, transport: 'udp', protocol: 'radius' }],
  ])('reads %s', (text, parts) => {
    expect(parseDiameterUri(text)).toMatchObject(parts);
  });

  it.each(['', 'aaa://', 'http://a', 'aaa://a:0', 'aaa://a:65536', 'aaa://a b', 'aaa://a;x=y', 'aaa://a:1:2'])(
    "rejects '%s'",
    (text) => {
      expect(parseDiameterUri(text)).toBeUndefined();
    },
  );
});
