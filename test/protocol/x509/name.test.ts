import { expect, it } from 'vitest';
import { TAG, whole } from '../../../src/protocol/x509/der.js';
import { readName } from '../../../src/protocol/x509/name.js';

const tlv = (tag: number, ...content: number[]) => [tag, content.length, ...content];

/** A name with one common name, of this string type. */
function nameOf(tag: number, ...content: number[]) {
  const oid = tlv(TAG.OBJECT_IDENTIFIER, 0x55, 4, 3);
  const attribute = tlv(TAG.SEQUENCE, ...oid, ...tlv(tag, ...content));
  const octets = Uint8Array.from(tlv(TAG.SEQUENCE, ...tlv(TAG.SET, ...attribute)));
  return readName(whole(octets, TAG.SEQUENCE));
}

it.each([
  ['PrintableString', TAG.PRINTABLE_STRING, [0x61, 0x62], 'ab'],
  ['IA5String', TAG.IA5_STRING, [0x7f], '\x7f'],
  ['UTF8String', TAG.UTF8_STRING, [0xc3, 0xbc], 'ü'],
  ['TeletexString', TAG.TELETEX_STRING, [0xfc], 'ü'],
  ['BMPString', TAG.BMP_STRING, [0, 0xfc], 'ü'],
  ['UniversalString', TAG.UNIVERSAL_STRING, [0, 0, 0, 0xfc], 'ü'],
])('A %s is read as text', (_type, tag, content, text) => {
  expect(nameOf(tag, ...content).commonNames).toEqual([text]);
});

it.each([
  ['PrintableString', TAG.PRINTABLE_STRING, [0x61, 0x80]],
  ['IA5String', TAG.IA5_STRING, [0xe9]],
  ['VisibleString', TAG.VISIBLE_STRING, [0xff]],
  ['NumericString', TAG.NUMERIC_STRING, [0xb1]],
  ['UTF8String', TAG.UTF8_STRING, [0xfc]],
  ['BMPString', TAG.BMP_STRING, [0, 0x61, 0]],
  ['UniversalString', TAG.UNIVERSAL_STRING, [0, 0x61]],
  ['UniversalString', TAG.UNIVERSAL_STRING, [0, 0x11, 0, 0]],
])(
  'A %s with octets that its type does not allow is no common name, and is compared by its octets',
  (_t, tag, content) => {
    const name = nameOf(tag, ...content);
    expect(name.commonNames).toEqual([]);
    expect(name.text).toMatch(/^CN=#[0-9a-f]+$/);
  },
);
