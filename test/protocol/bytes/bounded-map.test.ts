import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BoundedMap } from '../../../src/protocol/bytes/bounded-map.js';

describe('BoundedMap', () => {
  it('evicts the entry that was set longest ago', () => {
    const map = new BoundedMap<string, number>(2);
    map.set('a', 1);
    map.set('b', 2);
    map.set('a', 3);
    expect(map.set('c', 4)).toEqual(['b', 2]);
    expect([...map]).toEqual([
      ['a', 3],
      ['c', 4],
    ]);
    expect([map.has('b'), map.get('b'), map.get('a'), map.size]).toEqual([false, undefined, 3, 2]);
  });

  it('makes room by delete and clear', () => {
    const map = new BoundedMap<number, string>(2);
    map.set(1, 'a');
    map.set(2, 'b');
    expect([map.delete(1), map.delete(1)]).toEqual([true, false]);
    map.set(3, 'c');
    expect([...map]).toEqual([
      [2, 'b'],
      [3, 'c'],
    ]);
    map.clear();
    expect([map.size, map.has(2)]).toEqual([0, false]);
  });

  it('holds only the last entry if its limit is 0', () => {
    const map = new BoundedMap<number, number>(0);
    map.set(1, 1);
    map.set(2, 2);
    expect([...map]).toEqual([[2, 2]]);
  });

  it('holds the entries of the most recent distinct keys, whatever is set', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat({ max: 8 })), (limit, keys) => {
        const map = new BoundedMap<number, number>(limit);
        for (const [i, key] of keys.entries()) map.set(key, i);
        const last = [...new Set(keys.toReversed())].slice(0, limit).toReversed();
        expect([...map]).toEqual(last.map((key) => [key, keys.lastIndexOf(key)]));
      }),
    );
  });
});
