import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { equalOctets, fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import {
  AVP_FLAG,
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  FLAG,
  lengthOf,
  MAX_AVPS,
  messageLength,
  salvageDiameter,
} from '../../../../src/protocol/diameter/wire/codec.js';
import { DEA, DER } from '../../../../src/protocol/diameter/wire/commands.js';
import { runs } from '../../../seed.js';
import { OCTETS, VECTORS, vector } from './vectors.js';

describe('Diameter messages recorded from freeDiameter', () => {
  it.each(VECTORS.map((each, i) => [`${i} ${each.message}`, each] as const))(
    'decode and encode to the same octets: %s',
    (_, { hex, avps, app }) => {
      const message = decodeDiameter(fromHex(hex));
      expect(message.applicationId).toBe(app);
      expect(
        message.avps.map(({ code, flags, vendorId, data }) => ({
          code,
          flags: (flags | (vendorId === undefined ? 0 : AVP_FLAG.V)).toString(16).padStart(2, '0'),
          vendor: vendorId ?? 0,
          data: toHex(data),
        })),
      ).toEqual(avps);
      expect(toHex(encodeDiameter(message))).toBe(hex);
    },
  );

  it('are rejected at every strict prefix', () => {
    for (const octets of OCTETS) {
      for (let length = 0; length < octets.length; length += 1) {
        expect(() => decodeDiameter(octets.subarray(0, length))).toThrow(DecodeError);
      }
    }
  });

  it('decode when they are cut between two AVPs with the length adjusted, and are rejected when cut elsewhere', () => {
    for (const octets of OCTETS) {
      const { avps } = decodeDiameter(octets);
      const ends = new Map([[20, 0]]);
      for (let count = 1; count <= avps.length; count += 1) ends.set(lengthOf({ avps: avps.slice(0, count) }), count);
      for (let length = 20; length < octets.length; length += 4) {
        const count = ends.get(length);
        const expected = count === undefined ? undefined : avps.slice(0, count);
        expect(decodes(withLength(octets.slice(0, length), length))?.avps).toEqual(expected);
      }
    }
  });

  it('are rejected with one octet too many', () => {
    for (const octets of OCTETS) expect(() => decodeDiameter(Uint8Array.of(...octets, 0))).toThrow(DecodeError);
  });

  it('are encoded into a buffer of exactly the length that lengthOf gives', () => {
    for (let length = 0; length < 9; length += 1) {
      for (const vendorId of [undefined, 32473]) {
        const avps = [{ code: 1, flags: 0, vendorId, data: new Uint8Array(length).fill(7) }];
        const octets = encodeDiameter({ ...decodeDiameter(vector('DER')), avps });
        const size = 20 + (vendorId === undefined ? 8 : 12) + Math.ceil(length / 4) * 4;
        expect([octets.length, octets.buffer.byteLength, lengthOf({ avps })]).toEqual([size, size, size]);
      }
    }
  });

  it('share no memory with the octets that they are decoded from', () => {
    const octets = Buffer.from(vector('DER'));
    const message = decodeDiameter(octets);
    const before = message.avps.map(({ data }) => toHex(data));
    octets.fill(0);
    expect(message.avps.map(({ data }) => toHex(data))).toEqual(before);
  });
});

describe('decodeDiameter', () => {
  it('returns a message or throws DecodeError for random octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200, size: 'max' }), (octets) => void decodes(octets)),
      { numRuns: runs(30_000) },
    );
  });

  it('returns a message or throws DecodeError for random AVPs after a valid header', () => {
    const body = fc.uint8Array({ maxLength: 200, size: 'max' });
    const behindHeader = fc.property(body, (avps) => {
      const octets = new Uint8Array(20 + avps.length);
      octets.set(vector('DER').subarray(0, 20));
      octets.set(avps, 20);
      decodes(withLength(octets, octets.length));
    });
    fc.assert(behindHeader, { numRuns: runs(30_000) });
  });

  it('returns a message that encodes again, or throws DecodeError, for mutated recordings', () => {
    const mutation = fc.record({
      seed: fc.nat(OCTETS.length - 1),
      changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    });
    const mutated = fc.property(mutation, ({ seed, changes }) => {
      const octets = (OCTETS[seed] ?? new Uint8Array(0)).slice();
      for (const [at, octet] of changes) octets[at % octets.length] = octet;
      const message = decodes(octets);
      // A decoded message encodes to the same length and decodes again, whatever the padding was.
      if (!message) return true;
      const again = encodeDiameter(message);
      return again.length === octets.length && equalOctets(encodeDiameter(decodeDiameter(again)), again);
    });
    fc.assert(mutated, { numRuns: runs(60_000) });
  });
});

