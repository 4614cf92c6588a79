import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  agentsAt,
  hostProblem,
  MAX_AGENTS,
  MAX_TARGETS,
  targetsOf,
} from '../../../src/protocol/attachment/found-agents.js';
import { formatAddress } from '../../../src/protocol/bytes/address.js';

const srv = (name: string, priority = 0, weight = 0) => ({ name, priority, weight });

describe('SRV records', () => {
  it('are used by priority, and by weight within one', () => {
    const records = [srv('c.example', 2), srv('a.example', 1, 30), srv('b.example', 1, 10)];
    expect(targetsOf(records, () => 0.74)).toEqual(['a.example', 'b.example', 'c.example']);
    expect(targetsOf(records, () => 0.76)).toEqual(['b.example', 'a.example', 'c.example']);
    // A record without weight is chosen, too, but seldom.
    expect(targetsOf([srv('a.example', 1, 0), srv('b.example', 1, 1)], () => 0)).toEqual(['a.example', 'b.example']);
    expect(targetsOf([srv('a.example', 1, 0), srv('b.example', 1, 1)], () => 0.5)).toEqual(['b.example', 'a.example']);
  });

  it('are limited in number, and one name counts once', () => {
    const many = Array.from({ length: 5_000 }, (_, i) => srv(`ha${i}.example`));
    expect(targetsOf(many, () => 0)).toHaveLength(MAX_TARGETS);
    expect(targetsOf([srv('A.example', 1), srv('a.example', 2)], () => 0)).toEqual(['a.example']);
  });

  it.each([
    ['no service', ''],
    ['a control character', 'a\nb.example'],
    ['a blank', 'a b.example'],
    ['an escape', 'a\\010.example'],
    ['a quote', 'a".example'],
    ['a substitution', '$(reboot).example'],
    ['a path', '../etc'],
    ['a user', 'a@b.example'],
    ['255 octets', `${'a.'.repeat(124)}example`],
  ])('with %s in their name are left out', (_, name) => {
    expect(targetsOf([srv(name), srv('b.example', 1)], () => 0)).toEqual(['b.example']);
  });

  it('of any content give few names that a hook may see', () => {
    const record = fc.record({ name: fc.string({ unit: 'binary' }), priority: fc.nat(65_535), weight: fc.nat(65_535) });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 20 }), fc.nat(255), (records, unit) => {
        const names = targetsOf(records, () => unit / 256);
        expect(names.length).toBeLessThanOrEqual(MAX_TARGETS);
        for (const name of names) expect(hostProblem(name)).toBeUndefined();
      }),
    );
  });
});

describe('Addresses of a home agent', () => {
  it.each(['::', '::1', 'fe80::1', 'ff02::1', '::ffff:192.0.2.1', '192.0.2.1', 'not an address', 'fe80::1%eth0'])(
    '%s is left out',
    (text) => {
      const found = agentsAt([text, '2001:db8:1::1'], 'ha.example');
      expect(found.map(({ address, host }) => [formatAddress(address), host])).toEqual([
        ['2001:db8:1::1', 'ha.example'],
      ]);
    },
  );

  it('are limited in number', () => {
    const many = Array.from({ length: 5_000 }, (_, i) => `2001:db8::${i.toString(16)}`);
    expect(agentsAt(many, undefined).length).toBeLessThanOrEqual(MAX_AGENTS);
  });
});
