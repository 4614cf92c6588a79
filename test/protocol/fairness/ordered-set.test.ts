import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrderedSet } from '../../../src/protocol/fairness/ordered-set.js';

describe('OrderedSet', () => {
  it('keeps the place of an item that is added again', () => {
    const items = new OrderedSet<string>();
    for (const item of ['a', 'b', 'a']) items.add(item);
    expect([items.size, items.first]).toEqual([2, 'a']);
    items.delete('a');
    expect([items.size, items.first]).toEqual([1, 'b']);
    items.delete('b');
    expect([items.size, items.first]).toEqual([0, undefined]);
  });

  it('keeps the order of insertion when items are deleted', () => {
    const operations = fc.array(fc.record({ add: fc.boolean(), item: fc.nat(6) }), { maxLength: 60, size: 'max' });
    fc.assert(
      fc.property(operations, (list) => {
        const items = new OrderedSet<number>();
        const plain = new Set<number>();
        for (const { add, item } of list) {
          if (add) {
            items.add(item);
            plain.add(item);
          } else {
            items.delete(item);
            plain.delete(item);
          }
          expect([items.size, items.first]).toEqual([plain.size, [...plain][0]]);
        }
        for (const item of [...plain]) {
          expect(items.first).toBe(item);
          items.delete(item);
        }
        expect(items.first).toBeUndefined();
      }),
    );
  });
});
