import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { type Algorithms, algorithmsOf } from '../../../../src/protocol/pana/wire/algorithms.js';
import { decodePana } from '../../../../src/protocol/pana/wire/codec.js';
import {
  computeAuth,
  type Protection,
  panaAuthKey,
  signInPlace,
  verifyAuth,
} from '../../../../src/protocol/pana/wire/keys.js';
import { RECORDINGS, recording } from './vectors.js';

function algorithms(prf: number, integrity: number): Algorithms {
  const pair = algorithmsOf(prf, integrity);
  if (!pair) throw new Error('not implemented');
  return pair;
}

describe.each(RECORDINGS)('the session %s recorded from OpenPANA', (name) => {
  const { keys, messages } = recording(name);
  const sha1 = algorithms(2, 7);
  const protections = keys.map((key): Protection => {
    const input = {
      msk: Secret.take(fromHex(key.msk)),
      iPar: fromHex(key.i_par),
      iPan: fromHex(key.i_pan),
      pacNonce: fromHex(key.pac_nonce),
      paaNonce: fromHex(key.paa_nonce),
      keyId: Number.parseInt(key.key_id, 16),
    };
    return { integrity: sha1.integrity, key: panaAuthKey(sha1, input) };
  });

  it('has the PANA_AUTH_KEYs derived from its MSKs', () => {
    expect(protections.map(({ key }) => toHex(key.octets()))).toEqual(keys.map((key) => key.pana_auth_key));
  });

  it('has AUTH values computed with these keys, each message with the key of its run', () => {
    const signed = messages.filter((message) => message.key_index !== null);
    expect(signed.length).toBeGreaterThan(3);
    for (const { hex, auth, key_index } of signed) {
      const octets = fromHex(hex);
      for (const [i, protection] of protections.entries()) expect(verifyAuth(protection, octets)).toBe(i === key_index);
      const own = protections[key_index ?? -1];
      expect(own && toHex(computeAuth(own, octets))).toBe(auth);
    }
  });

  it('does not verify when an octet is changed or AUTH is missing', () => {
    for (const { hex, key_index } of messages) {
      const protection = protections[key_index ?? 0];
      if (!protection) throw new Error('no key');
      if (key_index === null) expect(verifyAuth(protection, fromHex(hex))).toBe(false);
      const octets = fromHex(hex);
      octets[12] = (octets[12] ?? 0) ^ 1;
      expect(verifyAuth(protection, octets)).toBe(false);
    }
  });
});

describe('PANA_AUTH_KEY and AUTH', () => {
  const msk = Secret.take(Uint8Array.from({ length: 64 }, (_, i) => i));
  const parComplete = (authLength: number) =>
    concat(
      fromHex(authLength === 20 ? '0000005c' : '00000058'),
      fromHex('a000000211223344a0b0c0d2'),
      fromHex('000700000004000000000000'),
      fromHex('000200000004000003070004'),
      fromHex('000400000004000000000001'),
      fromHex('000800000004000000000e10'),
      fromHex(`0001000000${authLength.toString(16).padStart(2, '0')}0000`),
      new Uint8Array(authLength),
    );

  it.each([
    {
      prf: 2,
      integrity: 7,
      nonce: 20,
      iPar: '00000028c000000211223344a0b0c0d0000600000004000000000002000300000004000000000007',
      iPan: '000000284000000211223344a0b0c0d0000600000004000000000002000300000004000000000007',
      key: 'fad218f49a1f48689f9119a282a31f392000c9c3',
      auth: 'bffe3258a6d21312122ff7c65495b05d7e9a7fa5',
    },
    {
      prf: 5,
      integrity: 12,
      nonce: 32,
      iPar: '00000028c000000211223344a0b0c0d000060000000400000000000500030000000400000000000c',
      iPan: '000000284000000211223344a0b0c0d000060000000400000000000500030000000400000000000c',
      key: 'fea968d07f8cc9fdca013263b52a020c0a3a3b7bd28d7cae1cb0bd5244d111cd',
      auth: 'cf9c41ea062fd5f940609e0c8532aa48',
    },
  ])(
    'match the computed vector of PRF $prf and integrity $integrity',
    ({ prf, integrity, nonce, iPar, iPan, key, auth }) => {
      const pair = algorithms(prf, integrity);
      const input = {
        msk,
        iPar: fromHex(iPar),
        iPan: fromHex(iPan),
        pacNonce: new Uint8Array(nonce).fill(0x50),
        paaNonce: new Uint8Array(nonce).fill(0xa5),
        keyId: 1,
      };
      const protection = { integrity: pair.integrity, key: panaAuthKey(pair, input) };
      expect(toHex(protection.key.octets())).toBe(key);
      const octets = parComplete(pair.integrity.tagLength);
      expect(decodePana(octets).avps.map((avp) => avp.code)).toEqual([7, 2, 4, 8, 1]);
      expect(toHex(computeAuth(protection, octets))).toBe(auth);
      expect(verifyAuth(protection, signInPlace(protection, octets))).toBe(true);
    },
  );

  it.each([
    { prf: 2, integrity: 7, length: 20 },
    { prf: 5, integrity: 12, length: 16 },
  ])('reject AUTH with another length or code although its MAC is right, for integrity $integrity', (given) => {
    const { integrity } = algorithms(given.prf, given.integrity);
    const protection = { integrity, key: Secret.take(new Uint8Array(integrity.keyLength).fill(7)) };
    for (let length = 0; length <= 0xff; length += 1) {
      const octets = parComplete(given.length);
      octets[octets.length - given.length - 3] = length;
      expect(verifyAuth(protection, signInPlace(protection, octets)), `length ${length}`).toBe(length === given.length);
    }
    const other = parComplete(given.length);
    other[other.length - given.length - 7] = 2;
    expect(verifyAuth(protection, signInPlace(protection, other))).toBe(false);
  });
});
