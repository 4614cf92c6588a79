import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/protocol/bytes/decode-error.js';
import { fromHex, toHex } from '../../../src/protocol/bytes/octets.js';
import { decodeEap, encodeEap } from '../../../src/protocol/eap/codec.js';
import { decodeEapTls, encodeEapTls } from '../../../src/protocol/eap/eap-tls.js';
import { decodePana } from '../../../src/protocol/pana/wire/codec.js';
import { readPana } from '../../../src/protocol/pana/wire/dictionary.js';
import { runs } from '../../seed.js';
import { RECORDINGS, recording } from '../pana/wire/vectors.js';

const RUNS = 100_000;

/** EAP packets between FreeRADIUS and the EAP method of wpa_supplicant, carried by OpenPANA. */
const PACKETS = RECORDINGS.flatMap((name) =>
  recording(name).messages.flatMap(({ hex }) => {
    const values = readPana(decodePana(fromHex(hex)));
    if (typeof values === 'string') return [];
    return values['EAP-Payload'] ? [values['EAP-Payload']] : [];
  }),
);

function isDecodeError(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
}

describe('EAP packets', () => {
  it('are recorded in sufficient number', () => {
    expect(PACKETS.length).toBeGreaterThan(20);
  });

  it('recorded from FreeRADIUS and wpa_supplicant encode to the same octets, and so does their EAP-TLS data', () => {
    for (const octets of PACKETS) {
      const packet = decodeEap(octets);
      expect(toHex(encodeEap(packet))).toBe(toHex(octets));
      if (packet.type === 13) expect(toHex(encodeEapTls(decodeEapTls(packet.data)))).toBe(toHex(packet.data));
    }
  });

  it('are rejected at every strict prefix', () => {
    for (const octets of PACKETS) {
      for (let length = 0; length < octets.length; length += 1) {
        expect(() => decodeEap(octets.slice(0, length))).toThrow(DecodeError);
      }
    }
  });

  it('may be followed by padding of the lower layer', () => {
    expect(decodeEap(fromHex('0307000400000000'))).toEqual({
      code: 3,
      identifier: 7,
      type: undefined,
      data: new Uint8Array(0),
    });
  });

  it.each(['0107000301', '01070004', '030700050d', '0407000500'])('with the octets %s are rejected', (hex) => {
    expect(() => decodeEap(fromHex(hex))).toThrow(DecodeError);
  });

  it('are decoded or rejected with DecodeError for any octets', () => {
    const mutated = fc
      .tuple(fc.constantFrom(...PACKETS), fc.nat(), fc.integer({ min: 0, max: 255 }))
      .map(([packet, at, value]) => {
        const copy = packet.slice();
        copy[at % copy.length] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64, size: 'max' }), mutated), (octets) => {
        isDecodeError(() => {
          const { type, data } = decodeEap(octets);
          if (type === 13) isDecodeError(() => decodeEapTls(data));
        });
      }),
      { numRuns: runs(RUNS) },
    );
  });

  it('decode to what was encoded', () => {
    const packet = fc.record({
      code: fc.constantFrom(1 as const, 2 as const),
      identifier: fc.integer({ min: 0, max: 255 }),
      type: fc.integer({ min: 0, max: 255 }),
      data: fc.uint8Array({ maxLength: 300, size: 'max' }),
    });
    fc.assert(
      fc.property(packet, (given) => {
        expect(decodeEap(encodeEap(given))).toEqual(given);
      }),
    );
  });
});

describe('encodeEap', () => {
  it('throws RangeError for more than 65,535 octets', () => {
    const packet = { code: 1, identifier: 1, type: 13, data: new Uint8Array(65_531) } as const;
    expect(() => encodeEap(packet)).toThrow(RangeError);
    expect(encodeEap({ ...packet, data: packet.data.subarray(1) })).toHaveLength(65_535);
  });
});
