import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { AttributeReader } from '../../../../src/protocol/radius/wire/attributes.js';
import { decodeRadius } from '../../../../src/protocol/radius/wire/codec.js';
import { hidePassword, hideSalted, revealPassword, revealSalted } from '../../../../src/protocol/radius/wire/hidden.js';
import { EXCHANGES, MSK, SECRET, TELNET } from './vectors.js';

const hexOf = (secret: Secret) => secret.use(toHex);
const authenticators = fc.uint8Array({ minLength: 16, maxLength: 16 });
const secrets = (constraints: fc.IntArrayConstraints) => fc.uint8Array(constraints).map(Secret.copyOf);

describe('A hidden password', () => {
  it('is that of RFC 2865 7.1, both ways', () => {
    const { authenticator, attributes } = decodeRadius(TELNET.request);
    const hidden = attributes.find(({ type }) => type === 2)?.value ?? new Uint8Array();
    const password = revealPassword(hidden, authenticator, SECRET);
    expect(hexOf(password)).toBe(Buffer.from('arctangent').toString('hex'));
    expect(toHex(hidePassword(password, authenticator, SECRET))).toBe(toHex(hidden));
  });

  it('is that of radclient', () => {
    const packet = decodeRadius(
      EXCHANGES.find(({ name }) => name.includes('Request of radclient'))?.request ?? new Uint8Array(),
    );
    const hidden = packet.attributes.find(({ type }) => type === 2)?.value ?? new Uint8Array();
    expect(hexOf(revealPassword(hidden, packet.authenticator, SECRET))).toBe(Buffer.from('hello').toString('hex'));
  });

  it('of any length up to 128 octets without a zero at its end comes back', () => {
    const passwords = fc.uint8Array({ maxLength: 128, size: 'max' }).filter((octets) => octets.at(-1) !== 0);
    fc.assert(
      fc.property(passwords, authenticators, (octets, authenticator) => {
        const hidden = hidePassword(Secret.copyOf(octets), authenticator, SECRET);
        expect(hidden.length % 16).toBe(0);
        expect(hexOf(revealPassword(hidden, authenticator, SECRET))).toBe(toHex(octets));
      }),
    );
    expect(() =>
      hidePassword(
        Secret.make(129, () => undefined),
        new Uint8Array(16),
        SECRET,
      ),
    ).toThrow(RangeError);
  });

  it.each([0, 15, 17, 144])('of %i octets is malformed', (length) => {
    expect(() => revealPassword(new Uint8Array(length), new Uint8Array(16), SECRET)).toThrow(DecodeError);
  });
});

describe('A salted key', () => {
  it('is the MSK that eapol_test derived, in the Access-Accept of FreeRADIUS', () => {
    const exchange = EXCHANGES.find(({ name }) => name.includes('eapol_test, Access-Accept'));
    if (!exchange?.response) throw new Error('no Access-Accept');
    const { authenticator: requestAuthenticator } = decodeRadius(exchange.request);
    const reader = new AttributeReader(decodeRadius(exchange.response), { secret: SECRET, requestAuthenticator });
    const keys = [reader.one('MS-MPPE-Recv-Key'), reader.one('MS-MPPE-Send-Key')];
    expect(keys.map((key) => key && hexOf(key)).join('')).toBe(MSK);
  });

  it('of any length and salt comes back, and the salt has its highest bit set', () => {
    fc.assert(
      fc.property(
        secrets({ maxLength: 239, size: 'max' }),
        fc.nat(0xffff),
        authenticators,
        (key, salt, authenticator) => {
          const hidden = hideSalted(key, salt, authenticator, SECRET);
          expect((hidden[0] ?? 0) >> 7).toBe(1);
          expect((((hidden[0] ?? 0) & 0x7f) << 8) | (hidden[1] ?? 0)).toBe(salt & 0x7fff);
          expect(hexOf(revealSalted(hidden, authenticator, SECRET))).toBe(hexOf(key));
        },
      ),
    );
    expect(
      hideSalted(
        Secret.make(32, () => undefined),
        1,
        new Uint8Array(16),
        SECRET,
      ),
    ).toHaveLength(50);
    expect(() =>
      hideSalted(
        Secret.make(240, () => undefined),
        1,
        new Uint8Array(16),
        SECRET,
      ),
    ).toThrow(RangeError);
  });

  it('gives a key or a DecodeError for any octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60, size: 'max' }), authenticators, (octets, authenticator) => {
        try {
          expect(revealSalted(octets, authenticator, SECRET).length).toBeLessThan(octets.length);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });

  it.each([
    ['without the bit of its salt', 'bad-flags', (value: Uint8Array) => value.fill(0, 0, 1)],
    ['of a wrong length', 'bad-length', (value: Uint8Array) => value.slice(1)],
    ['that is empty', 'bad-length', () => Uint8Array.of(0x80, 0)],
    ['with a length beyond its end', 'bad-value', (value: Uint8Array) => withLength(value, 48)],
    ['with 16 octets of padding', 'bad-value', (value: Uint8Array) => withLength(value, 31)],
  ] as const)('%s is malformed: %s', (_, code, change) => {
    const hidden = hideSalted(
      Secret.make(32, () => undefined),
      1,
      new Uint8Array(16),
      SECRET,
    );
    expect(() => revealSalted(change(hidden), new Uint8Array(16), SECRET)).toThrow(expect.objectContaining({ code }));
  });
});

/** Changes the length in a hidden key of 32 octets. Its first block is masked octet by octet. */
function withLength(hidden: Uint8Array, length: number): Uint8Array {
  const changed = hidden.slice();
  changed[2] = (hidden[2] ?? 0) ^ 32 ^ length;
  return changed;
}
