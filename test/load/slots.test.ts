import { describe, expect, it } from 'vitest';
import { type Slot, Slots } from '../../src/load/slots.js';

/** Lets as many nodes as `taken` say have one session after another. Returns the numbers of the nodes. */
function oneAfterAnother(slots: Slots, taken: number, newFirst: boolean): number[] {
  return Array.from({ length: taken }, () => {
    const slot = slots.take(newFirst) as Slot;
    slots.release(slot);
    return slot.number;
  });
}

describe('Slots', () => {
  it('takes the node that has been without a session for longest', () => {
    const slots = new Slots(3);
    expect(oneAfterAnother(slots, 3, false)).toEqual([0, 0, 0]);
  });

  it('takes new nodes first if asked to, so that each gets a ticket', async () => {
    const slots = new Slots(3);
    expect(oneAfterAnother(slots, 5, true)).toEqual([0, 1, 2, 0, 1]);
    expect((await slots.wait(0, true))?.number).toBe(2);
    expect(oneAfterAnother(slots, 2, false)).toEqual([0, 1]);
  });

  it('takes none if all have a session', () => {
    const slots = new Slots(1);
    expect(slots.take(true)?.number).toBe(0);
    expect(slots.take(true)).toBeUndefined();
  });
});
