import { describe, expect, it } from 'vitest';
import { type PeerAddresses, sourcesOf } from '../../../../src/protocol/diameter/node/peer-sources.js';

describe('the source addresses of a peer without TLS', () => {
  it.each<[string, PeerAddresses, readonly string[], readonly string[]]>([
    [
      'loopback if it has none configured',
      {},
      ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'],
      ['192.0.2.1', '2001:db8::1', '::2', '', 'x'],
    ],
    [
      'its address, in any notation',
      { address: '2001:db8::1' },
      ['2001:db8::1', '2001:db8:0:0::1'],
      ['::1', '127.0.0.1', '2001:db8::2'],
    ],
    [
      'all its addresses',
      { addresses: ['192.0.2.1', '192.0.2.2'] },
      ['192.0.2.2', '::ffff:192.0.2.1'],
      ['192.0.2.3', '::1'],
    ],
    [
      'its address and the networks in from',
      { address: '192.0.2.1', from: ['2001:db8:1::/64', '198.51.100.0/24'] },
      ['192.0.2.1', '2001:db8:1::ff', '198.51.100.255', '::ffff:198.51.100.1'],
      ['2001:db8:2::1', '198.51.101.1', '127.0.0.1'],
    ],
    ['its address on any interface', { address: 'fe80::1%eth0' }, ['fe80::1%eth0', 'fe80::1'], ['fe80::2%eth0']],
  ])('are %s', (_what, given, own, foreign) => {
    const sources = sourcesOf(given);
    expect(own.filter((address) => !sources.has(address))).toEqual([]);
    expect(foreign.filter((address) => sources.has(address))).toEqual([]);
  });
});
