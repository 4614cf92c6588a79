import { expect, it } from 'vitest';
import { KnownSubscribers } from '../../../src/protocol/home/known-subscribers.js';
import { plainSubscriber } from '../../../src/protocol/home/records.js';

const [ONE, OTHER] = [plainSubscriber('one@home.example'), plainSubscriber('other@home.example')];

it('a subscriber is known by its certificate for a time, in any session but one of another subscriber', () => {
  const known = new KnownSubscribers(1000);
  known.remember('aa', 'first', ONE, 0);
  known.remember('bb', 'second', OTHER, 0);
  expect(known.find('aa', 'first', 999)).toBe(ONE);
  expect(known.find('aa', 'third', 999)).toBe(ONE);
  expect(known.find('aa', 'second', 999)).toBeUndefined();
  expect(known.find('aa', 'first', 1000)).toBeUndefined();
  expect(known.find('cc', 'first', 0)).toBeUndefined();
  known.clear();
  expect(known.find('bb', 'second', 0)).toBeUndefined();
});

it('nobody is known where nobody is to be remembered', () => {
  const known = new KnownSubscribers(0);
  known.remember('aa', 'first', ONE, 0);
  expect(known.find('aa', 'first', 0)).toBeUndefined();
});
