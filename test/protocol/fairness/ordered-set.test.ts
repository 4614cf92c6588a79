import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrderedSet } from '../../../src/protocol/fairness/ordered-set.js';

describe('an ordered set', () => {
  it('keeps an item that is there where it is', () => {
    const line = new OrderedSet<string>();
    for (const item of ['a', 'b', 'a']) line.add(item);
    expect([line.size, line.first]).toEqual([2, 'a']);
    line.delete('a');
    expect([line.size, line.first]).toEqual([1, 'b']);
    line.delete('b');
    expect([line.size, line.first]).toEqual([0, undefined]);
  });

  it('has the order in which items came, whatever leaves it', () => {
    const operations = fc.array(fc.record({ add: fc.boolean(), item: fc.nat(6) }), { maxLength: 60 });
    fc.assert(
      fc.property(operations, (list) => {
        const line = new OrderedSet<number>();
        const plain = new Set<number>();
        for (const { add, item } of list) {
          if (add) {
            line.add(item);
            plain.add(item);
          } else {
            line.delete(item);
            plain.delete(item);
          }
          expect([line.size, line.first]).toEqual([plain.size, [...plain][0]]);
        }
        for (const item of [...plain]) {
          expect(line.first).toBe(item);
          line.delete(item);
        }
        expect(line.first).toBeUndefined();
      }),
    );
  });
});
