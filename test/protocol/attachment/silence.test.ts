import { expect, it } from 'vitest';
import { Silence } from '../../../src/protocol/attachment/silence.js';

it('Silence is reported after 2.5 s, a minute, ten minutes, and then every hour', () => {
  const silence = new Silence();
  const reported: number[] = [];
  for (let now = 1_000; now <= 11_000_000; now += 500) {
    const report = silence.asked(now);
    if (report) reported.push(report.waited);
    if (report) expect(report.count).toBe(report.waited / 500 + 1);
  }
  expect(reported).toEqual([2_500, 60_000, 600_000, 3_600_000, 7_200_000, 10_800_000]);
});

it('An answer is news only after silence was reported, and once', () => {
  const silence = new Silence();
  silence.asked(0);
  expect(silence.answered()).toBe(false);
  silence.asked(3_000);
  expect([silence.answered(), silence.answered()]).toEqual([true, false]);
});
