import { expect, it } from 'vitest';
import { DurationTally, ReasonTally } from '../../src/load/tally.js';

it('Durations have quantiles to three figures, in milliseconds', () => {
  const tally = new DurationTally();
  expect(tally.result).toBeUndefined();
  for (let n = 1; n <= 100; n += 1) tally.add(n);
  const { count, mean, p50, p95, p99, max } = tally.result ?? {};
  expect(count).toBe(100);
  const near = (value: number | undefined, wanted: number) =>
    expect(Math.abs((value ?? 0) / wanted - 1)).toBeLessThan(0.002);
  near(mean, 50.5);
  near(p50, 50);
  near(p95, 95);
  near(p99, 99);
  near(max, 100);
  tally.reset();
  expect(tally.count).toBe(0);
});

it('Reasons are counted, the most frequent first, each with its first example, and are bounded', () => {
  const tally = new ReasonTally();
  tally.add('a', 'a1');
  tally.add('b', 'b1');
  tally.add('b', 'b2');
  expect(tally.result).toEqual([
    { reason: 'b', count: 2, example: 'b1' },
    { reason: 'a', count: 1, example: 'a1' },
  ]);
  for (let n = 0; n < 1_000; n += 1) tally.add(`reason ${n}`, '');
  expect(tally.total).toBe(1_003);
  expect(tally.result).toHaveLength(65);
  expect(tally.result[0]).toMatchObject({ reason: 'other reasons', count: 938 });
});
