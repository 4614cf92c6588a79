import { expect, it } from 'vitest';
import { paaSchema } from '../../src/paa/options.js';

/** What is wrong with these relays. */
function problems(relays: readonly object[]): string[] {
  const diameter = { host: 'paa.access.example', realm: 'access.example', peers: [{ host: 'aaa.home.example' }] };
  const read = paaSchema.safeParse({
    pana: { listen: ['2001:db8:a::1'], relays },
    diameter,
    hooks: { 'state-dir': '/state' },
  });
  return (read.error?.issues ?? []).map(({ path, message }) => `${path.slice(1).join('.')}: ${message}`);
}

const relay = (more: object = {}) => ({
  address: '2001:db8:b::1',
  ep: '/hooks/ep-ssh.sh',
  'state-dir': '/one',
  ...more,
});

it('Relays have their own addresses, folders, and enforcement points that are elsewhere', () => {
  const bare = { address: '2001:db8:b::3' };
  expect(problems([relay(), relay({ address: '2001:db8:b::2', 'state-dir': '/two' }), bare])).toEqual([]);
});

it.each([
  [
    'one address',
    [relay(), relay({ address: '2001:DB8:B::1', 'state-dir': '/two' })],
    '1.address: 2001:db8:b::1 is listed twice',
  ],
  [
    'one folder',
    [relay(), relay({ address: '2001:db8:b::2', 'state-dir': '/one/' })],
    '1.state-dir: /one/ is the folder of another hook',
  ],
  ['the folder of the PAA', [relay({ 'state-dir': '/state' })], '0.state-dir: /state is the folder of another hook'],
  ['no folder', [relay({ 'state-dir': undefined })], '0.state-dir: missing'],
  [
    'the packet filter of the PAA',
    [relay({ ep: '/hooks/ep-nft.sh' })],
    '0.ep: ep-nft.sh changes the packet filter of this host',
  ],
])('Relays with %s are refused', (_what, relays, message) => {
  expect(problems(relays)).toEqual([expect.stringContaining(message)]);
});
