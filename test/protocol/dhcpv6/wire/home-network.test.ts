import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../../../src/protocol/bytes/address.js';
import { DecodeError } from '../../../../src/protocol/bytes/decode-error.js';
import { fromHex, toHex } from '../../../../src/protocol/bytes/octets.js';
import {
  decodeDomainName,
  decodeHomeNetwork,
  encodeDomainName,
  encodeHomeNetwork,
  type HomeNetwork,
  isDomainName,
} from '../../../../src/protocol/dhcpv6/wire/home-network.js';
import { decodePrefix } from '../../../../src/protocol/mip6/assignment.js';
import { IDENTIFIED_INFORMATION, VISITED_INFORMATION } from './vectors.js';

const shown = ({ prefixes, agents, hosts }: HomeNetwork) => [
  ...prefixes.map(({ length, octets }) => `${formatAddress(octets)}/${length}`),
  ...agents.map(formatAddress),
  ...hosts,
];

describe('Home network information', () => {
  it('of a relay agent and of Kea has these values', () => {
    expect(shown(decodeHomeNetwork(IDENTIFIED_INFORMATION))).toEqual([
      '2001:db8:1::/64',
      '2001:db8:1::1',
      'ha1.home.example',
    ]);
    const visited = decodeHomeNetwork(VISITED_INFORMATION);
    expect(shown(visited)).toEqual(['2001:db8:a::/64', '2001:db8:a::1', 'ha.visited.example']);
    expect(toHex(encodeHomeNetwork(visited))).toBe(toHex(VISITED_INFORMATION));
  });

  it('may have several values of a kind, and options that are not known', () => {
    const octets = fromHex(`ffff0001aa${toHex(IDENTIFIED_INFORMATION)}${toHex(VISITED_INFORMATION)}`);
    expect(decodeHomeNetwork(octets).agents.map(formatAddress)).toEqual(['2001:db8:1::1', '2001:db8:a::1']);
    expect(decodeHomeNetwork(new Uint8Array())).toEqual({ prefixes: [], agents: [], hosts: [] });
  });

  it.each([
    ['an address of 15 octets', `0048000f${'00'.repeat(15)}`],
    ['an address of 17 octets', `00480011${'00'.repeat(17)}`],
    ['a prefix of 16 octets', `00470010${'00'.repeat(16)}`],
    ['a prefix of 129 bits', `0047001181${'00'.repeat(16)}`],
    ['a name without end', '0049000403616263'],
    ['octets after the name', '004900060361626300ff'],
    ['an empty name', '0049000100'],
    ['a compressed name', '00490002c000'],
    ['a label of 64 octets', `0049004240${'61'.repeat(64)}00`],
    ['a name with a blank', '004900050361206200'],
    ['a name with a dot in a label', '0049000503612e6200'],
    ['a name that is not ASCII', '0049000503c3a46200'],
    ['a name with a line end', '00490005030a6b6200'],
    ['a name of 256 octets', `00490100${'01'.padEnd(4, '61').repeat(127)}016100`.slice(0, 8 + 512)],
    ['half an option', '00480010'],
  ])('with %s is rejected', (_, hex) => {
    expect(() => decodeHomeNetwork(fromHex(hex))).toThrow(DecodeError);
  });

  it('is kept', () => {
    const label = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_'), minLength: 1, maxLength: 63, size: 'max' });
    const hosts = fc
      .array(label, { minLength: 1, maxLength: 8 })
      .map((labels) => labels.join('.'))
      .filter(({ length }) => length <= 253);
    const prefixes = fc
      .tuple(fc.nat(128), fc.uint8Array({ minLength: 16, maxLength: 16 }))
      .map(([length, octets]) => decodePrefix(Uint8Array.of(length, ...octets)) ?? { length: 0, octets });
    const networks: fc.Arbitrary<HomeNetwork> = fc.record({
      prefixes: fc.array(prefixes, { maxLength: 3 }),
      agents: fc.array(fc.uint8Array({ minLength: 16, maxLength: 16 }), { maxLength: 3 }),
      hosts: fc.array(hosts, { maxLength: 3 }),
    });
    fc.assert(
      fc.property(networks, (network) => {
        expect(decodeHomeNetwork(encodeHomeNetwork(network))).toEqual(network);
        expect(network.hosts.every(isDomainName)).toBe(true);
      }),
    );
  });

  it('that cannot be written is refused', () => {
    const none = { prefixes: [], agents: [], hosts: [] };
    expect(() => encodeHomeNetwork({ ...none, agents: [new Uint8Array(4)] })).toThrow('an address of 4 octets');
    for (const name of ['', 'a..b', '.', 'a.', `${'a'.repeat(64)}.b`, `${'a.'.repeat(127)}ab`]) {
      expect(() => encodeDomainName(name)).toThrow(RangeError);
      expect(isDomainName(name)).toBe(false);
    }
    expect(decodeDomainName(encodeDomainName(`${'a.'.repeat(126)}a`))).toHaveLength(253);
  });

  it('gives values or a DecodeError for any change of an octet', () => {
    for (let at = 0; at < IDENTIFIED_INFORMATION.length; at += 1) {
      for (let value = 0; value < 256; value += 1) {
        const octets = Uint8Array.from(IDENTIFIED_INFORMATION);
        octets[at] = value;
        try {
          for (const host of decodeHomeNetwork(octets).hosts) expect(host).toMatch(/^[!-~]+$/);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }
    }
  });
});
