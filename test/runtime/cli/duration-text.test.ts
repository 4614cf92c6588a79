import { describe, expect, it } from 'vitest';
// @ts-expect-error: a module of the page, in JavaScript
import { duration } from '../../../scripts/web/state.js';
import { durationText, exactDuration } from '../../../src/runtime/cli/duration-text.js';

const DAY = 86_400_000;

describe('durationText', () => {
  it.each([
    [-1, '0 ms'],
    [0, '0 ms'],
    [12.345, '12.3 ms'],
    [149.9, '149 ms'],
    [4_560, '4.5 s'],
    [10_000, '10 s'],
    [119_999, '119 s'],
    [3_540_000, '59 min'],
    [8 * 3_600_000, '8 h'],
    [3 * DAY + 1, '3 d'],
  ])('formats %d ms as %s', (milliseconds, text) => {
    expect(durationText(milliseconds)).toBe(text);
  });

  it('formats all times as the web page does', () => {
    for (let at = 0.1; at < 400 * DAY; at *= 1.01) expect(durationText(at)).toBe(duration(at));
  });
});

describe('exactDuration', () => {
  it.each([
    [90, '90 s'],
    [3_600, '60 min'],
    [3_601, '3601 s'],
    [28_800, '8 h'],
    [7 * 86_400, '7 d'],
  ])('formats %d s as %s', (seconds, text) => {
    expect(exactDuration(seconds)).toBe(text);
  });
});
