import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/protocol/bytes/address.js';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { concat, fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import {
  AttributeReader,
  attribute,
  mppeKeys,
  readVendor,
  type ValueOf,
  vendorAttribute,
} from '../../../../src/protocol/radius/wire/attributes.js';
import { decodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { ATTRIBUTES, type AttributeName } from '../../../../src/protocol/radius/wire/dictionary.js';
import { EXCHANGES, MSK, SECRET } from './vectors.js';

const packetOf = (which: string, end: 'request' | 'response') => {
  const octets = EXCHANGES.find(({ name }) => name.startsWith(which))?.[end];
  if (!octets) throw new Error(`no ${which}`);
  return new AttributeReader(decodeRadius(octets));
};
const address = (text: string) => parseAddress(text) ?? new Uint8Array();

describe('AttributeReader', () => {
  it('reads what eapol_test and radclient sent, and FreeRADIUS answered', () => {
    const eap = packetOf('Access-Request of eapol_test', 'request');
    expect(eap.one('User-Name')).toBe('mn1');
    expect(eap.one('NAS-IP-Address')).toEqual(Uint8Array.of(127, 0, 0, 1));
    expect(eap.one('Framed-MTU')).toBe(1400);
    expect(toHex(eap.one('EAP-Message') ?? new Uint8Array())).toBe('02280008' + '016d6e31');
    const accept = packetOf('Access-Request of radclient', 'response');
    expect(accept.one('Reply-Message')).toBe('Hello, bob');
    expect(accept.one('Framed-IPv6-Address')).toEqual(address('2001:db8::7'));
    expect(accept.one('Session-Timeout')).toBe(3600);
    const reject = packetOf('Access-Request of radclient, Access-Reject', 'response');
    expect(reject.all('Proxy-State').map(toHex)).toEqual(['0102', '03']);
    const stop = packetOf('Accounting-Request', 'request');
    expect(stop.one('Acct-Status-Type')).toBe(2);
    expect(stop.one('Event-Timestamp')).toBe(1_700_000_000_000);
    expect(stop.one('Class')).toBeUndefined();
  });

  it('rejects a second value where there may be one', () => {
    const reader = packetOf('Access-Request of radclient, Access-Reject', 'response');
    expect(() => reader.one('Proxy-State')).toThrow('more than one Proxy-State');
  });

  it('joins the pieces of an EAP-Message', () => {
    const whole = Uint8Array.from({ length: 600 }, (_, i) => i);
    const pieces = attribute('EAP-Message', whole);
    expect(pieces.map(({ value }) => value.length)).toEqual([253, 253, 94]);
    expect(new AttributeReader({ attributes: pieces }).one('EAP-Message')).toEqual(whole);
    expect(attribute('EAP-Message', new Uint8Array())).toEqual([]);
  });

  it.each([
    ['Framed-MTU', '000578'],
    ['NAS-IP-Address', '7f000001 00'],
    ['NAS-IPv6-Address', '00'],
    ['MIP6-Feature-Vector', '00000000'],
    ['User-Name', 'ff'],
    ['MIP6-Home-Link-Prefix', '00'],
    ['MIP6-Home-Link-Prefix', '00 81 20010db8000000000000000000000000'],
    ['MIP6-Home-Link-Prefix', '00 40 20010db8000100'],
    ['MIP6-Home-Link-Prefix', '00 3c 20010db800010001'],
    ['MIP6-Home-Link-Prefix', '00 40 20010db80001000000000000000000000000'],
  ] as const)('rejects %s of the octets %s', (name, hex) => {
    const reader = new AttributeReader({ attributes: [{ type: ATTRIBUTES[name].type, value: fromHex(hex) }] });
    expect(() => reader.one(name)).toThrow(DecodeError);
  });

  it('writes a prefix with a reserved octet of zero and no more octets than it needs', () => {
    const [written] = attribute('MIP6-Home-Link-Prefix', { length: 48, address: address('2001:db8:1::') });
    expect(toHex(written?.value ?? new Uint8Array())).toBe('0030' + '20010db80001');
  });

  it('accepts a prefix with more octets than it needs', () => {
    const value = fromHex('00 30 20010db8000100000000000000000000');
    const reader = new AttributeReader({ attributes: [{ type: 125, value }] });
    expect(reader.one('MIP6-Home-Link-Prefix')).toEqual({ length: 48, address: address('2001:db8:1::') });
  });

  it('does not read a key without the secret', () => {
    const attributes = mppeKeys(Secret.take(fromHex(MSK)), 5, {
      secret: SECRET,
      requestAuthenticator: new Uint8Array(16),
    });
    expect(() => new AttributeReader({ attributes }).one('MS-MPPE-Recv-Key')).toThrow(TypeError);
  });
});

describe('attribute', () => {
  const values: { readonly [N in AttributeName]?: fc.Arbitrary<ValueOf<N>> } = {
    'User-Name': fc.string({ unit: 'grapheme', maxLength: 40, size: 'max' }),
    State: fc.uint8Array({ maxLength: 253, size: 'max' }),
    'Session-Timeout': fc.nat(0xffff_ffff),
    'Acct-Status-Type': fc.nat(0xffff_ffff),
    'Event-Timestamp': fc.nat(0xffff_ffff).map((seconds) => seconds * 1000),
    'MIP6-Feature-Vector': fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    'NAS-IP-Address': fc.uint8Array({ minLength: 4, maxLength: 4 }),
    'Framed-IPv6-Address': fc.uint8Array({ minLength: 16, maxLength: 16 }),
    'Framed-Interface-Id': fc.uint8Array({ minLength: 8, maxLength: 8 }),
    'EAP-Message': fc.uint8Array({ minLength: 1, maxLength: 2000, size: 'max' }),
    'MIP6-Home-Link-Prefix': fc
      .tuple(fc.nat(128), fc.uint8Array({ minLength: 16, maxLength: 16 }))
      .map(([length, octets]) => ({
        length,
        address: octets.map((octet, i) => octet & ~(0xff >> Math.max(0, Math.min(8, length - 8 * i)))),
      })),
  };

  it.each(Object.keys(values) as Exclude<AttributeName, `MS-MPPE-${string}`>[])(
    '%s is read as it was written',
    (name) => {
      fc.assert(
        fc.property(values[name] as fc.Arbitrary<ValueOf<typeof name>>, (value) => {
          const reader = new AttributeReader({ attributes: attribute(name, value) });
          expect(reader.one(name)).toEqual(value);
        }),
      );
    },
  );

  it('rejects addresses of another length', () => {
    expect(() => attribute('NAS-IP-Address', new Uint8Array(16))).toThrow('NAS-IP-Address of 16 octets');
  });
});

describe('mppeKeys', () => {
  it('are the halves of the MSK, each with its own salt', () => {
    const hiding = { secret: SECRET, requestAuthenticator: new Uint8Array(16).fill(8) };
    const attributes = mppeKeys(Secret.take(fromHex(MSK)), 0x7fff, hiding);
    expect(attributes.map(({ value }) => value.length)).toEqual([56, 56]);
    const reader = new AttributeReader({ attributes }, hiding);
    const keys = [reader.one('MS-MPPE-Recv-Key'), reader.one('MS-MPPE-Send-Key')];
    expect(toHex(concat(...keys.map((key) => key?.octets() ?? new Uint8Array())))).toBe(MSK);
    expect(attributes.map((own) => toHex(readVendor(own)[0]?.value.slice(0, 2) ?? new Uint8Array()))).toEqual([
      'ffff',
      '8000',
    ]);
  });
});

describe('Vendor-Specific', () => {
  it('has the form of RFC 2865 5.26', () => {
    const own = vendorAttribute(32473, { type: 3, value: Uint8Array.of(1, 2) });
    expect([own.type, toHex(own.value)]).toEqual([26, '00007ed9' + '03040102']);
    expect(readVendor(own)).toEqual([{ vendorId: 32473, type: 3, value: Uint8Array.of(1, 2) }]);
  });

  it.each(['', '000001', '0000013701', '000001370100', '0000013701ff'])(
    'of another form has no sub-attributes: %s',
    (hex) => {
      expect(readVendor({ type: 26, value: fromHex(hex) })).toEqual([]);
    },
  );
});

describe('The dictionary', () => {
  it('has each type once for each vendor', () => {
    const all = Object.values(ATTRIBUTES).map(
      ({ type, ...more }) => `${'vendorId' in more ? more.vendorId : 0} ${type}`,
    );
    expect(new Set(all).size).toBe(all.length);
  });
});
