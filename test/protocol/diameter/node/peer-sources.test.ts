import { describe, expect, it } from 'vitest';
import { type PeerAddresses, sourcesOf } from '../../../../src/protocol/diameter/node/peer-sources.js';

describe('the source addresses of a peer without TLS', () => {
  it.each<[PeerAddresses, readonly string[], readonly string[]]>([
    [{}, ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'], ['192.0.2.1', '2001:db8::1', '::2', '', 'x']],
    [{ address: '2001:db8::1' }, ['2001:db8::1', '2001:db8:0:0::1'], ['::1', '127.0.0.1', '2001:db8::2']],
    [{ addresses: ['192.0.2.1', '192.0.2.2'] }, ['192.0.2.2', '::ffff:192.0.2.1'], ['192.0.2.3', '::1']],
    [
      { address: '192.0.2.1', from: ['2001:db8:1::/64', '198.51.100.0/24'] },
      ['192.0.2.1', '2001:db8:1::ff', '198.51.100.255', '::ffff:198.51.100.1'],
      ['2001:db8:2::1', '198.51.101.1', '127.0.0.1'],
    ],
    [{ address: 'fe80::1%eth0' }, ['fe80::1%eth0', 'fe80::1'], ['fe80::2%eth0']],
  ])('for %j include %j but not %j', (given, own, foreign) => {
    const sources = sourcesOf(given);
    expect(own.filter((address) => !sources.has(address))).toEqual([]);
    expect(foreign.filter((address) => sources.has(address))).toEqual([]);
  });
});
