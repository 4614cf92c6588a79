import { describe, expect, it } from 'vitest';
import { preSchema } from '../../src/pre/options.js';

const refused = (relay: object) =>
  preSchema
    .safeParse({ relay: { listen: ['2001:db8:b::1'], paa: '2001:db8:a::1', ...relay } })
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

describe('The configuration of pana-pre', () => {
  it.each(['::', '0.0.0.0', 'ff02::1%eth1', '224.0.0.1', '255.255.255.255', '::ffff:192.0.2.1'])(
    'refuses %s, which is no address of one host',
    (address) => {
      const text = `"${address}" is not the address of one host`;
      expect(refused({ listen: [address] })).toEqual([`relay.listen.0: ${text}`]);
      expect(refused({ paa: address })).toEqual([`relay.paa: ${text}`]);
      expect(refused({ source: address })).toContain(`relay.source: ${text}`);
    },
  );

  it('refuses a source that cannot send to the PAA, and itself as the PAA', () => {
    expect(refused({ source: '192.0.2.1' })).toEqual([
      'relay.source: 192.0.2.1 cannot send to 2001:db8:a::1: one is an IPv4, the other an IPv6 address',
    ]);
    expect(refused({ paa: '2001:DB8:b:0::1' })).toEqual([
      'relay.paa: 2001:db8:b::1 is an address of this relay: name the address of the PAA',
    ]);
    expect(refused({ paa: '2001:db8:b::1', 'paa-port': 717 })).toEqual([]);
    expect(refused({ listen: ['fe80::1%eth1', '192.0.2.1'], source: 'fe80::1%eth0' })).toEqual([]);
  });
});
