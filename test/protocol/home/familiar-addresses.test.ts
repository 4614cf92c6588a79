import { describe, expect, it } from 'vitest';
import { FAMILIAR_TIME, FamiliarAddresses, MAX_ADDRESSES } from '../../../src/protocol/home/familiar-addresses.js';

const at = (address: string | number) => ['paa.example', 'paa.example', '2001:db8::', `2001:db8::${address}`];

describe('FamiliarAddresses', () => {
  it('keeps an address for 24 hours after a certificate was last proven there', () => {
    const familiar = new FamiliarAddresses();
    familiar.remember('aa', at(1), 1_000);
    expect(familiar.has(at(1), 1_000 + 86_399_999)).toBe(true);
    expect(familiar.has(at(1), 1_000 + 86_400_000)).toBe(false);
    expect(familiar.has(at(2), 1_000)).toBe(false);
    familiar.remember('aa', at(1), 5_000);
    expect(familiar.has(at(1), 5_000 + FAMILIAR_TIME - 1)).toBe(true);
    expect(familiar.has(at(1), 5_000 + FAMILIAR_TIME)).toBe(false);
  });

  it('keeps four addresses of a certificate, and replaces the one proven longest ago', () => {
    const familiar = new FamiliarAddresses();
    const known = () => [1, 2, 3, 4, 5].filter((address) => familiar.has(at(address), 0));
    for (const address of [1, 2, 3, 4]) familiar.remember('aa', at(address), 0);
    expect(known()).toEqual([1, 2, 3, 4]);
    expect(MAX_ADDRESSES).toBe(4);
    // If it is proven again, the address keeps its single entry, and the other three stay.
    familiar.remember('aa', at(1), 0);
    expect(known()).toEqual([1, 2, 3, 4]);
    familiar.remember('aa', at(5), 0);
    expect(known()).toEqual([1, 3, 4, 5]);
  });

  it('counts an address once, however often it is proven', () => {
    const familiar = new FamiliarAddresses();
    for (let i = 0; i < 5; i += 1) familiar.remember('aa', at(1), 0);
    familiar.remember('aa', at(2), 0);
    expect([familiar.has(at(1), 0), familiar.has(at(2), 0)]).toEqual([true, true]);
  });

  it('keeps a shared address while one of its certificates keeps it', () => {
    const familiar = new FamiliarAddresses();
    familiar.remember('aa', at('shared'), 0);
    familiar.remember('bb', at('shared'), 10);
    for (const address of [1, 2, 3, 4]) familiar.remember('aa', at(address), 20);
    expect(familiar.has(at('shared'), 20)).toBe(true);
    expect(familiar.has(at('shared'), 10 + FAMILIAR_TIME - 1)).toBe(true);
    for (const address of [5, 6, 7, 8]) familiar.remember('bb', at(address), 20);
    expect(familiar.has(at('shared'), 20)).toBe(false);
  });

  it('keeps 50,000 certificates, and replaces the one proven longest ago', () => {
    const familiar = new FamiliarAddresses();
    const known = (...addresses: (string | number)[]) => addresses.filter((address) => familiar.has(at(address), 0));
    familiar.remember('first', at('a'), 0);
    familiar.remember('second', at('b'), 0);
    familiar.remember('second', at('c'), 0);
    for (let i = 2; i < 50_000; i += 1) familiar.remember(`other${i}`, at(i), 0);
    // A certificate that is kept already takes no second entry.
    familiar.remember('first', at('d'), 0);
    expect(known('a', 'b', 'c', 'd', 2)).toEqual(['a', 'b', 'c', 'd', 2]);
    familiar.remember('new', at('e'), 0);
    expect(known('a', 'b', 'c', 'd', 'e', 2)).toEqual(['a', 'd', 'e', 2]);
    familiar.remember('newer', at('f'), 0);
    expect(known('a', 'd', 'e', 'f', 2, 3)).toEqual(['a', 'd', 'e', 'f', 3]);
  });
});
