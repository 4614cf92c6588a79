import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../../../src/protocol/bytes/address.js';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { decodePana, encodePana, type PanaAvp } from '../../../../src/protocol/pana/wire/codec.js';
import {
  decodeRelay,
  encodeRelay,
  isRelay,
  MAX_RELAYED,
  RELAY_OVERHEAD,
} from '../../../../src/protocol/pana/wire/relayed.js';
import { runs } from '../../../seed.js';

/** PCI. */
const PCI = '00000010000000010000000000000000';
/** PRY, RFC 6345 4.1 and 5: a PCI of [2001:db8:a::11]:40000, and of 192.0.2.7:40000. */
const GOLDEN = [
  [
    '2001:db8:a::11',
    `0000004400000005 0000000000000000 000a000000120000 20010db8000a00000000000000000011 9c400000 000b000000100000 ${PCI}`,
  ],
  ['192.0.2.7', `0000003800000005 0000000000000000 000a000000060000 c0000207 9c400000 000b000000100000 ${PCI}`],
].map(([address = '', hex = '']) => ({ address, hex: hex.replaceAll(' ', '') }));
/** As OpenPANA sends them: the AVP Length of PaC-Information counts the padding. */
const PADDED = GOLDEN.map(({ address, hex }) => ({
  address,
  hex: hex.replace('000a00000012', '000a00000014').replace('000a00000006', '000a00000008'),
}));

const avp = (code: number, value: Uint8Array): PanaAvp => ({ code, flags: 0, vendorId: undefined, value });
const information = fromHex('20010db8000a000000000000000000119c40');

/** A PRY of these AVPs. */
function pry(
  avps: readonly PanaAvp[],
  more: { type?: number; flags?: number; sessionId?: number; sequence?: number } = {},
) {
  return encodePana({ flags: 0, type: 5, sessionId: 0, sequence: 0, avps, ...more });
}

describe('a message of a PANA relay', () => {
  it.each(GOLDEN)('is encoded as RFC 6345 says: $address', ({ address, hex }) => {
    const octets = encodeRelay({ pac: { address, port: 40_000 }, octets: fromHex(PCI) });
    expect(toHex(octets)).toBe(hex);
    expect(octets.length - PCI.length / 2).toBeLessThanOrEqual(RELAY_OVERHEAD);
    expect(isRelay(octets)).toBe(true);
    expect(isRelay(fromHex(PCI))).toBe(false);
  });

  it.each([...GOLDEN, ...PADDED])('is decoded, with either length of PaC-Information: $address', ({ address, hex }) => {
    const { pac, octets } = decodeRelay(fromHex(hex));
    expect({ ...pac, inner: toHex(octets) }).toEqual({ address, port: 40_000, inner: PCI });
  });

  it.each([
    ['another type', pry([avp(10, information), avp(11, fromHex(PCI))], { type: 1 })],
    ['a flag', pry([avp(10, information), avp(11, fromHex(PCI))], { flags: 0x8000 })],
    ['a session', pry([avp(10, information), avp(11, fromHex(PCI))], { sessionId: 1 })],
    ['a sequence number', pry([avp(10, information), avp(11, fromHex(PCI))], { sequence: 1 })],
    ['no PaC-Information', pry([avp(11, fromHex(PCI))])],
    ['two PaC-Informations', pry([avp(10, information), avp(10, information), avp(11, fromHex(PCI))])],
    ['no Relayed-Message', pry([avp(10, information)])],
    ['a PaC-Information of seven octets', pry([avp(10, information.subarray(0, 7)), avp(11, fromHex(PCI))])],
    ['port 0', pry([avp(10, fromHex('c00002070000')), avp(11, fromHex(PCI))])],
    ['the address 0.0.0.0', pry([avp(10, fromHex('000000009c40')), avp(11, fromHex(PCI))])],
    ['the address ::', pry([avp(10, fromHex('000000000000000000000000000000009c40')), avp(11, fromHex(PCI))])],
    ['a multicast address', pry([avp(10, fromHex('ff0200000000000000000000000000019c40')), avp(11, fromHex(PCI))])],
    ['an IPv4 multicast address', pry([avp(10, fromHex('e00000019c40')), avp(11, fromHex(PCI))])],
    ['an IPv4 address in IPv6', pry([avp(10, fromHex('00000000000000000000ffffc00002079c40')), avp(11, fromHex(PCI))])],
    ['less than a header', pry([avp(10, information), avp(11, fromHex(PCI).subarray(1))])],
    ['a PRY inside', pry([avp(10, information), avp(11, pry([]))])],
  ])('is refused with %s', (_what, octets) => {
    // It is well-formed PANA, so that only this makes it wrong.
    expect(decodePana(octets)).toBeDefined();
    expect(() => decodeRelay(octets)).toThrow(DecodeError);
  });

  it('cannot be encoded for an address with a scope, or with a message that is too large', () => {
    const octets = fromHex(PCI);
    expect(() => encodeRelay({ pac: { address: 'fe80::1%eth0', port: 1 }, octets })).toThrow(RangeError);
    const largest = { pac: { address: '2001:db8::1', port: 1 }, octets: new Uint8Array(MAX_RELAYED) };
    expect(encodeRelay(largest).length).toBeLessThanOrEqual(65_507);
  });

  it('decodes to what was encoded', () => {
    const address = fc
      .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
      .filter((octets) => octets[0] !== 0 && (octets[0] ?? 0) < (octets.length === 4 ? 224 : 255));
    const message = fc.uint8Array({ minLength: 16, maxLength: 1500, size: 'max' }).filter((octets) => !isRelay(octets));
    fc.assert(
      fc.property(address, fc.integer({ min: 1, max: 65_535 }), message, (octets, port, inner) => {
        const relayed = { pac: { address: formatAddress(octets), port }, octets: inner };
        expect(decodeRelay(encodeRelay(relayed))).toEqual(relayed);
      }),
      { numRuns: runs(2_000) },
    );
  });

  it('decodes or throws DecodeError, whatever is changed', () => {
    const seeds = [...GOLDEN, ...PADDED].map(({ hex }) => fromHex(hex));
    const mutation = fc.record({ seed: fc.nat(seeds.length - 1), at: fc.nat(), octet: fc.nat(255), cut: fc.nat(60) });
    fc.assert(
      fc.property(mutation, ({ seed, at, octet, cut }) => {
        const octets = (seeds[seed] ?? new Uint8Array(0)).slice();
        octets[at % octets.length] = octet;
        try {
          decodeRelay(octets.subarray(0, octets.length - (cut < 8 ? cut : 0)));
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: runs(20_000) },
    );
  });
});
