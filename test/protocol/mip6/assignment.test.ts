import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/protocol/bytes/address.js';
import { CAPABILITY, decodePrefix, encodePrefix, wishOf } from '../../../src/protocol/mip6/assignment.js';
import { homeAddress, isReservedIdentifier } from '../../../src/protocol/mip6/home-address.js';
import { checkName } from '../../../src/protocol/mip6/names.js';

const { LOCAL_HA, HOME_HA } = CAPABILITY;

function address(text: string): Uint8Array {
  const octets = parseAddress(text);
  if (!octets) throw new Error(text);
  return octets;
}

describe('wishOf', () => {
  it('returns a preference only if exactly one of the two bits is set', () => {
    expect([0, LOCAL_HA, HOME_HA, LOCAL_HA | HOME_HA].map(wishOf)).toEqual(['any', 'local', 'home', 'any']);
  });
});

describe('encodePrefix and decodePrefix', () => {
  it('clear the bits after the prefix at any length, and reject malformed ones', () => {
    for (let length = 0; length <= 128; length += 1) {
      const encoded = encodePrefix({ length, octets: new Uint8Array(16).fill(0xff) });
      const bits = [...encoded.subarray(1)].map((octet) => octet.toString(2).padStart(8, '0')).join('');
      expect(bits).toBe('1'.repeat(length) + '0'.repeat(128 - length));
      expect(decodePrefix(encoded)).toEqual({ length, octets: encoded.slice(1) });
    }
    expect(decodePrefix(new Uint8Array(17).fill(129))).toBeUndefined();
    expect(decodePrefix(new Uint8Array(16))).toBeUndefined();
  });
});

describe('a home address', () => {
  const secret = new Uint8Array(32).fill(7);
  const prefix = address('2001:db8:1::');

  it('is the same for a subscriber (in any case) and a prefix, and differs otherwise', () => {
    const one = homeAddress(secret, 'mn@home.example', prefix, 0);
    expect(homeAddress(secret, 'MN@Home.example', prefix, 0)).toEqual(one);
    const others = [
      homeAddress(secret, 'mn2@home.example', prefix, 0),
      homeAddress(secret, 'mn@home.example', address('2001:db8:2::'), 0),
      homeAddress(secret, 'mn@home.example', prefix, 1),
      homeAddress(new Uint8Array(32), 'mn@home.example', prefix, 0),
    ].map((octets) => octets && formatAddress(octets));
    expect(new Set([one && formatAddress(one), ...others]).size).toBe(5);
    expect(one?.slice(0, 8)).toEqual(prefix.slice(0, 8));
  });

  it.each([
    ['0000000000000000', true],
    ['0000000000000001', false],
    ['02005efffe000000', true],
    ['02005efffe005212', true],
    ['02005effff000000', false],
    ['fdffffffffffff80', true],
    ['fdfffffffffffffe', true],
    ['fdffffffffffff7f', false],
  ])('with the identifier %s is reserved: %s (RFC 5453)', (hex, reserved) => {
    expect(isReservedIdentifier(new Uint8Array(Buffer.from(hex, 'hex')))).toBe(reserved);
  });
});

describe('checkName', () => {
  it.each(['mn@home.example', 'ha1.home.example', '7', 'a_b+c-d@x'])("accepts '%s'", (name) =>
    expect(checkName(name)).toBeUndefined(),
  );
  it.each(['', '.a', '-a', '_a', '@a', 'a..b', 'a b', 'a"b', "a'b", 'a;b', 'a$b', 'a`b', 'a\nb', 'a/b', 'ä', 'a\0b'])(
    'rejects %j',
    (name) => expect(checkName(name)).toBeDefined(),
  );

  it('rejects a name of 254 octets', () => expect(checkName('x'.repeat(254))).toBeDefined());
});
