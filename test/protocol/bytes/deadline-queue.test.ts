import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeadlineQueue, earliest } from '../../../src/protocol/bytes/deadline-queue.js';

describe('DeadlineQueue', () => {
  it('returns the keys in the order of their latest deadlines', () => {
    const operations = fc.array(
      fc.oneof(
        { arbitrary: fc.record({ key: fc.nat(9), at: fc.option(fc.nat(50), { nil: undefined }) }), weight: 6 },
        { arbitrary: fc.record({ now: fc.nat(50) }), weight: 2 },
        { arbitrary: fc.constant('clear' as const), weight: 1 },
      ),
      { maxLength: 400, size: 'max' },
    );
    fc.assert(
      fc.property(operations, (list) => {
        const queue = new DeadlineQueue<number>();
        const plain = new Map<number, number>();
        const first = () => (plain.size === 0 ? undefined : Math.min(...plain.values()));
        for (const operation of list) {
          if (operation === 'clear') {
            queue.clear();
            plain.clear();
          } else if ('key' in operation) {
            const { key, at } = operation;
            queue.set(key, at);
            if (at === undefined) plain.delete(key);
            else plain.set(key, at);
          } else {
            const key = queue.due(operation.now);
            const isDue = (first() ?? Number.POSITIVE_INFINITY) <= operation.now;
            expect(key !== undefined).toBe(isDue);
            if (key !== undefined) {
              expect(plain.get(key)).toBe(first());
              plain.delete(key);
            }
          }
          expect(queue.first).toBe(first());
        }
      }),
    );
  });

  it('discards replaced deadlines before they greatly outnumber the current ones', () => {
    const queue = new DeadlineQueue<number>();
    // This deadline is never taken, so that all later ones stay in the queue behind it.
    queue.set(0, 0);
    for (let i = 1; i <= 10_000; i += 1) queue.set(1 + (i % 100), i);
    expect(queue.kept).toBeLessThanOrEqual(4 * 101);
    for (let key = 1; key <= 100; key += 1) queue.set(key, undefined);
    expect(queue.kept).toBeLessThanOrEqual(64);
    expect([queue.due(0), queue.first, queue.kept]).toEqual([0, undefined, 0]);
  });
});

describe('earliest', () => {
  it.each<[(number | undefined)[], number | undefined]>([
    [[], undefined],
    [[undefined, undefined], undefined],
    [[undefined, 0, 5], 0],
    [[7, 3, undefined, 5], 3],
  ])('of %j is %s', (times, first) => {
    expect(earliest(times)).toBe(first);
  });
});
