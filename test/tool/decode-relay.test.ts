import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/protocol/bytes/octets.js';
import { decodeRelay, encodeRelay } from '../../src/protocol/pana/wire/relayed.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { SessionKeys } from '../../src/tool/decode/keys.js';

interface Recording {
  readonly key: string;
  readonly messages: readonly { readonly to: 'paa' | 'relay'; readonly hex: string }[];
}

/** PRYs between OpenPANA's relay and pana-paa. */
const RECORDED = JSON.parse(
  readFileSync(new URL('../vectors/pana-openpana-relay.json', import.meta.url), 'utf8'),
) as Readonly<Record<'ipv4' | 'ipv6', Recording>>;

describe.each([
  ['ipv4', '0008', '0006', '127.0.0.1'],
  ['ipv6', '0014', '0012', '::1'],
] as const)("A bootstrap through OpenPANA's relay with %s", (family, padded, right, pac) => {
  const { key, messages } = RECORDED[family];

  it('has the right length of PaC-Information from pana-paa, and is read with the one that counts the padding', () => {
    for (const { to, hex } of messages) {
      expect(hex.slice(32, 48)).toBe(`000a0000${to === 'paa' ? padded : right}0000`);
      const relayed = decodeRelay(fromHex(hex));
      expect(relayed.pac.address).toBe(pac);
      const sent = toHex(encodeRelay(relayed));
      expect(sent).toBe(hex.replace(`000a0000${padded}`, `000a0000${right}`));
    }
  });

  it('is opened by decode, which judges each AUTH', () => {
    const decode = (lines: string) =>
      messages.flatMap(({ hex }) =>
        [...new Decoder(32473, SessionKeys.read(lines, 'keys')).decode(Buffer.from(hex))].map(({ text }) => text),
      );
    const texts = decode(key);
    for (const text of texts) expect(text).toMatch(new RegExp(`PaC-Information +${pac} port \\d+\n`));
    expect(texts.filter((text) => / valid, with key/.test(text))).toHaveLength(2);
    const other = `${key.slice(0, -2)}${key.endsWith('00') ? '11' : '00'}`;
    expect(decode(other).filter((text) => / WRONG/.test(text))).toHaveLength(2);
  });
});
