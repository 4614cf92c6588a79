import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/protocol/bytes/decode-error.js';
import { concat, fromHex, toHex } from '../../../src/protocol/bytes/octets.js';
import { decodeEap, encodeEap } from '../../../src/protocol/eap/codec.js';
import { decodeEapTls, type EapTlsData, encodeEapTls } from '../../../src/protocol/eap/eap-tls.js';
import { cutFlight, FlightBuffer, MAX_FLIGHT } from '../../../src/protocol/eap/fragments.js';
import { decodePana } from '../../../src/protocol/pana/wire/codec.js';
import { readPana } from '../../../src/protocol/pana/wire/dictionary.js';
import { RECORDINGS, recording } from '../pana/wire/vectors.js';

const RUNS = 100_000;

/** EAP packets that FreeRADIUS and wpa_supplicant's method exchanged through OpenPANA. */
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

describe('EAP', () => {
  it('has enough recordings', () => {
    expect(PACKETS.length).toBeGreaterThan(20);
  });

  it('packets of others decode and encode back to the same octets, and so does the EAP-TLS in them', () => {
    for (const octets of PACKETS) {
      const packet = decodeEap(octets);
      expect(toHex(encodeEap(packet))).toBe(toHex(octets));
      if (packet.type === 13) expect(toHex(encodeEapTls(decodeEapTls(packet.data)))).toBe(toHex(packet.data));
    }
  });

  it('is refused at every strict prefix', () => {
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

  it.each(['0107000301', '01070004', '030700050d', '0407000500'])('%s is refused', (hex) => {
    expect(() => decodeEap(fromHex(hex))).toThrow(DecodeError);
  });

  it('any octets give a packet or DecodeError', () => {
    const mutated = fc
      .tuple(fc.constantFrom(...PACKETS), fc.nat(), fc.integer({ min: 0, max: 255 }))
      .map(([packet, at, value]) => {
        const copy = packet.slice();
        copy[at % copy.length] = value;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated), (octets) => {
        isDecodeError(() => {
          const { type, data } = decodeEap(octets);
          if (type === 13) isDecodeError(() => decodeEapTls(data));
        });
      }),
      { numRuns: RUNS },
    );
  });

  it('comes back from its octets as it was', () => {
    const packet = fc.record({
      code: fc.constantFrom(1 as const, 2 as const),
      identifier: fc.integer({ min: 0, max: 255 }),
      type: fc.integer({ min: 0, max: 255 }),
      data: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(packet, (given) => {
        expect(decodeEap(encodeEap(given))).toEqual(given);
      }),
    );
  });
});

describe('a flight of TLS', () => {
  const mtus = fc.integer({ min: 64, max: 2000 });

  it('survives being cut into fragments, none of which is longer than the MTU', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), mtus, (flight, mtu) => {
        const fragments = cutFlight(flight, mtu);
        const buffer = new FlightBuffer();
        const packets = fragments.map((data) =>
          encodeEap({ code: 1, identifier: 0, type: 13, data: encodeEapTls(data) }),
        );
        expect(Math.max(...packets.map(({ length }) => length))).toBeLessThanOrEqual(mtu);
        const outcomes = packets.map((packet) => buffer.add(decodeEapTls(decodeEap(packet).data)));
        expect(outcomes.slice(0, -1).every((outcome) => outcome === 'more')).toBe(true);
        expect(outcomes.at(-1)).toEqual({ flight });
      }),
    );
  });

  it('has its length in the first fragment only, and none if it fits one packet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), mtus, (flight, mtu) => {
        const [first, ...rest] = cutFlight(flight, mtu);
        expect(first?.total).toBe(rest.length > 0 ? flight.length : undefined);
        expect(rest.every(({ total }) => total === undefined)).toBe(true);
      }),
    );
  });

  it('never grows past its limit, whatever fragments come', () => {
    const fragment: fc.Arbitrary<EapTlsData> = fc.record({
      start: fc.constant(false),
      more: fc.boolean(),
      total: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
      fragment: fc.integer({ min: 0, max: 20_000 }).map((length) => new Uint8Array(length)),
    });
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 12 }), (fragments) => {
        const buffer = new FlightBuffer();
        for (const data of fragments) {
          const outcome = buffer.add(data);
          if (typeof outcome === 'object') expect(outcome.flight.length).toBeLessThanOrEqual(MAX_FLIGHT);
          else if (outcome !== 'more') return;
        }
      }),
    );
  });

  it('is put together from fragments of another sender, which repeats the length in each', () => {
    const buffer = new FlightBuffer();
    const part = (at: number, more: boolean) => ({
      start: false,
      more,
      total: 6,
      fragment: Uint8Array.of(at, at + 1, at + 2),
    });
    expect(buffer.add(part(0, true))).toBe('more');
    expect(buffer.add(part(3, false))).toEqual({ flight: concat(Uint8Array.of(0, 1, 2), Uint8Array.of(3, 4, 5)) });
  });
});

describe('what cannot be a packet', () => {
  it('is not made: more than 65,535 octets, and a flight longer than announced fits no fragment', () => {
    const packet = { code: 1, identifier: 1, type: 13, data: new Uint8Array(65_531) } as const;
    expect(() => encodeEap(packet)).toThrow(RangeError);
    expect(encodeEap({ ...packet, data: packet.data.subarray(1) })).toHaveLength(65_535);
  });
});

describe('a flight cut into fragments', () => {
  it('of fragments holds on to nothing of the messages that they came in', () => {
    const buffer = new FlightBuffer();
    const message = Uint8Array.of(1, 2, 3, 4);
    const more = { start: false, more: true, total: undefined };
    expect(buffer.add({ ...more, fragment: message.subarray(1, 3) })).toBe('more');
    message.fill(0);
    expect(buffer.add({ ...more, more: false, fragment: Uint8Array.of(9) })).toEqual({
      flight: Uint8Array.of(2, 3, 9),
    });
  });

  it('fits its packets, announces its length once and comes together again', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 4000, size: 'max' }),
        fc.integer({ min: 64, max: 1400 }),
        (flight, mtu) => {
          const parts = cutFlight(flight, mtu);
          const buffer = new FlightBuffer();
          const added = parts.map((part) => buffer.add(part));
          expect(added.slice(0, -1).every((each) => each === 'more')).toBe(true);
          expect(added.at(-1)).toEqual({ flight });
          for (const part of parts) expect(encodeEapTls(part).length + 5).toBeLessThanOrEqual(mtu);
          const announced = parts.map(({ total }) => total);
          expect(announced).toEqual(
            parts.length === 1 ? [undefined] : [flight.length, ...parts.slice(1).map(() => undefined)],
          );
        },
      ),
    );
  });
});
