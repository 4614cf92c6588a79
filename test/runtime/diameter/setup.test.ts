import { describe, expect, it } from 'vitest';
import { diameterPeer } from '../../../src/runtime/config/sections.js';
import { readDiameterTls } from '../../../src/runtime/diameter/setup.js';
import { systemHost } from '../../../src/runtime/system/host.js';

describe('diameterPeer without TLS', () => {
  it.each(['2001:db8::/129', '192.0.2.0/33', '192.0.2.0/', '192.0.2.0/1/2', 'paa.example', '::/x'])(
    'rejects %s in from',
    (from) => {
      const read = diameterPeer.safeParse({ host: 'paa.example', from: [from] });
      expect(read.error?.issues[0]?.message).toContain(`"${from}" is not an IP address or a network`);
    },
  );
});

describe('readDiameterTls', () => {
  const peer = (more: object = {}) => diameterPeer.parse({ host: 'paa.example', ...more });
  const lost = 'diameter.peers: paa.example has no address';

  it('rejects a peer that can never connect from another host', async () => {
    await expect(readDiameterTls({ listen: ['::1', '2001:db8::1'], peers: [peer()] }, systemHost)).rejects.toThrow(
      lost,
    );
    await expect(readDiameterTls({ listen: ['192.0.2.1'], peers: [peer({ from: [] })] }, systemHost)).rejects.toThrow(
      lost,
    );
  });

  it.each([
    { listen: ['::1', '127.0.0.1'], peers: [peer()] },
    { listen: ['2001:db8::1'], peers: [peer({ from: ['2001:db8:1::/64'] })] },
    { listen: ['2001:db8::1'], peers: [peer({ address: '2001:db8:1::1' })] },
    { listen: [], peers: [peer()] },
    { peers: [peer()] },
  ])('accepts %j', async (section) => {
    await expect(readDiameterTls(section, systemHost)).resolves.toBeUndefined();
  });
});
