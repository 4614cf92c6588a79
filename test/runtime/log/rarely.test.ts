import { expect, it } from 'vitest';
import { Rarely } from '../../../src/runtime/log/rarely.js';

it('What strangers cause is logged at once, then after a minute, ten minutes and each hour, with its number', () => {
  const rarely = new Rarely();
  const lines: [number, number][] = [];
  for (let second = 0; second <= 12_000; second += 1) {
    const count = rarely.due(second * 1000);
    if (count !== undefined) lines.push([second, count]);
  }
  expect(lines).toEqual([
    [0, 1],
    [60, 60],
    [660, 600],
    [4260, 3600],
    [7860, 3600],
    [11_460, 3600],
  ]);
});
