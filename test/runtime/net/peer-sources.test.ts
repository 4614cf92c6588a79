import { describe, expect, it } from 'vitest';
import { diameterPeer } from '../../../src/runtime/config/sections.js';
import { readDiameterTls } from '../../../src/runtime/diameter/setup.js';
import { type PeerAddresses, PeerSources } from '../../../src/runtime/net/peer-sources.js';

describe('a peer without TLS', () => {
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
  ])('%j comes from %j, and not from %j', (given, own, foreign) => {
    const sources = new PeerSources(given);
    expect(own.filter((address) => !sources.has(address))).toEqual([]);
    expect(foreign.filter((address) => sources.has(address))).toEqual([]);
  });

  it.each(['2001:db8::/129', '192.0.2.0/33', '192.0.2.0/', '192.0.2.0/1/2', 'paa.example', '::/x'])(
    'cannot come from %s',
    (from) => {
      const read = diameterPeer.safeParse({ host: 'paa.example', from: [from] });
      expect(read.error?.issues[0]?.message).toContain(`"${from}" is not an IP address or a network`);
    },
  );
});

describe('a server that is reached from other hosts', () => {
  const peer = (more: object = {}) => diameterPeer.parse({ host: 'paa.example', ...more });
  const lost = 'diameter.peers: paa.example has no address';

  it('does not start with a peer that could never connect', async () => {
    await expect(readDiameterTls({ listen: ['::1', '2001:db8::1'], peers: [peer()] })).rejects.toThrow(lost);
    await expect(readDiameterTls({ listen: ['192.0.2.1'], peers: [peer({ from: [] })] })).rejects.toThrow(lost);
  });

  it.each([
    { listen: ['::1', '127.0.0.1'], peers: [peer()] },
    { listen: ['2001:db8::1'], peers: [peer({ from: ['2001:db8:1::/64'] })] },
    { listen: ['2001:db8::1'], peers: [peer({ address: '2001:db8:1::1' })] },
    { listen: [], peers: [peer()] },
    { peers: [peer()] },
  ])('starts with $listen and peers that can', async (section) => {
    await expect(readDiameterTls(section)).resolves.toBeUndefined();
  });
});
