import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DiameterFramer, MAX_MESSAGE } from '../../../../src/protocol/diameter/wire/framer.js';

/** A message of this length: a header, then increasing octets. */
function messageOf(length: number): Uint8Array {
  const octets = Uint8Array.from({ length }, (_, i) => i & 0xff);
  octets.set([1, length >> 16, (length >> 8) & 0xff, length & 0xff]);
  return octets;
}

/** The messages that the framer returns when the stream is cut at these places. */
function framed(stream: Uint8Array, cuts: readonly number[]) {
  const framer = new DiameterFramer();
  const messages: string[] = [];
  const places = [...new Set([0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length])].sort(
    (a, b) => a - b,
  );
  for (let i = 1; i < places.length; i += 1) {
    // Each chunk has its own memory, like those of a socket.
    const chunk = Uint8Array.from(stream.subarray(places[i - 1], places[i]));
    for (const message of framer.push(chunk)) messages.push(Buffer.from(message).toString('hex'));
  }
  return { messages, broken: framer.broken };
}

const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex');
const lengths = fc.array(
  fc.oneof(
    fc.constant(20),
    fc.integer({ min: 5, max: 100 }).map((words) => words * 4),
    fc.constant(4096),
  ),
  { maxLength: 12, size: 'max' },
);

describe('DiameterFramer', () => {
  it('returns the same messages wherever the stream is cut', () => {
    fc.assert(
      fc.property(lengths, fc.array(fc.nat()), (sizes, cuts) => {
        const sent = sizes.map(messageOf);
        const { messages, broken } = framed(Buffer.concat(sent), cuts);
        expect(messages).toEqual(sent.map(hex));
        expect(broken).toBeUndefined();
      }),
      { verbose: true },
    );
  });

  it('returns the same messages octet by octet, and with one cut at any place', () => {
    const sent = [messageOf(24), messageOf(20), messageOf(28)];
    const stream = Buffer.concat(sent);
    const all = Array.from({ length: stream.length }, (_, i) => i);
    expect(framed(stream, all).messages).toEqual(sent.map(hex));
    for (const cut of all) expect(framed(stream, [cut]).messages, `cut at ${cut}`).toEqual(sent.map(hex));
  });

  it('accepts a message of MAX_MESSAGE octets and breaks at a longer one', () => {
    const largest = messageOf(MAX_MESSAGE);
    expect(framed(largest, [4, 5, 70_000]).messages).toEqual([hex(largest)]);
    const header = messageOf(MAX_MESSAGE + 4).slice(0, 20);
    for (const cuts of [[], [1], [4], [19]]) {
      const { messages, broken } = framed(Buffer.concat([messageOf(20), header]), cuts);
      expect(messages).toEqual([hex(messageOf(20))]);
      expect(broken).toBeDefined();
    }
  });

  it.each([
    ['another version', Uint8Array.of(2, 0, 0, 20)],
    ['a length below the header', Uint8Array.of(1, 0, 0, 16)],
    ['a length that is not a multiple of four', Uint8Array.of(1, 0, 0, 21)],
  ])('returns no more messages after %s', (_what, start) => {
    const framer = new DiameterFramer();
    expect(framer.push(Buffer.concat([messageOf(20), start]))).toHaveLength(1);
    expect(framer.broken).toBeDefined();
    expect(framer.push(messageOf(20))).toEqual([]);
  });
});
