import { describe, expect, it } from 'vitest';
import { ConnectionSlots, MAX_NEW_CONNECTIONS, MAX_RECENT } from '../../../src/runtime/net/connection-slots.js';

const LISTED = '2001:db8:1::1';

function slots(): ConnectionSlots {
  return new ConnectionSlots((address) => address === LISTED);
}

/** Connections that come from each of some networks in turn, so many a second; which were dropped or refused. */
function flood(there: ConnectionSlots, networks: number, count: number, perSecond: number, from = 0) {
  let dropped = 0;
  let refused = 0;
  for (let i = 0; i < count; i += 1) {
    const address = `2001:db8:${(0x1000 + (i % networks)).toString(16)}::${(i % 50_000).toString(16)}`;
    const leave = there.enter(address, () => (dropped += 1), from + (i * 1000) / perSecond);
    if (!leave) refused += 1;
  }
  return { dropped, refused };
}

describe('connections that have not said who they are', () => {
  it('of a listed address stay, whatever strangers do', () => {
    const there = slots();
    let dropped = false;
    expect(there.enter(LISTED, () => (dropped = true), 0)).toBeDefined();
    flood(there, 10_000, 50_000, 900);
    expect(there.size).toBe(MAX_NEW_CONNECTIONS);
    expect(dropped).toBe(false);
    // Also when it comes last.
    expect(there.enter(LISTED, () => (dropped = true), 60_000)).toBeDefined();
    flood(there, 10_000, 50_000, 900, 60_000);
    expect(dropped).toBe(false);
  });

  it('of an unlisted address stay while one network connects 900 times a second', () => {
    const there = slots();
    flood(there, 1, 9_000, 900);
    let dropped = false;
    expect(there.enter('2001:db8:2::1', () => (dropped = true), 10_000)).toBeDefined();
    const { refused } = flood(there, 1, 9_000, 900, 10_000);
    expect(dropped).toBe(false);
    expect(refused).toBeGreaterThan(8_500);
  });

  it('of many networks push out each other, and no address from which a peer came before', () => {
    const there = slots();
    there.accepted('2001:db8:2::1');
    let dropped = false;
    expect(there.enter('2001:db8:2::1', () => (dropped = true), 0)).toBeDefined();
    const { dropped: others, refused } = flood(there, 5_000, 10_000, 900);
    expect(refused).toBe(0);
    expect(others).toBe(10_000 - (MAX_NEW_CONNECTIONS - 1));
    expect(dropped).toBe(false);
  });

  it('have their place back when they leave, and a network its rate after a while', () => {
    const there = slots();
    for (let i = 0; i < MAX_RECENT; i += 1) there.enter('2001:db8:9::1', () => undefined, 0)?.();
    expect(there.size).toBe(0);
    expect(there.enter('2001:db8:9::2', () => undefined, 0)).toBeUndefined();
    expect(there.enter('2001:db8:8::2', () => undefined, 0)).toBeDefined();
    expect(there.enter('2001:db8:9::2', () => undefined, 1_000)).toBeDefined();
  });
});
