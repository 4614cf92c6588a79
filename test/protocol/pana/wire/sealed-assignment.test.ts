import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../../../src/protocol/bytes/address.js';
import { concat, fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../../src/protocol/bytes/secret.js';
import { sealingKey } from '../../../../src/protocol/keys/kdf.js';
import { CAPABILITY, type MobilityAssignment } from '../../../../src/protocol/mip6/assignment.js';
import {
  openAssignment,
  type SealContext,
  sealAssignment,
} from '../../../../src/protocol/pana/wire/sealed-assignment.js';

const address = (text: string) => parseAddress(text) ?? new Uint8Array();
const counted = (length: number, first = 0) => Uint8Array.from({ length }, (_, i) => first + i);

const { MIP6, HOME_HA, HOA_ASSIGN, IKEV1_PSK, IKEV2_PSK, PSK_FROM_EMSK, SEALED, ECHO } = CAPABILITY;

const ASSIGNMENT: MobilityAssignment = {
  capability: MIP6 | HOME_HA | HOA_ASSIGN | IKEV2_PSK | PSK_FROM_EMSK | SEALED,
  homeAgent: address('2001:db8:1::1'),
  homeAddress: address('2001:db8:1::100'),
  prefix: { length: 64, octets: address('2001:db8:1::') },
  host: 'ha1.home.example',
  ikeIdentity: 'mn1@home.example',
  lifetime: 3600,
};

const CONTEXT: SealContext = {
  emsk: Secret.take(counted(64)),
  sessionId: concat(Uint8Array.of(13), counted(64)),
  wish: MIP6 | HOME_HA | HOA_ASSIGN | IKEV1_PSK | IKEV2_PSK | PSK_FROM_EMSK | SEALED,
};

const NONCE = counted(12, 0xa0);

/** Computed by a Python script of its own: HMAC of hashlib, AES blocks of the openssl command, GHASH in integers. */
const VECTOR = fromHex(`
  01ab3ab718ead64c4ca0a1a2a3a4a5a6a7a8a9aaab8659af4172078913437e6ab4cdf2e2d415c7d8878addd0b7e66fee
  e866065deecdb086a5afbfdd0a390af4559baab5290fe6937765b9646919f3802ad18586194af1ad594d33cbe9afecd8
  13e55e4384f2afc85c8bbf55223b1f65bc4b1f2317bf25bf2323655b0e1671ad35688c97f9de04fc4bbc0184b623c4d3
  dbddf23d40346f21d7e222fbd2b0f9bcedf56dbba3dad64104cc8d26d5547d4ab47bec9537040364d8b3f6e5c43d8a6e
  96fb26fef0218455357b460ea436157f423241f754fd9451226c0d1b11e4356fb9252b82cb7d3372f18cc747f4aff2f9
  eec590964d42eeedd70e50e3a729115a21b1baef33daa38720d432a4ba4e90a92526c59aa87d188b83b9fed498a47607
  43e39c0768
`);

const CHANGED = 'sealed assignment: it, or the request for it, was changed on the way';
const OTHER = 'sealed assignment: it belongs to another authentication';

/** Seals any content, as an AAA server with a fault would. */
function sealContent(content: Uint8Array): Uint8Array {
  const head = VECTOR.subarray(0, 21);
  const wish = Uint8Array.of(0, 0, 0, CONTEXT.wish);
  const key = sealingKey(CONTEXT.emsk);
  const cipher = key.use((octets) => createCipheriv('aes-256-gcm', octets, NONCE));
  cipher.setAAD(concat(head.subarray(0, 9), wish));
  return concat(head, cipher.update(content), cipher.final(), cipher.getAuthTag());
}

describe('a sealed assignment', () => {
  it('is the vector, and the vector opens', () => {
    expect(toHex(sealAssignment(ASSIGNMENT, CONTEXT, NONCE))).toBe(toHex(VECTOR));
    expect(openAssignment(VECTOR, CONTEXT)).toEqual(ASSIGNMENT);
  });

  it('does not show by its length how long the names in it are', () => {
    const long = { ...ASSIGNMENT, host: `${'h'.repeat(30)}.home.example`, ikeIdentity: 'someone-else@home.example' };
    expect(sealAssignment(long, CONTEXT, NONCE)).toHaveLength(VECTOR.length);
  });

  it('of any assignment opens again', () => {
    const name = fc.domain();
    fc.assert(
      fc.property(name, fc.option(name, { nil: undefined }), fc.nat(0xffff_ffff), (host, ikeIdentity, lifetime) => {
        const given = { ...ASSIGNMENT, host, ikeIdentity, lifetime };
        expect(openAssignment(sealAssignment(given, CONTEXT, NONCE), CONTEXT)).toEqual(given);
      }),
    );
  });

  it('with any bit changed does not open', () => {
    for (let bit = 0; bit < VECTOR.length * 8; bit += 1) {
      const changed = VECTOR.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(typeof openAssignment(changed, CONTEXT)).toBe('string');
    }
    const last = VECTOR.slice();
    last[300 - 8] = (last[300 - 8] ?? 0) ^ 1;
    expect(openAssignment(last, CONTEXT)).toBe(CHANGED);
  });

  it('of another length does not open, whatever follows or is cut off', () => {
    for (let length = 0; length < VECTOR.length; length += 1) {
      expect(typeof openAssignment(VECTOR.subarray(0, length), CONTEXT)).toBe('string');
    }
    expect(openAssignment(concat(VECTOR, Uint8Array.of(0)), CONTEXT)).toBe('sealed assignment: wrong length');
    expect(openAssignment(concat(VECTOR, new Uint8Array(256)), CONTEXT)).toBe(CHANGED);
    expect(openAssignment(concat(VECTOR, new Uint8Array(2048)), CONTEXT)).toBe('sealed assignment: wrong length');
  });

  it('is bound to the bits of the request, except ECHO', () => {
    for (let bit = 0; bit < 32; bit += 1) {
      const wish = (CONTEXT.wish ^ (1 << bit)) >>> 0;
      expect(openAssignment(VECTOR, { ...CONTEXT, wish })).toEqual(1 << bit === ECHO ? ASSIGNMENT : CHANGED);
    }
  });

  it('is bound to the authentication', () => {
    const emsk = Secret.take(counted(64, 1));
    const sessionId = concat(Uint8Array.of(13), counted(64, 1));
    expect(openAssignment(VECTOR, { ...CONTEXT, sessionId })).toBe(OTHER);
    expect(openAssignment(VECTOR, { ...CONTEXT, emsk })).toBe(CHANGED);
  });

  it('of a version that is unknown says so', () => {
    expect(openAssignment(concat(Uint8Array.of(2), VECTOR.subarray(1)), CONTEXT)).toBe(
      'sealed assignment: unknown version 2',
    );
  });

  it.each<[string, Uint8Array]>([
    ['no AVP', new Uint8Array(256)],
    ['an AVP that is cut off', concat(fromHex('03e98000ffff0000'), new Uint8Array(248))],
    ['an unknown AVP', concat(fromHex('7fff80000000000000007ed9'), new Uint8Array(244))],
    ['padding that is not zero', concat(new Uint8Array(255), Uint8Array.of(1))],
    ['no home agent', concat(fromHex('03e98000000400000000 7ed900000001'), new Uint8Array(240))],
    ['no capability', concat(fromHex('03ea80000012000000007ed900022001'), new Uint8Array(240))],
  ])('with %s in it is refused', (_what, content) => {
    expect(openAssignment(sealContent(content), CONTEXT)).toBe('sealed assignment: its content is invalid');
  });

  it('names what is wrong with its addresses', () => {
    const loopback = { ...ASSIGNMENT, homeAgent: address('::1') };
    expect(openAssignment(sealAssignment(loopback, CONTEXT, NONCE), CONTEXT)).toMatch(/^home agent: /);
  });

  it('of any octets gives a reason, and never an assignment', () => {
    const any = fc.uint8Array({ maxLength: 600, size: 'max' });
    fc.assert(fc.property(any, (octets) => typeof openAssignment(octets, CONTEXT) === 'string'));
    const content = fc.uint8Array({ minLength: 256, maxLength: 256, size: 'max' });
    fc.assert(fc.property(content, (octets) => typeof openAssignment(sealContent(octets), CONTEXT) === 'string'));
  });
});
