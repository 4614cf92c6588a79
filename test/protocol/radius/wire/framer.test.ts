import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../../../src/protocol/bytes/octets.js';
import { RadiusFramer } from '../../../../src/protocol/radius/wire/framer.js';
import { PACKETS } from './vectors.js';

const STREAM = concat(...PACKETS);

/** The packets of a stream that is cut at these places. */
function framed(stream: Uint8Array, cuts: readonly number[]) {
  const framer = new RadiusFramer();
  const packets: string[] = [];
  const places = [...cuts, stream.length].sort((a, b) => a - b);
  let from = 0;
  for (const to of places) {
    packets.push(...framer.push(stream.slice(from, to)).map(toHex));
    from = to;
  }
  return { packets, isBroken: framer.isBroken };
}

describe('RadiusFramer', () => {
  it('returns the same packets wherever the stream is cut', () => {
    const cuts = fc.array(fc.nat(STREAM.length), { maxLength: 40, size: 'max' });
    fc.assert(
      fc.property(cuts, (places) => {
        expect(framed(STREAM, places)).toEqual({ packets: PACKETS.map(toHex), isBroken: false });
      }),
    );
  });

  it.each([0, 19, 4097, 65_535])('reads nothing after a length of %i', (length) => {
    const [first = new Uint8Array()] = PACKETS;
    const bad = Uint8Array.of(1, 1, length >> 8, length & 255);
    const framer = new RadiusFramer();
    expect(framer.push(concat(first, bad, first)).map(toHex)).toEqual([toHex(first)]);
    expect(framer.isBroken).toBe(true);
    expect(framer.push(first)).toEqual([]);
  });
});
