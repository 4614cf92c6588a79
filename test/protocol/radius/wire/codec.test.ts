import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { toHex } from '../../../../src/protocol/bytes/octets.js';
import {
  CODE,
  decodeRadius,
  encodeRadius,
  lengthOf,
  MAX_PACKET,
  type RadiusPacket,
} from '../../../../src/protocol/radius/wire/codec.js';
import { runs } from '../../../seed.js';
import { NAMED, PACKETS, STATUS, TELNET } from './vectors.js';

const ALL = [...PACKETS, TELNET.request, TELNET.accept, STATUS.request, STATUS.accept];

describe('RADIUS packets of FreeRADIUS, eapol_test, radclient and the RFCs', () => {
  it('decode and encode to the same octets', () => {
    for (const octets of ALL) {
      const packet = decodeRadius(octets);
      expect(toHex(encodeRadius(packet))).toBe(toHex(octets));
      expect(lengthOf(packet)).toBe(octets.length);
    }
  });

  it('have the codes of their names', () => {
    for (const { names, packets } of NAMED) {
      expect(names.map((name) => CODE[name])).toEqual(packets.map((octets) => decodeRadius(octets).code));
    }
  });

  it('have the fields of the example in RFC 2865 7.1', () => {
    const { code, identifier, authenticator, attributes } = decodeRadius(TELNET.accept);
    expect([code, identifier, toHex(authenticator)]).toEqual([2, 0, '86fe220e7624ba2a1005f6bf9b55e0b2']);
    expect(attributes.map(({ type, value }) => [type, toHex(value)])).toEqual([
      [6, '00000001'],
      [15, '00000000'],
      [14, 'c0a80103'],
    ]);
  });

  it('are rejected at every strict prefix', () => {
    for (const octets of ALL) {
      for (let length = 0; length < octets.length; length += 1) {
        expect(() => decodeRadius(octets.subarray(0, length))).toThrow(DecodeError);
      }
    }
  });

  it('are rejected when the length cuts an attribute, and decode when it is between two', () => {
    for (const octets of ALL) {
      const ends = new Set([20]);
      let at = 20;
      for (const { value } of decodeRadius(octets).attributes) {
        at += 2 + value.length;
        ends.add(at);
      }
      for (let length = 0; length <= octets.length; length += 1) {
        const cut = Uint8Array.from(octets);
        new DataView(cut.buffer).setUint16(2, length);
        if (ends.has(length)) expect(lengthOf(decodeRadius(cut))).toBe(length);
        else expect(() => decodeRadius(cut)).toThrow(DecodeError);
      }
    }
  });

  it('may be followed by padding, which is not read', () => {
    const padded = Uint8Array.of(...TELNET.request, 1, 2, 3);
    expect(decodeRadius(padded)).toEqual(decodeRadius(TELNET.request));
  });

  it('share no memory with the octets that they are decoded from', () => {
    const octets = Buffer.from(TELNET.request);
    const packet = decodeRadius(octets);
    const before = JSON.stringify(packet);
    octets.fill(0);
    expect(JSON.stringify(packet)).toBe(before);
  });
});

const octetsOf = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' });
const packets: fc.Arbitrary<RadiusPacket> = fc.record({
  code: fc.nat(255),
  identifier: fc.nat(255),
  authenticator: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  attributes: fc.array(fc.record({ type: fc.nat(255), value: octetsOf(253) }), { maxLength: 15, size: 'max' }),
});

describe('decodeRadius and encodeRadius', () => {
  it('keep all packets', () => {
    fc.assert(
      fc.property(packets, (packet) => {
        expect(decodeRadius(encodeRadius(packet))).toEqual(packet);
      }),
    );
  });

  it('give a packet or a DecodeError for any octets', () => {
    const header = fc.tuple(octetsOf(80), fc.nat(100)).map(([octets, length]) => {
      if (octets.length >= 4) octets.set([0, length], 2);
      return octets;
    });
    fc.assert(
      fc.property(fc.oneof(octetsOf(100), header), (octets) => {
        try {
          expect(lengthOf(decodeRadius(octets))).toBe((octets[2] ?? 0) * 256 + (octets[3] ?? 0));
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: runs(2_000) },
    );
  });

  it('have limits: 4096 octets, values of 253, an authenticator of 16', () => {
    const packet = decodeRadius(TELNET.accept);
    const value = (length: number) => ({ type: 1, value: new Uint8Array(length) });
    const filled = [...Array.from({ length: 15 }, () => value(253)), value(249)];
    expect(encodeRadius({ ...packet, attributes: filled })).toHaveLength(MAX_PACKET);
    expect(decodeRadius(encodeRadius({ ...packet, attributes: filled })).attributes).toHaveLength(16);
    expect(() => encodeRadius({ ...packet, attributes: [...filled, value(0)] })).toThrow(
      'a RADIUS packet of 4098 octets',
    );
    expect(() => encodeRadius({ ...packet, attributes: [value(254)] })).toThrow('attribute 1 of 254 octets');
    expect(() => encodeRadius({ ...packet, authenticator: new Uint8Array(15) })).toThrow(RangeError);
    const long = new Uint8Array(5000);
    long.set([1, 0, 0x10, 0x01]);
    expect(() => decodeRadius(long)).toThrow('Length 4097 at octet 2: bad-length');
  });
});
