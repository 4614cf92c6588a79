import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import { decodePana, encodePana, type PanaMessage } from '../../../../src/protocol/pana/wire/codec.js';
import { runs } from '../../../seed.js';
import { RECORDINGS, recording } from './vectors.js';

const seeds = RECORDINGS.flatMap((name) => recording(name).messages.map(({ hex }) => fromHex(hex)));

describe('PANA messages recorded from OpenPANA', () => {
  it.each(RECORDINGS)('decode and encode to the same octets: %s', (name) => {
    const { messages } = recording(name);
    expect(messages.length).toBeGreaterThan(10);
    for (const { hex } of messages) expect(toHex(encodePana(decodePana(fromHex(hex))))).toBe(hex);
  });

  it('are rejected at every strict prefix', () => {
    for (const octets of seeds) {
      for (let length = 0; length < octets.length; length += 1) {
        expect(() => decodePana(octets.subarray(0, length))).toThrow(DecodeError);
      }
    }
  });

  it('are rejected with one octet too many', () => {
    for (const octets of seeds) expect(() => decodePana(Uint8Array.of(...octets, 0))).toThrow(DecodeError);
  });
});

describe('decodePana', () => {
  const decodes = (octets: Uint8Array) => {
    try {
      decodePana(octets);
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
    }
  };

  it('returns a message or throws DecodeError for random octets', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200, size: 'max' }), decodes), { numRuns: runs(50_000) });
  });

  it('returns a message or throws DecodeError for mutated recordings', () => {
    const mutation = fc.record({ seed: fc.nat(seeds.length - 1), at: fc.nat(), octet: fc.nat(255), cut: fc.nat(40) });
    const mutate = ({ seed, at, octet, cut }: { seed: number; at: number; octet: number; cut: number }) => {
      const octets = (seeds[seed] ?? new Uint8Array(0)).slice();
      octets[at % Math.min(octets.length, 64)] = octet;
      return octets.subarray(0, octets.length - (cut < 8 ? cut : 0));
    };
    fc.assert(
      fc.property(mutation, (m) => decodes(mutate(m))),
      { numRuns: runs(50_000) },
    );
  });
});

describe('encodePana and decodePana', () => {
  const u16 = fc.nat(0xffff);
  const u32 = fc.nat(0xffff_ffff);
  const avp = fc.record({
    code: u16,
    flags: fc.nat(0x7fff),
    vendorId: fc.option(u32, { nil: undefined }),
    value: fc.uint8Array({ maxLength: 40, size: 'max' }),
  });
  const message: fc.Arbitrary<PanaMessage> = fc.record({
    flags: u16,
    type: u16,
    sessionId: u32,
    sequence: u32,
    avps: fc.array(avp, { maxLength: 12, size: 'max' }),
  });

  it('are inverse for any message', () => {
    const same = fc.property(message, (value) => {
      expect(decodePana(encodePana(value))).toEqual(value);
    });
    fc.assert(same, { numRuns: runs(2_000) });
  });

  it('do not encode a message of more than 65,535 octets', () => {
    const value = new Uint8Array(60_000);
    const avps = [value, value].map((octets) => ({ code: 2, flags: 0, vendorId: undefined, value: octets }));
    expect(() => encodePana({ flags: 0, type: 2, sessionId: 1, sequence: 1, avps })).toThrow(RangeError);
  });

  it('do not decode a message of more than 128 AVPs', () => {
    const avps = Array.from({ length: 129 }, () => ({
      code: 2,
      flags: 0,
      vendorId: undefined,
      value: new Uint8Array(0),
    }));
    const octets = encodePana({ flags: 0, type: 2, sessionId: 1, sequence: 1, avps });
    expect(() => decodePana(octets)).toThrow(expect.objectContaining({ code: 'too-many' }));
  });
});
