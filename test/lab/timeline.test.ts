import { describe, expect, it } from 'vitest';
import { phasesOf, timelineOf } from '../../src/lab/network-lab/timeline.js';

const WHOLE = {
  began: 1_000,
  authorized: 1_040,
  opened: 1_060,
  ikeBegan: 1_090,
  ikeUp: 1_110,
  update: 1_300,
  acknowledged: 2_350,
};

describe('The picture of a start', () => {
  it('has one bar for each phase, from the end of the one before, on both scales', () => {
    expect(phasesOf(WHOLE)).toEqual([
      { phase: 'PANA', begin: 0, end: 40 },
      { phase: 'PANA → IKE', begin: 40, end: 90 },
      { phase: 'IKE', begin: 90, end: 110 },
      { phase: 'IKE → BU', begin: 110, end: 300 },
      { phase: 'BU/BA', begin: 300, end: 1_350 },
    ]);
    const picture = timelineOf(WHOLE);
    for (const phase of ['PANA', 'PANA → IKE', 'IKE', 'IKE → BU', 'BU/BA']) {
      expect(picture.split(`<title>${phase}</title>`)).toHaveLength(4);
    }
    // The paper's phases, and those of this start.
    for (const words of [
      'PANA → IKE 3.8 s',
      'IKE 2.2 s',
      '>190 ms (paper: 1.3 s)<',
      '>1.1 s (paper: 800 ms)<',
      '>at 60 ms<',
    ]) {
      expect(picture).toContain(words);
    }
    expect(picture).not.toContain('No Mobile IPv6');
  });

  it('leaves out a label that would overlap another', () => {
    const slow = { ...WHOLE, ikeUp: 10_000, update: 15_000, acknowledged: 26_000 };
    const picture = timelineOf(slow);
    expect(picture).toContain('IKE → BU 1.3 s');
    expect(picture).not.toContain('BU/BA 800 ms');
    expect(picture).toContain('>11 s (paper: 800 ms)<');
  });

  it('ends with the last phase that took place', () => {
    const { began, authorized } = WHOLE;
    expect(phasesOf({ began, authorized })).toEqual([{ phase: 'PANA', begin: 0, end: 40 }]);
    expect(timelineOf({ began, authorized })).toContain('No Mobile IPv6 here');
  });

  it('never draws a phase that ends before it begins', () => {
    const bars = phasesOf({ ...WHOLE, ikeBegan: 1_020 });
    expect(bars[1]).toEqual({ phase: 'PANA → IKE', begin: 40, end: 40 });
  });
});
