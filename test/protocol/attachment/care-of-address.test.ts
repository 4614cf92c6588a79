import { describe, expect, it } from 'vitest';
import {
  type AccessLink,
  careOfAddresses,
  type HostAddress,
  isSameAddress,
  isTunnelName,
  paasByLink,
} from '../../../src/protocol/attachment/care-of-address.js';

const PAA = '2001:db8:a::1';
const HOME_ADDRESS = '2001:db8:1::99';

function own(address: string, rest: Partial<HostAddress> = {}): HostAddress {
  return { address, interface: 'eth0', kind: 'link', unusable: undefined, ...rest };
}

function chosen(
  addresses: readonly HostAddress[],
  paa = PAA,
  link: Partial<AccessLink> = {},
): readonly string[] | 'any' {
  const found = careOfAddresses(paa, addresses, { interface: undefined, homeAddresses: new Set(), ...link });
  return found === 'any' ? found : found.map(({ address }) => address);
}

describe('careOfAddresses', () => {
  it.each(['home', 'tentative', 'duplicate', 'deprecated'] as const)('omits an address that is %s', (unusable) => {
    expect(chosen([own('2001:db8:a::2', { unusable }), own('2001:db8:b::2')])).toEqual(['2001:db8:b::2']);
  });

  it('omits the home address that the hook added to the interface, in any spelling, and an earlier one', () => {
    const addresses = [own(HOME_ADDRESS), own('2001:db8:1::98'), own('2001:db8:a::2')];
    const homeAddresses = new Set(['2001:DB8:1:0::99', '2001:db8:1::98']);
    expect(chosen(addresses, PAA, { homeAddresses })).toEqual(['2001:db8:a::2']);
  });

  it('omits addresses of tunnels and of the loopback interface', () => {
    const addresses = [
      own('2001:db8:a::2', { interface: 'ip6tnl1', kind: 'tunnel' }),
      own('2001:db8:a::3', { interface: 'lo', kind: 'loopback' }),
      own('2001:db8:b::4'),
    ];
    expect(chosen(addresses)).toEqual(['2001:db8:b::4']);
  });

  it('returns only addresses of the configured interface', () => {
    const addresses = [own('2001:db8:a::2', { interface: 'wlan0' }), own('2001:db8:a::3')];
    expect(chosen(addresses, PAA, { interface: 'wlan0' })).toEqual(['2001:db8:a::2']);
    expect(chosen(addresses, PAA, { interface: 'eth9' })).toEqual([]);
  });

  it('puts addresses on the link of the PAA first, and otherwise keeps the order', () => {
    const addresses = [own('2001:db8:b::2'), own('2001:db8:c::2'), own('2001:db8:a::2')];
    expect(chosen(addresses)).toEqual(['2001:db8:a::2', '2001:db8:b::2', '2001:db8:c::2']);
  });

  it('returns link-local addresses, with their scopes, if and only if the PAA has one', () => {
    const addresses = [own('fe80::2'), own('2001:db8:a::2'), own('fe80::3', { interface: 'wlan0' })];
    expect(chosen(addresses, 'fe80::1%wlan0')).toEqual(['fe80::3%wlan0']);
    expect(chosen(addresses)).toEqual(['2001:db8:a::2']);
    expect(chosen(addresses, 'fe80::1%wlan0', { interface: 'eth0' })).toEqual([]);
  });

  it("returns addresses of the PAA's family only", () => {
    const addresses = [own('2001:db8:a::2'), own('198.51.100.2'), own('192.0.2.2')];
    expect(chosen(addresses, '192.0.2.1')).toEqual(['192.0.2.2', '198.51.100.2']);
  });

  it('leaves the choice to the route if the PAA is on this host', () => {
    for (const paa of ['::1', '127.0.0.1', '2001:db8:a::2', 'paa.example']) {
      expect(chosen([own('2001:db8:a::2')], paa)).toBe('any');
    }
  });
});

it('isTunnelName distinguishes tunnels from links', () => {
  const tunnels = ['ip6tnl1', 'tun0', 'ipsec0', 'ipsec', 'sit0', 'gif0', 'wg0', 'vti64', 'tunl0', 'xfrm12'];
  expect(tunnels.filter((name) => !isTunnelName(name))).toEqual([]);
  expect(['eth0', 'wlan0', 'mn0', 'ppp0', 'wwan0', 'en0', 'tunnel-to-nowhere', 'em0'].filter(isTunnelName)).toEqual([]);
});

it('isSameAddress compares addresses and scopes, whatever their text', () => {
  expect(isSameAddress('2001:db8:0::1', '2001:DB8::1')).toBe(true);
  expect(isSameAddress('fe80::1%eth0', 'fe80::1%eth0')).toBe(true);
  expect(isSameAddress('fe80::1%eth0', 'fe80::1%eth1')).toBe(false);
  expect(isSameAddress('2001:db8::1', '2001:db8::2')).toBe(false);
});

describe('paasByLink', () => {
  const divided = (paas: readonly string[], addresses: readonly HostAddress[], homeAddresses: readonly string[] = []) =>
    paasByLink(paas, addresses, { interface: 'eth0', homeAddresses: new Set(homeAddresses) });

  it('takes PAAs in the prefix of a care-of address for those of the link, in their order', () => {
    const paas = ['2001:db8:d::1', '2001:db8:a::1', '192.0.2.71', '2001:db8:a::2', '198.51.100.1'];
    expect(divided(paas, [own('2001:db8:a::9'), own('192.0.2.9')])).toEqual({
      onLink: ['2001:db8:a::1', '192.0.2.71', '2001:db8:a::2'],
      others: ['2001:db8:d::1', '198.51.100.1'],
    });
  });

  it('takes link-local PAAs and those on this host for PAAs of the link', () => {
    const onLink = ['fe80::1%eth0', '::1', '2001:db8:e::1'];
    expect(divided(onLink, [own('2001:db8:e::1')])).toEqual({ onLink, others: [] });
  });

  it.each<[string, HostAddress, readonly string[]]>([
    ['the home address', own('2001:db8:a::9'), ['2001:db8:a::9']],
    ['a tentative address', own('2001:db8:a::9', { unusable: 'tentative' }), []],
    ['an address of another interface', own('2001:db8:a::9', { interface: 'eth1' }), []],
  ])('does not count %s', (_what, address, homeAddresses) => {
    expect(divided([PAA], [address], homeAddresses)).toEqual({ onLink: [], others: [PAA] });
  });
});
