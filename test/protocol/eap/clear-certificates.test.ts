import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../src/protocol/bytes/decode-error.js';
import { clearCertificates } from '../../../src/protocol/eap/clear-certificates.js';

const u24 = (value: number) => [value >> 16, (value >> 8) & 0xff, value & 0xff];
const record = (type: number, fragment: readonly number[]) => [
  type,
  3,
  3,
  fragment.length >> 8,
  fragment.length & 0xff,
  ...fragment,
];
const message = (type: number, body: readonly number[]) => [type, ...u24(body.length), ...body];
const certificates = (list: readonly (readonly number[])[]) => {
  const inner = list.flatMap((each) => [...u24(each.length), ...each]);
  return message(11, [...u24(inner.length), ...inner]);
};

const LIST = [
  [1, 2, 3],
  [4, 5],
];
const CERTIFICATE = certificates(LIST);
const HELLO = message(1, [9, 9, 9]);
const KEY_EXCHANGE = message(16, [7]);
const CIPHER_SPEC = record(20, [1]);
const ENCRYPTED = record(22, [0, 0, 0, 0, 1, 2, 3]);
const DATA = record(23, [1, 2, 3]);

const found = (flight: readonly number[], first = false) =>
  clearCertificates(Uint8Array.from(flight), first).map((each) => [...each]);

describe('clearCertificates', () => {
  it('finds certificates in one record, in several, and after other messages and alerts', () => {
    const all = [...CERTIFICATE, ...KEY_EXCHANGE];
    expect(found([...record(22, all), ...CIPHER_SPEC, ...ENCRYPTED])).toEqual(LIST);
    for (let cut = 1; cut < all.length; cut += 1) {
      expect(found([...record(22, all.slice(0, cut)), ...record(22, all.slice(cut)), ...CIPHER_SPEC])).toEqual(LIST);
    }
    expect(found([...record(21, [1, 41]), ...record(22, CERTIFICATE)])).toEqual(LIST);
    expect(found(record(22, [...HELLO, ...CERTIFICATE]), true)).toEqual(LIST);
    expect(found([...CIPHER_SPEC, ...record(22, HELLO), ...record(22, CERTIFICATE)], true)).toEqual(LIST);
    expect(found(record(22, [...CERTIFICATE, ...CERTIFICATE]))).toEqual([...LIST, ...LIST]);
  });

  it('finds none in a resumption, with TLS 1.3, and when the client has none', () => {
    expect(found([...CIPHER_SPEC, ...ENCRYPTED])).toEqual([]);
    expect(found([...CIPHER_SPEC, ...DATA])).toEqual([]);
    expect(found(DATA)).toEqual([]);
    expect(found(record(22, HELLO), true)).toEqual([]);
    expect(found(record(22, certificates([])))).toEqual([]);
  });

  it('throws DecodeError for an incomplete flight', () => {
    const flight = record(22, [...HELLO, ...CERTIFICATE]);
    for (let length = 1; length < flight.length; length += 1) {
      expect(() => found(flight.slice(0, length))).toThrow(DecodeError);
    }
    for (let length = HELLO.length + 1; length < HELLO.length + CERTIFICATE.length; length += 1) {
      expect(() => found(record(22, [...HELLO, ...CERTIFICATE].slice(0, length)))).toThrow(DecodeError);
    }
    expect(() => found(record(22, certificates([[]])))).toThrow(DecodeError);
  });

  it('returns certificates or throws DecodeError for any octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300, size: 'max' }), fc.boolean(), (octets, first) => {
        try {
          clearCertificates(octets, first);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });
});
