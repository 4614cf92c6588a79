import { describe, expect, it } from 'vitest';
import { ConnectionSlots, MAX_NEW_CONNECTIONS, MAX_RECENT } from '../../../src/protocol/fairness/connection-slots.js';

const LISTED = '2001:db8:1::1';

function slots(): ConnectionSlots<string> {
  return new ConnectionSlots((address) => address === LISTED);
}

let last = 0;

/** Connections from `networks` networks in turn. Returns the evicted ones and the number of refused ones. */
function flood(there: ConnectionSlots<string>, networks: number, count: number, perSecond: number, from = 0) {
  const dropped = new Set<string>();
  let refused = 0;
  for (let i = 0; i < count; i += 1) {
    const address = `2001:db8:${(0x1000 + (i % networks)).toString(16)}::${(i % 50_000).toString(16)}`;
    last += 1;
    const connection = `stranger ${last}`;
    const gone = there.enter(connection, address, from + (i * 1000) / perSecond);
    if (gone === connection) refused += 1;
    else if (gone !== undefined) dropped.add(gone);
  }
  return { dropped, refused };
}

describe('ConnectionSlots', () => {
  it('keeps connections of a listed address, however many others arrive', () => {
    const there = slots();
    expect(there.enter('listed', LISTED, 0)).toBeUndefined();
    const before = flood(there, 10_000, 50_000, 900);
    expect(there.size).toBe(MAX_NEW_CONNECTIONS);
    expect(before.dropped.has('listed')).toBe(false);
    // A listed address gets a slot even if it comes last.
    expect(there.enter('late', LISTED, 60_000)).toMatch(/^stranger /);
    const after = flood(there, 10_000, 50_000, 900, 60_000);
    expect(after.dropped.has('listed') || after.dropped.has('late')).toBe(false);
  });

  it('keeps a connection of an unlisted address while one network connects 900 times a second', () => {
    const there = slots();
    flood(there, 1, 9_000, 900);
    expect(there.enter('quiet', '2001:db8:2::1', 10_000)).not.toBe('quiet');
    const { dropped, refused } = flood(there, 1, 9_000, 900, 10_000);
    expect(dropped.has('quiet')).toBe(false);
    expect(refused).toBeGreaterThan(8_500);
  });

  it('lets connections of many networks evict each other, but not one of an address that a peer has used', () => {
    const there = slots();
    there.accepted('2001:db8:2::1');
    expect(there.enter('proven', '2001:db8:2::1', 0)).toBeUndefined();
    const { dropped, refused } = flood(there, 5_000, 10_000, 900);
    expect(refused).toBe(0);
    expect(dropped.size).toBe(10_000 - (MAX_NEW_CONNECTIONS - 1));
    expect(dropped.has('proven')).toBe(false);
  });

  it('frees a slot when a connection leaves, and accepts the network again after a second', () => {
    const there = slots();
    for (let i = 0; i < MAX_RECENT; i += 1) {
      expect(there.enter('short', '2001:db8:9::1', 0)).toBeUndefined();
      there.leave('short');
    }
    expect(there.size).toBe(0);
    expect(there.enter('second', '2001:db8:9::2', 0)).toBe('second');
    expect(there.enter('other', '2001:db8:8::2', 0)).toBeUndefined();
    expect(there.enter('third', '2001:db8:9::2', 1_000)).toBeUndefined();
  });

  it('remembers the latest 1,000 addresses that peers have used', () => {
    const there = slots();
    const address = (n: number) => `2001:db8:9::${n.toString(16)}`;
    for (let n = 1; n <= 1_000; n += 1) there.accepted(address(n));
    // The network has used up its rate, so an unknown address in it is refused.
    for (let i = 0; i < MAX_RECENT; i += 1) there.enter(`stranger ${i}`, address(0xffff), 0);
    const isProven = (n: number) => there.enter(`of ${n}`, address(n), 0) !== `of ${n}`;
    expect([0, 1, 2, 3, 1_000].filter(isProven)).toEqual([1, 2, 3, 1_000]);
    // This address is known already and becomes the most recent one.
    there.accepted(address(1));
    expect([1, 2, 3].filter(isProven)).toEqual([1, 2, 3]);
    there.accepted(address(1_001));
    expect([1, 2, 3, 1_000, 1_001].filter(isProven)).toEqual([1, 3, 1_000, 1_001]);
  });
});
