import { describe, expect, it } from 'vitest';
import { SourceAddresses } from '../../src/load/source-addresses.js';

describe('Local addresses of a load', () => {
  it('are those of a list in turn', () => {
    const addresses = new SourceAddresses('2001:db8::1, 192.0.2.7');
    expect(addresses.count).toBe(2);
    expect([0, 1, 2].map((n) => addresses.at(n))).toEqual(['2001:db8::1', '192.0.2.7', '2001:db8::1']);
  });

  it('are all of a network but the first and the last', () => {
    const addresses = new SourceAddresses('127.1.2.3/16');
    expect(addresses.count).toBe(65_534);
    expect([0, 1, 255, 65_533, 65_534].map((n) => addresses.at(n))).toEqual([
      '127.1.0.1',
      '127.1.0.2',
      '127.1.1.0',
      '127.1.255.254',
      '127.1.0.1',
    ]);
    expect(new SourceAddresses('10.0.0.9/31').at(1)).toBe('10.0.0.9');
    expect(new SourceAddresses('10.0.0.15/29').at(0)).toBe('10.0.0.9');
  });

  it('are at most a million of a large network', () => {
    const addresses = new SourceAddresses('2001:db8:0:1::/64');
    expect(addresses.count).toBe(2 ** 20 - 2);
    expect(addresses.at(2 ** 20 - 3)).toBe('2001:db8:0:1::f:fffe');
  });

  it.each(['', '10.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/8/8', '10.0.0.0/x', '10.0.0.0/-1', '1.2.3.4,'])(
    'are refused if they are none: %j',
    (list) => {
      expect(() => new SourceAddresses(list)).toThrow('--local: ');
    },
  );
});
