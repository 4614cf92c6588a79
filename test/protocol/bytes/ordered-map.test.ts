import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrderedMap } from '../../../src/protocol/bytes/ordered-map.js';

describe('OrderedMap', () => {
  it('has the same entries, order and results as a Map', () => {
    const operation = fc.record({ what: fc.constantFrom('set', 'delete', 'clear'), key: fc.nat(6), value: fc.nat() });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), (list) => {
        const map = new OrderedMap<number, number>();
        const plain = new Map<number, number>();
        for (const { what, key, value } of list) {
          if (what === 'set') {
            map.set(key, value);
            plain.set(key, value);
          } else if (what === 'delete') expect(map.delete(key)).toBe(plain.delete(key));
          else if (value % 8 === 0) {
            map.clear();
            plain.clear();
          }
          expect([...map]).toEqual([...plain]);
          expect([map.size, map.first]).toEqual([plain.size, [...plain][0]]);
          expect([map.has(key), map.get(key)]).toEqual([plain.has(key), plain.get(key)]);
        }
      }),
    );
  });

  it('continues an iteration whose current entry is deleted', () => {
    const map = new OrderedMap<number, string>();
    for (let key = 0; key < 4; key += 1) map.set(key, `${key}`);
    const seen: number[] = [];
    for (const [key] of map) {
      seen.push(key);
      map.delete(key);
    }
    expect([seen, map.size, map.first]).toEqual([[0, 1, 2, 3], 0, undefined]);
  });
});