describe('a Diameter message', () => {
  const u32 = fc.nat(0xffff_ffff);
  const avp = fc.record({
    code: u32,
    flags: fc.nat(0x7f),
    vendorId: fc.option(u32, { nil: undefined }),
    data: fc.uint8Array({ maxLength: 40, size: 'max' }),
  });
  const message: fc.Arbitrary<DiameterMessage> = fc.record({
    flags: fc.nat(0xff),
    commandCode: fc.nat(0xff_ffff),
    applicationId: u32,
    hopByHop: u32,
    endToEnd: u32,
    avps: fc.array(avp, { maxLength: 12, size: 'max' }),
  });

  it('decodes to what was encoded, with reserved bits and unknown AVPs', () => {
    const same = fc.property(message, (value) => {
      expect(decodeDiameter(encodeDiameter(value))).toEqual(value);
    });
    fc.assert(same, { numRuns: runs(2_000) });
  });

  it('has its length in the first four octets', () => {
    expect(messageLength(vector('CER'))).toBe(vector('CER').length);
    expect(messageLength(Uint8Array.of(1, 0, 0))).toBeUndefined();
  });

  it('is rejected with more than MAX_AVPS AVPs', () => {
    const avps = Array.from({ length: MAX_AVPS + 1 }, () => ({ ...empty, code: 1 }));
    const octets = encodeDiameter({ ...header, avps });
    expect(() => decodeDiameter(octets)).toThrow(expect.objectContaining({ code: 'too-many' }));
    expect(salvageDiameter(octets)).toMatchObject({ fault: { code: 'too-many' }, faultyAvp: undefined });
  });

  it('is not encoded when it exceeds the length field', () => {
    const data = new Uint8Array(0xff_ffff - 20);
    expect(() => encodeDiameter({ ...header, avps: [{ ...empty, data }] })).toThrow(RangeError);
  });

  it('is rejected with another version or a wrong length', () => {
    const octets = vector('DWR');
    expect(() => decodeDiameter(changed(octets, 0, 2))).toThrow(expect.objectContaining({ code: 'bad-version' }));
    expect(() => decodeDiameter(withLength(octets.slice(), 16))).toThrow(
      expect.objectContaining({ code: 'bad-length' }),
    );
    expect(() => decodeDiameter(withLength(octets.slice(), octets.length + 1))).toThrow(
      expect.objectContaining({ code: 'bad-length' }),
    );
  });
});

describe('salvageDiameter', () => {
  it('returns the header, the AVPs before the fault, and the code of the faulty AVP', () => {
    const der = decodeDiameter(vector('DER'));
    const octets = encodeDiameter({ ...der, avps: der.avps.slice(0, 2) });
    const second = 20 + 8 + Math.ceil((der.avps[0]?.data.length ?? 0) / 4) * 4;
    // AVP Length beyond the end of the message.
    octets[second + 5] = 0xff;
    expect(salvageDiameter(octets)).toMatchObject({
      header: { commandCode: DER.code, hopByHop: der.hopByHop, endToEnd: der.endToEnd, flags: der.flags },
      avps: [der.avps[0]],
      fault: { code: 'truncated' },
      faultyAvp: { code: der.avps[1]?.code, vendorId: undefined },
    });
  });

  it('returns the vendor of the faulty AVP', () => {
    const octets = encodeDiameter({ ...header, avps: [{ ...empty, code: 7, vendorId: 9 }] });
    octets[20 + 7] = 11;
    expect(salvageDiameter(octets)?.faultyAvp).toMatchObject({ code: 7, vendorId: 9 });
  });

  it('returns no faulty AVP when even its header is incomplete', () => {
    const octets = withLength(new Uint8Array([...encodeDiameter({ ...header, avps: [] }), 0, 0, 0, 1]), 24);
    expect(salvageDiameter(octets)).toMatchObject({ faultyAvp: undefined, fault: { code: 'truncated' } });
  });

  it('returns the header when the version or length is wrong', () => {
    const octets = vector('DWR');
    expect(salvageDiameter(changed(octets, 0, 2))).toMatchObject({ fault: { code: 'bad-version' } });
    expect(salvageDiameter(withLength(octets.slice(), 16))).toMatchObject({ fault: { code: 'bad-length' } });
  });

  it('returns nothing without a whole header, or when nothing is wrong', () => {
    expect(salvageDiameter(vector('DWR').subarray(0, 19))).toBeUndefined();
    expect(salvageDiameter(vector('DWR'))).toBeUndefined();
  });
});

const header = { flags: FLAG.P, commandCode: DEA.code, applicationId: 5, hopByHop: 1, endToEnd: 2 };
const empty = { code: 0, flags: 0, vendorId: undefined, data: new Uint8Array(0) };

function decodes(octets: Uint8Array): DiameterMessage | undefined {
  try {
    return decodeDiameter(octets);
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
    return undefined;
  }
}

function changed(octets: Uint8Array, at: number, octet: number): Uint8Array {
  const copy = octets.slice();
  copy[at] = octet;
  return copy;
}

function withLength(octets: Uint8Array, length: number): Uint8Array {
  octets.set([length >>> 16, (length >>> 8) & 0xff, length & 0xff], 1);
  return octets;
}
