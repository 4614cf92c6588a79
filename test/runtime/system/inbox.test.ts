import { describe, expect, it } from 'vitest';
import { Inbox } from '../../../src/runtime/system/inbox.js';

describe('an inbox', () => {
  it('passes on what waits in order, and then every item at once', () => {
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

  it('has one receiver', () => {
    const inbox = new Inbox<number>();
    inbox.open(() => undefined);
    expect(() => inbox.open(() => undefined)).toThrow('the inbox has a receiver');
  });
});
