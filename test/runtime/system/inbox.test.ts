import { describe, expect, it } from 'vitest';
import { Inbox } from '../../../src/runtime/system/inbox.js';

describe('Inbox', () => {
  it('delivers the waiting items in order, and then each item immediately', () => {
    const inbox = new Inbox<number>();
    const got: number[] = [];
    inbox.put(1);
    inbox.put(2);
    inbox.open((item) => {
      got.push(item);
      if (item === 1) inbox.put(10);
    });
    expect(got).toEqual([1, 2, 10]);
    inbox.put(3);
    expect(got).toEqual([1, 2, 10, 3]);
  });

  it('accepts one receiver only', () => {
    const inbox = new Inbox<number>();
    inbox.open(() => undefined);
    expect(() => inbox.open(() => undefined)).toThrow('the inbox has a receiver');
  });
});
