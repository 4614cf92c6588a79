import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_AGENTS } from '../../../src/protocol/attachment/found-agents.js';
import { receivedAgents } from '../../../src/protocol/attachment/received-home.js';
import { formatAddress, parseAddress } from '../../../src/protocol/bytes/address.js';
import { toHex } from '../../../src/protocol/bytes/octets.js';
import { encodeHomeNetwork } from '../../../src/protocol/dhcpv6/wire/home-network.js';
import { hostAddressProblem } from '../../../src/protocol/mip6/address-checks.js';

const octetsOf = (text: string) => parseAddress(text) ?? new Uint8Array();
const line = (code: number, agents: readonly string[], hosts: readonly string[] = [], prefix?: number) => {
  const prefixes = prefix === undefined ? [] : [{ length: prefix, octets: octetsOf('2001:db8:1::') }];
  return `${code} ${toHex(encodeHomeNetwork({ prefixes, agents: agents.map(octetsOf), hosts }))}\n`;
};
const shown = (text: string) => receivedAgents(text).map(({ address, host }) => [formatAddress(address), host]);

describe('Home network information that a DHCPv6 client wrote', () => {
  it('is used in the order identified, unrestricted, visited', () => {
    const text = line(50, ['2001:db8:c::1']) + line(70, ['2001:db8:b::1']) + line(69, ['2001:db8:a::1']);
    expect(shown(text).map(([address]) => address)).toEqual(['2001:db8:a::1', '2001:db8:b::1', '2001:db8:c::1']);
  });

  it('has a name and a prefix with an address', () => {
    const [agent] = receivedAgents(line(69, ['2001:db8:1::1'], ['ha1.home.example'], 64));
    expect(agent).toMatchObject({ host: 'ha1.home.example', prefix: { length: 64 } });
    // Which of two it belongs to is not said.
    expect(shown(line(69, ['2001:db8:1::1', '2001:db8:1::2'], ['ha1.home.example']))[0]?.[1]).toBeUndefined();
    expect(shown(line(69, ['2001:db8:1::1'], ['ha1.home.example', 'ha2.home.example']))[0]?.[1]).toBeUndefined();
    expect(shown(line(69, ['2001:db8:1::1'], ['$(reboot)']))).toEqual([['2001:db8:1::1', undefined]]);
    expect(receivedAgents(line(69, ['2001:db8:1::1'], [], 8))[0]?.prefix).toBeUndefined();
  });

  it.each(['::1', 'fe80::1', 'ff02::1', '::', '::ffff:192.0.2.1'])('of a home agent %s is left out', (address) => {
    expect(shown(line(69, [address, '2001:db8:1::1']))).toEqual([['2001:db8:1::1', undefined]]);
  });

  it('is left out if it is malformed, and the rest is used', () => {
    const good = line(69, ['2001:db8:1::1']);
    const bad = ['', '69', '69 zz', '69 0', '69 0048', '69 004800', '1000 0048', '71 00', 'x'.repeat(1_000)];
    for (const text of bad) expect(shown(`${text}\n${good}`)).toEqual([['2001:db8:1::1', undefined]]);
    for (let length = 0; length < good.length - 2; length += 1) expect(shown(good.slice(0, length))).toEqual([]);
  });

  it('is limited', () => {
    const many = Array.from({ length: 100 }, (_, i) => line(69, [`2001:db8::${(i + 1).toString(16)}`])).join('');
    expect(receivedAgents(many)).toHaveLength(MAX_AGENTS);
  });

  it('of any content gives few home agents that can be one', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.uint8Array().map((octets) => `69 ${toHex(octets)}`),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        const agents = receivedAgents(parts.join('\n'));
        expect(agents.length).toBeLessThanOrEqual(MAX_AGENTS);
        for (const { address } of agents) expect(hostAddressProblem(address)).toBeUndefined();
      }),
    );
  });
});
