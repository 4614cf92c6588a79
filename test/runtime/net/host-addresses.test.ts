import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { hostAddresses, readAddresses } from '../../../src/runtime/net/host-addresses.js';

const info = (address: string, internal = false) => ({ address, internal }) as NetworkInterfaceInfo;

/** An address as the kernel writes it: address, index, prefix length, scope, flags, name. */
const TABLE = `20010db8000000000000000000000099 03 40 00 92       a0
20010db8000000000000000000000001 03 40 00 40       a0
20010db8000000000000000000000002 03 40 00 44       a0
20010db8000000000000000000000003 03 40 00 48       a0
20010db8000000000000000000000004 03 40 00 20       a0
20010db8000000000000000000000005 03 40 00 80       a0
20010db8000000000000000000000005 03 40 00 10       b0
a broken line
`;

describe('hostAddresses', () => {
  it('gives the reason why an address is unusable, by interface', () => {
    const all = ['99', '1', '2', '3', '4', '5'].map((last) => info(`2001:db8::${last}`));
    const found = hostAddresses({ a0: all, b0: [info('2001:db8::5')] }, TABLE, new Map());
    expect(found.map(({ unusable }) => unusable)).toEqual([
      'home',
      'tentative',
      // An optimistic address.
      undefined,
      'duplicate',
      'deprecated',
      undefined,
      'home',
    ]);
  });

  it('recognizes tunnels by name and by type', () => {
    const interfaces = {
      lo: [info('::1', true)],
      ip6tnl1: [info('fe80::1')],
      hub: [info('fe80::2')],
      eth0: [info('::2')],
    };
    const found = hostAddresses(
      interfaces,
      '',
      new Map([
        ['hub', '65534\n'],
        ['eth0', '1\n'],
      ]),
    );
    expect(found.map(({ kind }) => kind)).toEqual(['loopback', 'tunnel', 'tunnel', 'link']);
  });

  it('reads the addresses of this computer', async () => {
    expect((await readAddresses()).map(({ address }) => address)).toContain('127.0.0.1');
  });
});
