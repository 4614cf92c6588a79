import { BlockList } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress } from '../../../src/protocol/bytes/address.js';
import { AddressSet, isLoopback, withoutScope } from '../../../src/protocol/bytes/address-set.js';

describe('AddressSet', () => {
  it("contains the same addresses as Node's BlockList", () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    const isMapped = (text: string) => text.startsWith('::ffff:') && text.includes('.');
    fc.assert(
      fc.property(octets, fc.nat(128), fc.nat(128), fc.nat(127), (own, length, flip, bit) => {
        const bits = length % (own.length * 8 + 1);
        const network = formatAddress(own);
        // An address just inside or just outside the network.
        const near = own.slice();
        const at = (flip % 2 === 0 ? bits : bit) % (own.length * 8);
        near[at >> 3] = (near[at >> 3] ?? 0) ^ (0x80 >> (at & 7));
        const address = formatAddress(near);
        fc.pre(!isMapped(network) && !isMapped(address));
        const family = own.length === 4 ? 'ipv4' : 'ipv6';
        const list = new BlockList();
        list.addSubnet(network, bits, family);
        const set = new AddressSet([`${network}/${bits}`]);
        expect([set.has(network), set.has(address)]).toEqual([true, list.check(address, family)]);
      }),
      { verbose: true },
    );
  });

  it.each(['2001:db8::/129', '192.0.2.0/33', '192.0.2.0/', '192.0.2.0/1/2', 'paa.example', ''])(
    'ignores the invalid entry %j',
    (text) => {
      const set = new AddressSet([text]);
      expect(['2001:db8::', '192.0.2.0', '', 'paa.example'].filter((address) => set.has(address))).toEqual([]);
    },
  );

  it('treats an IPv4-mapped address as IPv4, and ignores the interface', () => {
    expect(new AddressSet(['192.0.2.0/24']).has('::ffff:192.0.2.9')).toBe(true);
    expect(new AddressSet(['fe80::1%eth0']).has('fe80::1%eth1')).toBe(true);
    expect([withoutScope('fe80::1%eth0'), withoutScope('::ffff:192.0.2.1'), withoutScope()]).toEqual([
      'fe80::1',
      '192.0.2.1',
      '',
    ]);
  });
});

describe('isLoopback', () => {
  it('is true for loopback addresses only', () => {
    const all = ['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1', '128.0.0.1', '::2', '126.255.255.255'];
    expect(all.filter(isLoopback)).toEqual(all.slice(0, 4));
  });
});
