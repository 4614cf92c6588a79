import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Reading, StoreClock, TOLERANCE } from '../../src/store/store-clock.js';

const START = Date.UTC(2030, 0, 1);
const DAY = 86_400_000;

/** A look that takes no time. */
const at = (monotonic: number, wall: number): Reading => ({ wall, before: monotonic, after: monotonic });

describe("a store's clock", () => {
  it('goes on with the monotonic clock between two looks at the wall clock', () => {
    const clock = new StoreClock(at(500, START));
    expect(clock.now(500)).toBe(START);
    expect(clock.now(1_500.7)).toBe(START + 1_000);
    expect(clock.at(1_000)).toBe(START + 500);
  });

  it.each([
    ['forwards', DAY],
    ['back', -DAY],
    ['by little more than it tolerates', TOLERANCE + 10],
  ])('tells of a step %s, and goes by the time before until it is set', (_what, step) => {
    const clock = new StoreClock(at(0, START));
    const reading = at(2_000, START + 2_000 + step);
    expect(clock.look(reading)).toBe(step);
    expect(clock.look(reading)).toBe(step);
    expect(clock.now(2_000)).toBe(START + 2_000);
    clock.set(reading);
    expect(clock.now(2_000)).toBe(START + 2_000 + step);
    expect(clock.look(at(4_000, START + 4_000 + step))).toBe(0);
  });

  it('follows a wall clock that is a little off, and is never earlier than it was', () => {
    const clock = new StoreClock(at(0, START));
    expect(clock.look(at(2_000, START + 2_600))).toBe(0);
    expect(clock.now(2_000)).toBe(START + 2_600);
    expect(clock.look(at(2_100, START + 2_100))).toBe(0);
    expect(clock.now(2_100)).toBe(START + 2_600);
    // As exact as the wall clock is read.
    expect([0, 1]).toContain(clock.now(2_700) - (START + 2_700));
  });

  it('takes an answer that was long on its way for no step, and goes on if it agrees', () => {
    const clock = new StoreClock(at(0, START));
    expect(clock.look({ wall: START + 3_500, before: 0, after: 3_500 })).toBe(0);
    expect(clock.look({ wall: START + 3_600, before: 3_500, after: 7_000 })).toBe(0);
    expect(clock.now(7_000)).toBe(START + 7_000);
    // Not earlier than it can have been.
    expect(clock.look({ wall: START + 7_300, before: 7_000, after: 7_200 })).toBe(0);
    expect(clock.now(7_200)).toBe(START + 7_300);
    expect(clock.look({ wall: START + 9_300 + 2 * TOLERANCE, before: 9_000, after: 9_200 })).not.toBe(0);
  });

  it('allows more after a time without a look: two clocks run apart', () => {
    const clock = new StoreClock(at(0, START));
    expect(clock.look(at(DAY, START + DAY + DAY * 0.0005))).toBe(0);
    expect(clock.look(at(2 * DAY, START + 2 * DAY + 600_000))).not.toBe(0);
  });

  it('tells of each step by what it was, and of nothing else, whatever two clocks and the network do', () => {
    const look = fc.record({
      /** Milliseconds until the look, how long it takes, and where in it the wall clock was read. */
      pause: fc.integer({ min: 1, max: 20_000 }),
      took: fc.integer({ min: 0, max: 900 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
      /** How much faster the wall clock runs meanwhile. */
      rate: fc.double({ min: -0.0005, max: 0.0005, noNaN: true }),
      step: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        fc.integer({ min: 3_000, max: 10 * 365 * DAY }),
        fc.integer({ min: -10 * 365 * DAY, max: -3_000 }),
      ),
    });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 60 }), (looks) => {
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
          const told = clock.look(reading);
          if (step === 0) expect(told).toBe(0);
          // As exact as one look, and the one before.
          else expect(Math.abs(told - step)).toBeLessThanOrEqual(TOLERANCE);
          if (told !== 0) clock.set(reading);
          expect(Math.abs(clock.at(monotonic) - wall)).toBeLessThanOrEqual(TOLERANCE);
          last = told === 0 ? now : clock.now(monotonic);
        }
      }),
      { numRuns: 500 },
    );
  });
});
