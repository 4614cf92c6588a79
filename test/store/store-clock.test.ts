import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Reading, StoreClock, TOLERANCE } from '../../src/store/store-clock.js';
import { runs } from '../seed.js';

const START = Date.UTC(2030, 0, 1);
const DAY = 86_400_000;

/** A reading of the wall clock that takes no time. */
const at = (monotonic: number, wall: number): Reading => ({ wall, before: monotonic, after: monotonic });

describe('StoreClock', () => {
  it('advances with the monotonic clock between readings of the wall clock', () => {
    const clock = new StoreClock(at(500, START));
    expect(clock.now(500)).toBe(START);
    expect(clock.now(1_500.7)).toBe(START + 1_000);
    expect(clock.at(1_000)).toBe(START + 500);
  });

  it.each([
    ['forwards', DAY],
    ['backwards', -DAY],
    ['of slightly more than the tolerance', TOLERANCE + 10],
  ])('reports a step %s and keeps the old time until the new one is set', (_what, step) => {
    const clock = new StoreClock(at(0, START));
    const reading = at(2_000, START + 2_000 + step);
    expect(clock.look(reading)).toBe(step);
    expect(clock.look(reading)).toBe(step);
    expect(clock.now(2_000)).toBe(START + 2_000);
    clock.set(reading);
    expect(clock.now(2_000)).toBe(START + 2_000 + step);
    expect(clock.look(at(4_000, START + 4_000 + step))).toBe(0);
  });

  it('follows a small deviation of the wall clock and never goes back', () => {
    const clock = new StoreClock(at(0, START));
    expect(clock.look(at(2_000, START + 2_600))).toBe(0);
    expect(clock.now(2_000)).toBe(START + 2_600);
    expect(clock.look(at(2_100, START + 2_100))).toBe(0);
    expect(clock.now(2_100)).toBe(START + 2_600);
    // A millisecond more, which is the resolution of the wall clock.
    expect(clock.now(2_700)).toBe(START + 2_701);
  });

  it('does not treat a slow reading as a step, and accepts it if it is consistent', () => {
    const clock = new StoreClock(at(0, START));
    expect(clock.look({ wall: START + 3_500, before: 0, after: 3_500 })).toBe(0);
    expect(clock.look({ wall: START + 3_600, before: 3_500, after: 7_000 })).toBe(0);
    expect(clock.now(7_000)).toBe(START + 7_000);
    // The reading gives the earliest possible time.
    expect(clock.look({ wall: START + 7_300, before: 7_000, after: 7_200 })).toBe(0);
    expect(clock.now(7_200)).toBe(START + 7_300);
    expect(clock.look({ wall: START + 9_300 + 2 * TOLERANCE, before: 9_000, after: 9_200 })).not.toBe(0);
  });

  it('tolerates more deviation after a long time without a reading', () => {
    const clock = new StoreClock(at(0, START));
    expect(clock.look(at(DAY, START + DAY + DAY * 0.0005))).toBe(0);
    expect(clock.look(at(2 * DAY, START + 2 * DAY + 600_000))).not.toBe(0);
  });

  it('reports exactly the steps, for random clock rates and delays of readings', () => {
    const look = fc.record({
      /** Milliseconds until the reading, its duration, and when within it the wall clock is read. */
      pause: fc.integer({ min: 1, max: 20_000 }),
      took: fc.integer({ min: 0, max: 900 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
      /** The relative rate of the wall clock. */
      rate: fc.double({ min: -0.0005, max: 0.0005, noNaN: true }),
      step: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        fc.integer({ min: 3_000, max: 10 * 365 * DAY }),
        fc.integer({ min: -10 * 365 * DAY, max: -3_000 }),
      ),
    });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 60, size: 'max' }), (looks) => {
        let monotonic = 0;
        let wall = START;
        let last = START;
        const clock = new StoreClock(at(monotonic, wall));
        for (const { pause, took, part, rate, step } of looks) {
          monotonic += pause;
          const now = clock.now(monotonic);
          expect(now).toBeGreaterThanOrEqual(last);
          wall += pause * (1 + rate) + step;
          const reading = { wall: wall + took * part, before: monotonic, after: monotonic + took };
          monotonic += took;
          wall += took;
          const found = clock.look(reading);
          if (step === 0) expect(found).toBe(0);
          // The errors of this reading and of the previous one.
          else expect(Math.abs(found - step)).toBeLessThanOrEqual(TOLERANCE);
          if (found !== 0) clock.set(reading);
          expect(Math.abs(clock.at(monotonic) - wall)).toBeLessThanOrEqual(TOLERANCE);
          last = found === 0 ? now : clock.now(monotonic);
        }
      }),
      { numRuns: runs(500) },
    );
  });
});
