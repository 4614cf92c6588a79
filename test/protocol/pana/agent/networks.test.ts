import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressPath } from '../../../../src/protocol/fairness/party-path.js';
import { networkOf } from '../../../../src/protocol/pana/agent/networks.js';

describe('the network of an address', () => {
  const groups = fc.array(fc.constantFrom('0', '1', 'ff'), { minLength: 8, maxLength: 8 });
  const v6 = groups.map((each) => `2001:db8:${each.slice(2).join(':')}`);
  const v4 = fc.array(fc.constantFrom(1, 2), { minLength: 4, maxLength: 4 }).map((each) => each.join('.'));
  const address = fc.oneof(v6, v4);

  it('is the same for two addresses if and only if addressPath says so', () => {
    fc.assert(
      fc.property(address, address, (one, other) => {
        const isSame = addressPath(one)[0] === addressPath(other)[0];
        expect(networkOf(one) === networkOf(other)).toBe(isSame);
      }),
    );
  });
});
