import { expect, it } from 'vitest';
import { KnownSubscribers } from '../../../src/protocol/home/known-subscribers.js';
import { plainSubscriber } from '../../../src/protocol/home/records.js';

const [ONE, OTHER] = [plainSubscriber('one@home.example'), plainSubscriber('other@home.example')];

it('KnownSubscribers finds a subscriber by its certificate for a limited time, except in the session of another one', () => {
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

it('KnownSubscribers remembers nothing if its time limit is 0', () => {
  const known = new KnownSubscribers(0);
  known.remember('aa', 'first', ONE, 0);
  expect(known.find('aa', 'first', 0)).toBeUndefined();
});
